// Command pulumi-resource-random is the provider plugin for random values.
package main

import (
	"context"
	_ "embed"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"github.com/terraform-providers/terraform-provider-random/plugin"
)

//go:embed schema.json
var schema []byte

func main() {
	pf.Main(context.Background(), "random", plugin.Info(), pf.ProviderMetadata{PackageSchema: schema})
}
