package main

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// stopGrace is how long Python may take to end before it is killed. The engine gives this host five seconds in turn.
const stopGrace = 3 * time.Second

// python prepares a Python command in the environment of chain, with env as its variables.
//
// Python gets a process group of its own: when ctx ends, the group is asked to terminate, so that a signal for this
// host does not print a KeyboardInterrupt and a program's own children end with it.
func python(ctx context.Context, chain toolchain.Toolchain, env []string, args ...string) (*exec.Cmd, error) {
	if err := chain.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	cmd, err := chain.Command(ctx, args...)
	if err != nil {
		return nil, err
	}
	virtualenv, err := chain.VirtualEnvPath(ctx)
	if err != nil {
		return nil, err
	}
	if virtualenv != "" {
		env = toolchain.ActivateVirtualEnv(env, virtualenv)
	}
	cmd.Env = env
	cmd.SysProcAttr = processAttributes()
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		if err == syscall.ESRCH {
			return os.ErrProcessDone
		}
		return err
	}
	cmd.WaitDelay = stopGrace
	return cmd, nil
}

// A gRPC stream must not be sent on by two goroutines at once, and standard output and error are copied by one each.

type pluginStream struct {
	pulumirpc.LanguageRuntime_RunPluginServer
	mutex sync.Mutex
}

func (s *pluginStream) Send(response *pulumirpc.RunPluginResponse) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.LanguageRuntime_RunPluginServer.Send(response)
}

type installStream struct {
	pulumirpc.LanguageRuntime_InstallDependenciesServer
	mutex sync.Mutex
}

func (s *installStream) Send(response *pulumirpc.InstallDependenciesResponse) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.LanguageRuntime_InstallDependenciesServer.Send(response)
}
