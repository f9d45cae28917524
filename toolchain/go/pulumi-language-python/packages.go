package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

const pluginFile = "pulumi-plugin.json"

// GetRequiredPackages reports the plugins that the installed provider SDKs declare. Where the virtual environment does
// not exist yet, it is made first, as the engine expects.
func (h *languageHost) GetRequiredPackages(
	ctx context.Context, req *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	packages, err := requiredPackages(ctx, req.GetInfo())
	if err != nil {
		return nil, err
	}
	return &pulumirpc.GetRequiredPackagesResponse{Packages: packages}, nil
}

func (h *languageHost) GetRequiredPlugins(
	ctx context.Context, req *pulumirpc.GetRequiredPluginsRequest,
) (*pulumirpc.GetRequiredPluginsResponse, error) {
	packages, err := requiredPackages(ctx, req.GetInfo())
	if err != nil {
		return nil, err
	}
	response := &pulumirpc.GetRequiredPluginsResponse{}
	for _, p := range packages {
		response.Plugins = append(response.Plugins, &pulumirpc.PluginDependency{
			Name: p.Name, Kind: p.Kind, Version: p.Version, Server: p.Server,
		})
	}
	return response, nil
}

func requiredPackages(ctx context.Context, info *pulumirpc.ProgramInfo) ([]*pulumirpc.PackageDependency, error) {
	chain, options, err := resolve(info)
	if err != nil {
		return nil, err
	}
	err = chain.EnsureVenv(ctx, options.ProgramDir, false, true, os.Stdout, os.Stderr)
	if err != nil {
		return nil, err
	}
	if err := chain.ValidateVenv(ctx); err != nil {
		return nil, err
	}
	directories, err := packageDirectories(ctx, chain)
	if err != nil {
		return nil, err
	}
	return scanPackages(directories)
}

// packageDirectories lists where the environment's packages lie. A virtual environment that is closed to the system's
// packages says so by its layout; only for others Python itself is asked, which takes a process.
func packageDirectories(ctx context.Context, chain toolchain.Toolchain) ([]string, error) {
	virtualenv, err := chain.VirtualEnvPath(ctx)
	if err != nil {
		return nil, err
	}
	if virtualenv != "" && isClosed(virtualenv) {
		return filepath.Glob(filepath.Join(virtualenv, "lib", "python*", "site-packages"))
	}
	cmd, err := chain.Command(ctx, "-c", "import sys; print('\\n'.join(p for p in sys.path if p))")
	if err != nil {
		return nil, err
	}
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s where its packages are: %w", cmd.Path, err)
	}
	return strings.Split(strings.TrimSpace(string(output)), "\n"), nil
}

var systemPackages = regexp.MustCompile(`(?mi)^\s*include-system-site-packages\s*=\s*true\s*$`)

func isClosed(virtualenv string) bool {
	text, err := os.ReadFile(filepath.Join(virtualenv, "pyvenv.cfg"))
	return err == nil && !systemPackages.Match(text)
}

// scanPackages reads every plugin declaration below the directories, and below those that their path files add
// (editable installs). The first directory with a package wins, as it does on import.
func scanPackages(directories []string) ([]*pulumirpc.PackageDependency, error) {
	var found []*pulumirpc.PackageDependency
	seen := map[string]bool{}
	for i := 0; i < len(directories); i++ {
		directory := directories[i]
		directories = append(directories, addedPaths(directory)...)
		files, err := filepath.Glob(filepath.Join(directory, "*", pluginFile))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			module := filepath.Base(filepath.Dir(file))
			if seen[module] {
				continue
			}
			seen[module] = true
			dependency, err := readPluginFile(file)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			if dependency != nil {
				found = append(found, dependency)
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

// addedPaths reads the directories named in a directory's .pth files. Lines that Python would execute are passed over.
func addedPaths(directory string) []string {
	var paths []string
	files, _ := filepath.Glob(filepath.Join(directory, "*.pth"))
	for _, name := range files {
		file, err := os.Open(name)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			line := strings.TrimSpace(lines.Text())
			if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "import ") {
				continue
			}
			if !filepath.IsAbs(line) {
				line = filepath.Join(directory, line)
			}
			if info, err := os.Stat(line); err == nil && info.IsDir() && line != directory {
				paths = append(paths, line)
			}
		}
		file.Close()
	}
	return paths
}

// readPluginFile returns nil for a package that declares to have no plugin.
func readPluginFile(file string) (*pulumirpc.PackageDependency, error) {
	declared, err := plugin.LoadPulumiPluginJSON(file)
	if err != nil {
		return nil, err
	}
	if !declared.Resource {
		return nil, nil
	}
	module := filepath.Dir(file)
	name, version := declared.Name, declared.Version
	if name == "" {
		name = strings.ReplaceAll(strings.TrimPrefix(filepath.Base(module), "pulumi_"), "_", "-")
	}
	if version == "" {
		if version, err = installedVersion(module); err != nil {
			return nil, err
		}
	}
	return &pulumirpc.PackageDependency{
		Name:             name,
		Kind:             string(apitype.ResourcePlugin),
		Version:          "v" + strings.TrimPrefix(version, "v"),
		Server:           declared.Server,
		Parameterization: parameterization(declared.Parameterization),
		Extension:        parameterization(declared.ExtensionParameterization),
	}, nil
}

// installedVersion reads a package's version off the metadata directory that the installer put beside it.
func installedVersion(module string) (string, error) {
	entries, err := os.ReadDir(filepath.Dir(module))
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		stem, isMetadata := strings.CutSuffix(entry.Name(), ".dist-info")
		name, version, hasVersion := strings.Cut(stem, "-")
		if isMetadata && hasVersion && strings.EqualFold(name, filepath.Base(module)) {
			parsed, err := toolchain.ParsePythonVersion(version)
			if err != nil {
				return "", err
			}
			return parsed.String(), nil
		}
	}
	return "", errors.New("it declares no version and no metadata directory lies beside the package")
}

func parameterization(p *plugin.PulumiParameterizationJSON) *pulumirpc.PackageParameterization {
	if p == nil {
		return nil
	}
	return &pulumirpc.PackageParameterization{Name: p.Name, Version: p.Version, Value: p.Value}
}
