"""Targets: the only code that knows how a plan becomes resources on Docker or on Kubernetes."""
