package main

import "syscall"

// processAttributes also has the kernel kill Python when this host is killed and can't do it itself.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
