// Command pulumi-tfgen-random writes the schema that pulumi-resource-random embeds.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"

	"github.com/terraform-providers/terraform-provider-random/plugin"
)

func main() {
	tfgen.Main("random", plugin.Info())
}
