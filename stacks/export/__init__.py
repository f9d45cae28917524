"""A deployed environment as files that other tools take: a compose file, a kustomize base.

Everything comes from the stack's state, so it is what Pulumi deployed and not what it would deploy.
"""
