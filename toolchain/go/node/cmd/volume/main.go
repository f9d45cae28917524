// Command volume makes and removes the folder of a volume, as local-path-provisioner asks in its helper pods:
// `volume -a create|delete -p FOLDER`, with size and mode, which a folder does not have.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	action := flag.String("a", "", "create or delete")
	folder := flag.String("p", "", "the volume's folder")
	_ = flag.String("s", "", "size in bytes; a folder has none")
	_ = flag.String("m", "", "volume mode; always a file system here")
	flag.Parse()
	if err := run(*action, *folder); err != nil {
		fmt.Fprintln(os.Stderr, "volume:", err)
		os.Exit(1)
	}
}

func run(action, folder string) error {
	switch {
	case folder == "":
		return fmt.Errorf("-p: none given; name the volume's folder")
	case action == "create":
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		// Pods run as any user; the file mode creation mask of this process must not narrow it.
		return os.Chmod(folder, 0o777)
	case action == "delete":
		return os.RemoveAll(folder)
	default:
		return fmt.Errorf("-a: %q given; allowed: create, delete", action)
	}
}
