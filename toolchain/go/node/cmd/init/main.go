// Command init is process 1 of a process namespace: of the node's own, and of each pod's.
//
// It collects processes that lost their parent. Asked to end, it asks all others to, waits a while until only the
// shims of the container runtime are left, which never end by themselves, and ends; the kernel then ends the rest.
package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const patience = 10 * time.Second

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGINT, syscall.SIGTERM)
	reap()
	for received := range signals {
		reap()
		if received != syscall.SIGCHLD {
			end()
			return
		}
	}
}

func end() {
	if os.Getpid() != 1 {
		return // It shares the namespace of others, as in a pod with hostPID, and they are not its own.
	}
	_ = syscall.Kill(-1, syscall.SIGTERM)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && busy(); {
		time.Sleep(20 * time.Millisecond)
		reap()
	}
}

func reap() {
	for {
		number, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || number <= 0 {
			return
		}
	}
}

// busy tells whether a process is left that may still end by itself.
func busy() bool {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || file == "/proc/1/stat" {
			continue
		}
		// proc_pid_stat(5): number, name in parentheses (which may hold any character), state.
		_, rest, _ := strings.Cut(string(content), "(")
		at := strings.LastIndex(rest, ")")
		if at < 0 || len(rest) < at+3 {
			continue
		}
		if name, state := rest[:at], rest[at+2]; state != 'Z' && !strings.HasPrefix(name, "containerd-shim") {
			return true
		}
	}
	return false
}
