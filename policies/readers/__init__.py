"""Readers of rendered server configuration: text in, problems out. They know file formats, and no Kubernetes."""
