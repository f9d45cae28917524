// The operators whose custom resource definitions the embedded cluster serves; no code is built from them.
module groundwork.dev/toolchain/crds

go 1.26.0

require (
	github.com/cloudnative-pg/cloudnative-pg v1.30.0
	github.com/cloudnative-pg/plugin-barman-cloud v0.15.0
)
