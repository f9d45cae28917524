// Package plugin describes the Terraform provider "docker" as the Pulumi package "docker": which type token each
// resource has in the published SDKs. The module carries the Terraform provider's path, so that it may import the
// provider's internal package. The SDK's Image resource is no part of the Terraform provider and is absent here.
package plugin

import (
	_ "embed"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	sdkv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"

	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

const name = "docker"

// Version is set by the linker.
var Version string

//go:embed cmd/pulumi-resource-docker/bridge-metadata.json
var metadata []byte

func Info() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		Name:         name,
		P:            sdkv2.NewProvider(provider.New(Version)()),
		Version:      Version,
		MetadataInfo: tfbridge.NewProviderMetadata(metadata),
		Config:       map[string]*tfbridge.SchemaInfo{"registry_auth": {Name: "registryAuth"}},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_config": {Tok: "docker:index/serviceConfig:ServiceConfig"},
			"docker_container": {Fields: map[string]*tfbridge.SchemaInfo{
				"command":           {Name: "command"},
				"networks_advanced": {Name: "networksAdvanced"},
			}},
			// An image's name says which image it is, so none is made up.
			"docker_image": {
				Tok:    "docker:index/remoteImage:RemoteImage",
				Fields: map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}},
			},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image": {Tok: "docker:index/getRemoteImage:getRemoteImage"},
		},
	}
	info.MustComputeTokens(tokens.SingleModule("docker_", "index", tokens.MakeStandard(name)))
	info.SetAutonaming(255, "-")
	return info
}
