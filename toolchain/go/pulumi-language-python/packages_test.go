package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func scan(t *testing.T, directories ...string) []string {
	t.Helper()
	packages, err := scanPackages(directories)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for _, p := range packages {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", p.Kind, p.Name, p.Version, p.Server)))
	}
	return lines
}

func TestDeclaredPluginsAreFound(t *testing.T) {
	site := t.TempDir()
	write(t, site, map[string]string{
		"pulumi_random/pulumi-plugin.json": `{"resource": true, "name": "random", "version": "4.21.4"}`,
		"pulumi_acme/pulumi-plugin.json":   `{"resource": true, "name": "acme", "version": "1.0.0", "server": "https://acme.test"}`,
		"pulumi_policy/pulumi-plugin.json": `{"resource": false}`,
		"requests/__init__.py":             "",
	})
	want := []string{"resource acme v1.0.0 https://acme.test", "resource random v4.21.4"}
	if got := scan(t, site); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNameAndVersionComeFromTheInstallationWhenNotDeclared(t *testing.T) {
	site := t.TempDir()
	write(t, site, map[string]string{
		"pulumi_aws_native/pulumi-plugin.json":          `{"resource": true}`,
		"pulumi_aws_native-1.2.0rc3.dist-info/METADATA": "",
		"pulumi_aws-9.9.9.dist-info/METADATA":           "",
	})
	want := []string{"resource aws-native v1.2.0-rc.3"}
	if got := scan(t, site); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEditableInstallsAreFollowedAndTheFirstPackageWins(t *testing.T) {
	site, source := t.TempDir(), t.TempDir()
	write(t, site, map[string]string{
		"pulumi_tls/pulumi-plugin.json": `{"resource": true, "name": "tls", "version": "5.6.2"}`,
		"linked.pth":                    "# comment\nimport sys\n" + source + "\n/does/not/exist\n",
	})
	write(t, source, map[string]string{
		"pulumi_tls/pulumi-plugin.json":  `{"resource": true, "name": "tls", "version": "1.0.0"}`,
		"pulumi_mine/pulumi-plugin.json": `{"resource": true, "name": "mine", "version": "0.1.0"}`,
	})
	want := []string{"resource mine v0.1.0", "resource tls v5.6.2"}
	if got := scan(t, site); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBrokenDeclarationNamesItsFile(t *testing.T) {
	site := t.TempDir()
	write(t, site, map[string]string{"pulumi_x/pulumi-plugin.json": `{"resource": tru`})
	_, err := scanPackages([]string{site})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(site, "pulumi_x", pluginFile)) {
		t.Errorf("got %v", err)
	}
}

func TestOnlyEnvironmentsWithoutSystemPackagesAreReadFromTheirLayout(t *testing.T) {
	for text, want := range map[string]bool{
		"home = /usr/bin\ninclude-system-site-packages = false\n": true,
		"home = /usr/bin\ninclude-system-site-packages = true\n":  false,
	} {
		virtualenv := t.TempDir()
		write(t, virtualenv, map[string]string{"pyvenv.cfg": text})
		if got := isClosed(virtualenv); got != want {
			t.Errorf("%q: got %v", text, got)
		}
	}
	if isClosed(t.TempDir()) {
		t.Error("a folder without pyvenv.cfg is no closed environment")
	}
}
