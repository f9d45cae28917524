package main

import (
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/protobuf/types/known/structpb"
)

// toolchainNames lists the values of the "toolchain" option, the usual one first.
func toolchainNames() []string { return []string{"pip", "poetry", "uv"} }

// resolve turns the runtime options of a project, plugin or policy pack into its Python environment.
func resolve(info *pulumirpc.ProgramInfo) (toolchain.Toolchain, toolchain.PythonOptions, error) {
	options, err := parseOptions(info)
	if err != nil {
		return nil, options, err
	}
	chain, err := toolchain.ResolveToolchain(options)
	return chain, options, err
}

// parseOptions reads runtime.options and reports every mistake in it at once.
func parseOptions(info *pulumirpc.ProgramInfo) (toolchain.PythonOptions, error) {
	options := toolchain.PythonOptions{Root: info.GetRootDirectory(), ProgramDir: info.GetProgramDirectory()}
	var mistakes []string
	fields := info.GetOptions().GetFields()
	for _, key := range sortedKeys(fields) {
		value, isText := fields[key].GetKind().(*structpb.Value_StringValue)
		switch {
		case key == "typechecker":
			mistakes = append(mistakes, "typechecker: not supported by this language host; remove it and run the type "+
				"checker as a step of its own")
		case key != "virtualenv" && key != "toolchain":
			mistakes = append(mistakes, fmt.Sprintf("%s: unknown option; allowed are virtualenv and toolchain", key))
		case !isText:
			mistakes = append(mistakes, fmt.Sprintf("%s: expected text, got %v", key, fields[key].AsInterface()))
		case key == "virtualenv":
			options.Virtualenv = value.StringValue
		case !setToolchain(&options, value.StringValue):
			mistakes = append(mistakes, fmt.Sprintf("toolchain: %q is unknown; allowed are %s",
				value.StringValue, strings.Join(toolchainNames(), ", ")))
		}
	}
	if len(mistakes) > 0 {
		return options, fmt.Errorf("runtime.options in %s: %s",
			filepath.Clean(info.GetRootDirectory()), strings.Join(mistakes, "; "))
	}
	return options, nil
}

func setToolchain(options *toolchain.PythonOptions, name string) bool {
	switch name {
	case "pip":
		options.Toolchain = toolchain.Pip
	case "poetry":
		options.Toolchain = toolchain.Poetry
	case "uv":
		options.Toolchain = toolchain.Uv
	default:
		return false
	}
	return true
}

func sortedKeys(fields map[string]*structpb.Value) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
