"""Kubernetes objects of a deployed environment -> a kustomize base. Pure.

`base` holds everything but the secrets and can be kept in Git; `secrets` holds those, for who has no store of their
own; the folder above is both together. Kustomize documentation, "The Kustomization File".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components.core.problems import ConfigError, Problem
from stacks.export.deployed import Resource, forbid_secrets
from stacks.export.files import File, yaml_text

_OF_PULUMI = "pulumi.com/"
"""Begins the annotations that only tell Pulumi what to do."""
_SERVICE = "app.kubernetes.io/instance"
_SECRET_FIELDS = ("data", "stringData")


def render_manifests(environment: str, resources: Sequence[Resource]) -> dict[str, File]:
    """Files of the base by path: one for each object, in a folder for each service.

    Raises ConfigError where anything but a Secret holds a secret.
    """
    scaled = _scaled(resources)
    files: dict[str, File] = {}
    for resource in resources:
        secret = resource.inputs["kind"] == "Secret"
        forbid_secrets(resource, *(_SECRET_FIELDS if secret else ()))
        path = _path(resource.inputs)
        if path in files:
            raise ConfigError([Problem(path, f"two objects of {environment} would be this file; rename one of them")])
        files[path] = File(yaml_text(_manifest(resource.inputs, _identity(resource.inputs) in scaled)), secret)
    # Sorted, since state has them as they happened to be made; what belongs to no service comes first.
    order = sorted(files, key=lambda path: (path.count("/"), path))
    folders = {folder: [path for path in order if path.startswith(f"{folder}/")] for folder in ("base", "secrets")}
    files |= {
        f"{folder}/kustomization.yaml": File(_kustomization([path.removeprefix(f"{folder}/") for path in paths]))
        for folder, paths in folders.items()
        if paths
    }
    files["kustomization.yaml"] = File(_kustomization([folder for folder, paths in folders.items() if paths]))
    files[".gitignore"] = File("# Not even encrypted.\n/secrets/\n")
    return files


def _manifest(inputs: Mapping[str, Any], scaled: bool) -> dict[str, Any]:
    """The object as it was sent, without what is Pulumi's own.

    Kubernetes documentation, "Migrating Deployments and StatefulSets to horizontal autoscaling": a manifest leaves the
    size to the autoscaler, or each apply would set it back.
    """
    metadata = dict(inputs["metadata"])
    annotations = {k: v for k, v in metadata.pop("annotations", {}).items() if not k.startswith(_OF_PULUMI)}
    if annotations:
        metadata["annotations"] = annotations
    manifest = {"apiVersion": inputs["apiVersion"], "kind": inputs["kind"], **inputs, "metadata": metadata}
    if scaled:
        manifest["spec"] = {field: value for field, value in inputs["spec"].items() if field != "replicas"}
    return manifest


def _scaled(resources: Sequence[Resource]) -> set[tuple[str, str]]:
    """Kind and name of what an autoscaler gives its size."""
    targets = [r.inputs["spec"]["scaleTargetRef"] for r in resources if r.kind == "HorizontalPodAutoscaler"]
    return {(target["kind"], target["name"]) for target in targets}


def _identity(inputs: Mapping[str, Any]) -> tuple[str, str]:
    return inputs["kind"], inputs["metadata"]["name"]


def _path(inputs: Mapping[str, Any]) -> str:
    kind, name = _identity(inputs)
    service = inputs["metadata"].get("labels", {}).get(_SERVICE)
    file = f"{kind.lower()}-{name}.yaml"
    if kind == "Secret":
        return f"secrets/{file}"
    return f"base/{service}/{file}" if service else f"base/{file}"


def _kustomization(paths: Sequence[str]) -> str:
    head = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    return yaml_text({**head, "resources": list(paths)})
