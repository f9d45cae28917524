// Command pulumi-tfgen-docker writes the schema that pulumi-resource-docker embeds.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"

	"github.com/terraform-providers/terraform-provider-docker/plugin"
)

func main() {
	tfgen.Main("docker", plugin.Version, plugin.Info())
}
