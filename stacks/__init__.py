"""Which things exist, per environment. Knows configuration, knows no provider."""
