// Command pulumi-language-python runs Pulumi programs and policy packs written in Python.
//
// It serves the engine's LanguageRuntime protocol. It runs Python, finds the provider plugins an environment needs and
// installs dependencies; it does not generate code from schemas and does not attach debuggers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/logging"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
)

const (
	programRunner  = "pulumi-language-python-exec"
	engineInterval = 5 * time.Second
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-language-python:", err)
		os.Exit(1)
	}
}

func serve() error {
	tracing := flag.String("tracing", "", "address traces are sent to")
	flag.Parse()
	logging.InitLogging(false, 0, false)
	if flag.NArg() != 1 {
		return errors.New("expected one argument: the address of the engine")
	}
	runner, err := findRunner()
	if err != nil {
		return err
	}

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	host := &languageHost{lifetime: ctx, engine: flag.Arg(0), runner: runner, tracing: *tracing}
	if err := endWithEngine(ctx, host.engine, cancel); err != nil {
		return err
	}

	stop := make(chan bool)
	context.AfterFunc(ctx, func() { close(stop) })
	handle, err := rpcutil.ServeWithOptions(rpcutil.ServeOptions{
		Cancel: stop,
		Init: func(server *grpc.Server) error {
			pulumirpc.RegisterLanguageRuntimeServer(server, host)
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println(handle.Port)
	return <-handle.Done
}

// findRunner looks for the script that starts a program: beside this binary first, so that a toolchain in one
// directory works whatever the PATH says.
func findRunner() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	beside := filepath.Join(filepath.Dir(self), programRunner)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	path, err := exec.LookPath(programRunner)
	if err != nil {
		return "", fmt.Errorf("%s is neither in %s nor on PATH", programRunner, filepath.Dir(self))
	}
	return path, nil
}

// endWithEngine calls cancel when the engine is gone. The engine holds the other end of our standard input, which
// closes the moment it dies; where it started us without one, its address is polled.
func endWithEngine(ctx context.Context, address string, cancel context.CancelFunc) error {
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return rpcutil.Healthcheck(ctx, address, engineInterval, cancel)
}
