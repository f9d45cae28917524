"""A real node for an embedded cluster of its own, on Linux as root: real containers, networks, policies and volumes.

`cluster.py` brings it to life and takes it away, and is what others call. The node lives in namespaces of its own
(`machine.py`, `network.py`), so the machine's own firewall, mounts, container engines and kubelets never meet it.
"""
