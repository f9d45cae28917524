package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	sdk "github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// RunPlugin runs a policy pack or another plugin written in Python and streams its output.
func (h *languageHost) RunPlugin(
	req *pulumirpc.RunPluginRequest, server pulumirpc.LanguageRuntime_RunPluginServer,
) error {
	if req.GetAttachDebugger() {
		return errors.New("this language host can't attach a debugger; run without --attach-debugger")
	}
	ctx, cancel := h.bound(server.Context())
	defer cancel()
	chain, options, err := resolve(req.GetInfo())
	if err != nil {
		return err
	}
	stream := &pluginStream{LanguageRuntime_RunPluginServer: server}
	run := runOther
	if req.GetKind() == string(apitype.AnalyzerPlugin) {
		run = runPolicyPack
	}
	err = run(ctx, req, stream, chain, options)
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	return stream.Send(&pulumirpc.RunPluginResponse{
		Output: &pulumirpc.RunPluginResponse_Exitcode{Exitcode: int32(exit.ExitCode())}, //nolint:gosec // small
	})
}

// runPolicyPack starts the pack once the engine has said which stack it is for: the Python SDK takes that from the
// environment of the process, while the engine sends it to a pack that already serves. The proxy serves in between.
func runPolicyPack(
	ctx context.Context, req *pulumirpc.RunPluginRequest, stream *pluginStream,
	chain toolchain.Toolchain, options toolchain.PythonOptions,
) error {
	if err := chain.ValidateVenv(ctx); err != nil {
		return err
	}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer closer.Close()
	proxy, stdout, err := sdk.NewPolicyProxy(ctx, stdout)
	if err != nil {
		return err
	}
	stack, err := proxy.AwaitConfiguration(ctx)
	if err != nil {
		return err
	}
	env, err := policyEnvironment(pluginEnvironment(req), stack)
	if err != nil {
		return err
	}
	args := append([]string{"-u", "-m", "pulumi.policy"}, req.GetArgs()...)
	cmd, err := python(ctx, chain, env, append(args, options.ProgramDir)...)
	if err != nil {
		return err
	}
	cmd.Dir = options.ProgramDir
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	return proxy.Attach(ctx, cmd)
}

// policyEnvironment adds what the Python SDK wants to know about the stack. Without a stack (publishing a pack)
// nothing is added.
func policyEnvironment(env []string, stack *pulumirpc.AnalyzerStackConfigureRequest) ([]string, error) {
	if stack == nil {
		return env, nil
	}
	for _, variable := range [][2]string{
		{"PULUMI_ORGANIZATION", stack.GetOrganization()},
		{"PULUMI_PROJECT", stack.GetProject()},
		{"PULUMI_STACK", stack.GetStack()},
		{"PULUMI_DRY_RUN", strconv.FormatBool(stack.GetDryRun())},
	} {
		if variable[1] != "" {
			env = append(env, variable[0]+"="+variable[1])
		}
	}
	return withConfig(env, stack.GetConfig(), stack.GetConfigSecretKeys())
}

func runOther(
	ctx context.Context, req *pulumirpc.RunPluginRequest, stream *pluginStream,
	chain toolchain.Toolchain, options toolchain.PythonOptions,
) error {
	args, err := pluginArguments(options.ProgramDir)
	if err != nil {
		return err
	}
	cmd, err := python(ctx, chain, pluginEnvironment(req), append(args, req.GetArgs()...)...)
	if err != nil {
		return err
	}
	closer, stdout, stderr, err := rpcutil.MakeRunPluginStreams(stream, false)
	if err != nil {
		return err
	}
	defer closer.Close()
	cmd.Dir = req.GetPwd()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd.Run()
}

func pluginEnvironment(req *pulumirpc.RunPluginRequest) []string {
	if len(req.GetEnv()) > 0 {
		return req.GetEnv()
	}
	return os.Environ()
}

// pluginArguments is how a plugin's directory is run: by its __main__.py, or else as the package it declares.
func pluginArguments(directory string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(directory, "__main__.py")); err == nil {
		return []string{"-u", directory}, nil
	}
	project, err := toolchain.LoadPyproject(directory)
	if err != nil {
		return nil, fmt.Errorf("%s has no __main__.py and its pyproject.toml can't be read: %w", directory, err)
	}
	if project.Project == nil || project.Project.Name == "" {
		return nil, fmt.Errorf("%s has no __main__.py and its pyproject.toml has no project.name", directory)
	}
	return []string{"-u", "-m", "pulumi.run.plugin", project.Project.Name}, nil
}
