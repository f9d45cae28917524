"""Images that a resource names, whoever starts their containers."""

from collections.abc import Iterator

from policies.kit.engine import has_image_id, is_container
from policies.kit.node import Node
from policies.kit.resource import CNPG, DOCKER, Resource, pods_of


def images_of(resource: Resource, root: Node) -> Iterator[Node]:
    """Every image by its name; one that a container of an engine names by an id is left to the RemoteImage it is of."""
    for pod in pods_of(resource, root):
        yield from (container.at("image") for container in pod.all_containers)
        for volume in pod.spec.at("volumes").items:
            if not volume.at("image").missing:
                yield volume.at("image", "reference")
    yield from _named_by_operator(resource, root.at("spec"))
    if is_container(resource) and not has_image_id(root):
        yield root.at("image")
    elif resource.is_a(DOCKER, "RemoteImage"):
        yield root.at("name")


def _named_by_operator(resource: Resource, spec: Node) -> list[Node]:
    """Images that a CloudNativePG resource names."""
    if resource.is_a(CNPG, "Cluster") and spec.at("imageCatalogRef").missing:
        return [spec.at("imageName")]
    if resource.is_a(CNPG, "Pooler"):
        own = [container.at("image") for container in spec.at("template", "spec", "containers").items]
        given = [image for image in own if image.value is not None]
        return [*given, spec.at("pgbouncer", "image")] if spec.at("pgbouncer", "image").value or not given else given
    if resource.is_a(CNPG, "ImageCatalog", "ClusterImageCatalog"):
        return [entry.at("image") for entry in spec.at("images").items]
    return []
