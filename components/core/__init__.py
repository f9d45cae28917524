"""What every component is made of: vocabulary, specs, workloads and bindings.

Imports only pulumi and pydantic. Knows no provider, no environment and no other component.
"""
