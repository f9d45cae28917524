package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// exitAlreadyReported is the runner's exit code after it has shown the program's error itself.
const exitAlreadyReported = 32

// Run runs a program to its end.
func (h *languageHost) Run(ctx context.Context, req *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	if req.GetAttachDebugger() {
		return nil, errors.New("this language host can't attach a debugger; run without --attach-debugger")
	}
	ctx, cancel := h.cancellable(ctx)
	defer cancel()
	chain, _, err := resolve(req.GetInfo())
	if err != nil {
		return nil, err
	}
	env, err := withConfig(os.Environ(), req.GetConfig(), req.GetConfigSecretKeys())
	if err != nil {
		return nil, err
	}
	cmd, err := python(ctx, chain, env, append([]string{"-u", h.runner}, h.runnerArguments(req)...)...)
	if err != nil {
		return nil, err
	}
	cmd.Dir = req.GetPwd()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err = cmd.Run()
	if h.lifetime.Err() != nil {
		return &pulumirpc.RunResponse{Error: "the language host was stopped while the program ran"}, nil
	}
	return runResult(ctx, err), nil
}

func (h *languageHost) runnerArguments(req *pulumirpc.RunRequest) []string {
	var args []string
	for _, option := range [][2]string{
		{"monitor", req.GetMonitorAddress()},
		{"engine", h.engine},
		{"project", req.GetProject()},
		{"root_directory", req.GetInfo().GetRootDirectory()},
		{"stack", req.GetStack()},
		{"pwd", req.GetPwd()},
		{"dry_run", strconv.FormatBool(req.GetDryRun())},
		{"parallel", strconv.Itoa(int(req.GetParallel()))},
		{"tracing", h.tracing},
		{"organization", req.GetOrganization()},
	} {
		if option[1] != "" {
			args = append(args, "--"+option[0], option[1])
		}
	}
	entry := req.GetInfo().GetEntryPoint()
	if entry == "" {
		entry = "."
	}
	return append(append(args, entry), req.GetArgs()...)
}

// withConfig adds the stack's configuration to env, in the variables that the Python SDK reads.
func withConfig(env []string, config map[string]string, secretKeys []string) ([]string, error) {
	if len(config) > 0 {
		text, err := json.Marshal(config)
		if err != nil {
			return nil, err
		}
		env = append(env, "PULUMI_CONFIG="+string(text))
	}
	if len(secretKeys) > 0 {
		text, err := json.Marshal(secretKeys)
		if err != nil {
			return nil, err
		}
		env = append(env, "PULUMI_CONFIG_SECRET_KEYS="+string(text))
	}
	return env, nil
}

// runResult says how the program ended. Bail means that the user already knows why.
func runResult(ctx context.Context, err error) *pulumirpc.RunResponse {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}
	case ctx.Err() != nil:
		return &pulumirpc.RunResponse{Bail: true}
	case !errors.As(err, &exit):
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("could not run Python: %v", err)}
	case exit.ExitCode() == exitAlreadyReported:
		return &pulumirpc.RunResponse{Bail: true}
	case exit.Exited():
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("program exited with code %d", exit.ExitCode())}
	}
	return &pulumirpc.RunResponse{Error: fmt.Sprintf("program ended unexpectedly: %v", exit)}
}
