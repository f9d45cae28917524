// Command pulumi-resource-tls is the provider plugin for keys and certificates.
package main

import (
	"context"
	_ "embed"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"github.com/hashicorp/terraform-provider-tls/plugin"
)

//go:embed schema.json
var schema []byte

func main() {
	pf.Main(context.Background(), "tls", plugin.Info(), pf.ProviderMetadata{PackageSchema: schema})
}
