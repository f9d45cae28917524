// Package plugin describes the Terraform provider "tls" as the Pulumi package "tls": which type token each resource has
// in the published SDKs. The module carries the Terraform provider's path, so that it may import the provider's internal
// package.
package plugin

import (
	_ "embed"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"

	"github.com/hashicorp/terraform-provider-tls/internal/provider"
)

const name = "tls"

// Version is set by the linker.
var Version string

//go:embed cmd/pulumi-resource-tls/bridge-metadata.json
var metadata []byte

func Info() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		Name:         name,
		P:            pf.ShimProvider(provider.New()),
		Version:      Version,
		MetadataInfo: tfbridge.NewProviderMetadata(metadata),
	}
	info.MustComputeTokens(tokens.SingleModule("tls_", "index", tokens.MakeStandard(name)))
	return info
}
