// Command pulumi-resource-docker is the provider plugin for a Docker engine.
package main

import (
	_ "embed"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"

	"github.com/terraform-providers/terraform-provider-docker/plugin"
)

//go:embed schema.json
var schema []byte

func main() {
	tfbridge.Main("docker", plugin.Version, plugin.Info(), schema)
}
