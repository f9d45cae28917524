"""The real CLI, providers and API server, on an embedded cluster of their own."""
