package main

import (
	"strings"
	"testing"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/protobuf/types/known/structpb"
)

func info(t *testing.T, options map[string]any) *pulumirpc.ProgramInfo {
	t.Helper()
	fields, err := structpb.NewStruct(options)
	if err != nil {
		t.Fatal(err)
	}
	return &pulumirpc.ProgramInfo{RootDirectory: "/project", ProgramDirectory: "/project/src", Options: fields}
}

func TestOptionsAreRead(t *testing.T) {
	options, err := parseOptions(info(t, map[string]any{"virtualenv": "venv", "toolchain": "uv"}))
	if err != nil {
		t.Fatal(err)
	}
	want := toolchain.PythonOptions{
		Root: "/project", ProgramDir: "/project/src", Virtualenv: "venv", Toolchain: toolchain.Uv,
	}
	if options != want {
		t.Errorf("got %+v", options)
	}
}

func TestEveryMistakeInTheOptionsIsReported(t *testing.T) {
	_, err := parseOptions(info(t, map[string]any{
		"virtualenv": 3.0, "toolchain": "conda", "typechecker": "mypy", "virtualenvs": "venv",
	}))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, part := range []string{
		"virtualenv: expected text, got 3", `toolchain: "conda" is unknown; allowed are pip, poetry, uv`,
		"typechecker: not supported", "virtualenvs: unknown option",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}
