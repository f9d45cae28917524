// Command pulumi-tfgen-tls writes the schema that pulumi-resource-tls embeds.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfgen"

	"github.com/hashicorp/terraform-provider-tls/plugin"
)

func main() {
	tfgen.Main("tls", plugin.Info())
}
