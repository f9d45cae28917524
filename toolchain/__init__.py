"""Pulumi, its plugins and the binaries of the embedded cluster, ready to use on this machine.

For: a fresh machine gets every tool at its pinned version with one command, on an open or a closed network. It runs
before the project's virtual environment exists, so it uses the standard library only. It deliberately does not
configure stacks, log in to a backend or change anything outside the user's cache and state folders and `.venv`.
"""
