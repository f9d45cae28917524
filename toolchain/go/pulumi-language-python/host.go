package main

import (
	"context"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil"
	"github.com/pulumi/pulumi/sdk/v3/go/common/version"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
	"google.golang.org/protobuf/types/known/emptypb"
)

// languageHost answers the engine. Calls it does not implement (code generation, packing, linking) are answered
// Unimplemented by the embedded server.
type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer

	lifetime context.Context
	engine   string
	runner   string
	tracing  string

	mutex   sync.Mutex
	cancels []context.CancelFunc
}

// bound returns the call's context, ended also when the host ends.
func (h *languageHost) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(h.lifetime, cancel)
	return ctx, cancel
}

// cancellable is bound, ended also by the engine's Cancel. Plugins are not: they get their own Cancel, and the engine
// still asks them about the steps under way.
func (h *languageHost) cancellable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := h.bound(ctx)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.cancels = append(h.cancels, cancel)
	return ctx, cancel
}

func (h *languageHost) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for _, cancel := range h.cancels {
		cancel()
	}
	h.cancels = nil
	return &emptypb.Empty{}, nil
}

func (h *languageHost) Handshake(
	context.Context, *pulumirpc.LanguageHandshakeRequest,
) (*pulumirpc.LanguageHandshakeResponse, error) {
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

func (h *languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: version.Version}, nil
}

func (h *languageHost) About(ctx context.Context, req *pulumirpc.AboutRequest) (*pulumirpc.AboutResponse, error) {
	chain, options, err := resolve(req.GetInfo())
	if err != nil {
		return nil, err
	}
	info, err := chain.About(ctx)
	if err != nil {
		return nil, err
	}
	return &pulumirpc.AboutResponse{
		Executable: info.PythonExecutable,
		Version:    info.PythonVersion.String(),
		Metadata: map[string]string{
			"toolchain":        toolchain.Name(options.Toolchain),
			"toolchainVersion": info.ToolchainVersion.String(),
		},
	}, nil
}

func (h *languageHost) GetProgramDependencies(
	ctx context.Context, req *pulumirpc.GetProgramDependenciesRequest,
) (*pulumirpc.GetProgramDependenciesResponse, error) {
	chain, _, err := resolve(req.GetInfo())
	if err != nil {
		return nil, err
	}
	packages, err := chain.ListPackages(ctx, req.GetTransitiveDependencies())
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetProgramDependenciesResponse{}
	for _, p := range packages {
		response.Dependencies = append(response.Dependencies,
			&pulumirpc.DependencyInfo{Name: p.Name, Version: p.Version})
	}
	return response, nil
}

func (h *languageHost) InstallDependencies(
	req *pulumirpc.InstallDependenciesRequest, server pulumirpc.LanguageRuntime_InstallDependenciesServer,
) error {
	ctx, cancel := h.cancellable(server.Context())
	defer cancel()
	chain, _, err := resolve(req.GetInfo())
	if err != nil {
		return err
	}
	closer, stdout, stderr, err := rpcutil.MakeInstallDependenciesStreams(
		&installStream{LanguageRuntime_InstallDependenciesServer: server}, req.GetIsTerminal())
	if err != nil {
		return err
	}
	defer closer.Close()
	directory := req.GetInfo().GetProgramDirectory()
	err = chain.InstallDependencies(ctx, directory, req.GetUseLanguageVersionTools(), true, stdout, stderr)
	if err != nil {
		return err
	}
	return closer.Close()
}

func (h *languageHost) RuntimeOptionsPrompts(
	_ context.Context, req *pulumirpc.RuntimeOptionsRequest,
) (*pulumirpc.RuntimeOptionsResponse, error) {
	if _, chosen := req.GetInfo().GetOptions().GetFields()["toolchain"]; chosen {
		return &pulumirpc.RuntimeOptionsResponse{}, nil
	}
	text := pulumirpc.RuntimeOptionPrompt_STRING
	prompt := &pulumirpc.RuntimeOptionPrompt{
		Key:         "toolchain",
		Description: "The tool that installs Python dependencies",
		PromptType:  text,
	}
	for _, name := range toolchainNames() {
		prompt.Choices = append(prompt.Choices, &pulumirpc.RuntimeOptionPrompt_RuntimeOptionValue{
			PromptType: text, StringValue: name, DisplayName: name,
		})
	}
	prompt.Default = prompt.Choices[0]
	return &pulumirpc.RuntimeOptionsResponse{Prompts: []*pulumirpc.RuntimeOptionPrompt{prompt}}, nil
}
