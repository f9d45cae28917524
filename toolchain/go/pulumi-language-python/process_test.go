package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// start runs a Python script that writes process ids to a file, and returns them once they are there.
func start(ctx context.Context, t *testing.T, script string) (*exec.Cmd, string) {
	t.Helper()
	chain, err := toolchain.ResolveToolchain(toolchain.PythonOptions{Root: t.TempDir(), Toolchain: toolchain.Pip})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pid")
	cmd, err := python(ctx, chain, append(os.Environ(), "PIDFILE="+file), "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text string
	await(t, "the script to write "+file, func() bool {
		content, _ := os.ReadFile(file)
		text = string(content)
		return strings.HasSuffix(text, "\n")
	})
	return cmd, strings.TrimSpace(text)
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestCancellingEndsPythonAndItsChildren(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd, child := start(ctx, t, `
import os, subprocess, time
p = subprocess.Popen(["sleep", "600"])
open(os.environ["PIDFILE"], "w").write(f"{p.pid}\n")
time.sleep(600)`)
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("ended without an error")
	}
	await(t, "the grandchild to end", func() bool {
		stat, err := os.ReadFile("/proc/" + child + "/stat")
		return errors.Is(err, os.ErrNotExist) || strings.Contains(string(stat), ") Z ")
	})
}

func TestPythonThatIgnoresTheRequestIsKilled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cmd, _ := start(ctx, t, `
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(os.environ["PIDFILE"], "w").write("1\n")
time.sleep(600)`)
	cancel()
	_ = cmd.Wait()
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("ended by %v", status.Signal())
	}
}
