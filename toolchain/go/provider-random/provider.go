// Package plugin describes the Terraform provider "random" as the Pulumi package "random": which type token each
// resource has in the published SDKs. The module carries the Terraform provider's path, so that it may import the
// provider's internal package.
package plugin

import (
	"context"
	_ "embed"
	"errors"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"github.com/terraform-providers/terraform-provider-random/internal/provider"
)

const name = "random"

// Version is set by the linker.
var Version string

//go:embed cmd/pulumi-resource-random/bridge-metadata.json
var metadata []byte

func Info() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		Name:         name,
		P:            pf.ShimProvider(provider.New()),
		Version:      Version,
		MetadataInfo: tfbridge.NewProviderMetadata(metadata),
		Resources: map[string]*tfbridge.ResourceInfo{
			"random_bytes": {ComputeID: bytesID},
		},
	}
	// The SDK's names keep the prefix: random_pet is RandomPet.
	info.MustComputeTokens(tokens.SingleModule("random_", "index", func(module, typ string) (string, error) {
		return tokens.MakeStandard(name)(module, "Random"+typ)
	}))
	return info
}

// bytesID gives random_bytes the identifier it lacks in Terraform.
func bytesID(_ context.Context, state resource.PropertyMap) (resource.ID, error) {
	value := state["base64"]
	if value.IsSecret() {
		value = value.SecretValue().Element
	}
	if !value.IsString() {
		return "", errors.New("random_bytes: the provider returned no base64 text to identify the resource by")
	}
	return resource.ID(value.StringValue()), nil
}
