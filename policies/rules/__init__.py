"""Every rule, one per file. Levels and parameters are in packs/; what a rule refers to is in its own file."""

from policies.rules import (
    disruption_budget,
    network_isolation,
    no_secret_in_plain,
    pinned_images,
    pod_hardening,
    regional_placement,
    require_owner,
    require_tls,
    stateful_protection,
    supported_versions,
)

RULES = (
    disruption_budget.RULE,
    network_isolation.RULE,
    no_secret_in_plain.RULE,
    pinned_images.RULE,
    pod_hardening.RULE,
    regional_placement.RULE,
    require_owner.RULE,
    require_tls.RULE,
    stateful_protection.RULE,
    supported_versions.RULE,
)
