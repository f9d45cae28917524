"""Kubernetes clusters as the commands see them: one's own, the embedded one, and that with a real node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stacks.places import Say, await_all
from stacks.places.hints import call_hints

_SIMULATED = (
    "This environment is on the embedded cluster: the API server, scheduler and controllers are real, nodes and pods "
    "are simulated. Nothing listens at these addresses; name a cluster of your own in Pulumi.{stack}.yaml to run it."
)
_UNPRIVILEGED = 1024


class Cluster:
    """A Kubernetes cluster of one's own: it is there, or the program says that it is not."""

    def __init__(self, stack: str) -> None:
        self._stack = stack

    def start(self) -> bool:
        """It is not ours to start."""
        return False

    def provide(self, images: Sequence[str]) -> None:
        """Its nodes fetch images themselves."""

    def mend(self) -> None:
        """Its controllers do that."""

    def is_missing_any(self, names: Mapping[str, bool]) -> bool:  # noqa: ARG002
        """What was deleted by hand is found by `pulumi refresh`."""
        return False

    def remove(self, kind: str, name: str) -> None:
        """Every object there has an id that is known without asking, so nothing needs to be removed."""

    def await_ready(self) -> None:
        """`pulumi` has waited for the pods."""

    def last_words(self) -> str:
        """`pulumi` has told what became of each pod."""
        return ""

    def await_gone(self) -> None:
        """`pulumi` has waited for the namespace."""

    def hints(self, endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
        """Port-forwards."""
        return [self._forward(endpoint) for endpoint in endpoints if endpoint["external"]]

    def _forward(self, endpoint: Mapping[str, Any]) -> str:
        service, port = endpoint["service"], endpoint["port"]
        local = port if port >= _UNPRIVILEGED else port + 8000
        return f"kubectl -n groundwork-{self._stack} port-forward service/{service} {local}:{port}"


class EmbeddedCluster(Cluster):
    """The toolchain's cluster on this machine, with simulated nodes."""

    def __init__(self, stack: str, region: str) -> None:
        super().__init__(stack)
        self._region = region

    def start(self) -> bool:
        """Start it, or make it with nodes in the environment's region."""
        from toolchain.cluster import ensure

        return ensure(region=self._region).created if self._region else ensure().created

    def await_gone(self) -> None:
        """Volumes are reclaimed after their namespace."""
        from toolchain.cluster import await_release

        await_release(f"groundwork-{self._stack}")

    def hints(self, endpoints: Sequence[Mapping[str, Any]]) -> list[str]:  # noqa: ARG002
        """Nothing is to be reached there."""
        return [_SIMULATED.format(stack=self._stack)]


class NodeCluster(Cluster):
    """The toolchain's cluster on this machine, with one real node."""

    def __init__(self, stack: str, region: str, say: Say) -> None:
        super().__init__(stack)
        self._region = region
        self._say = say

    def start(self) -> bool:
        """Start it, or make it with its node in the environment's region."""
        from toolchain.node.cluster import ensure

        return ensure(self._region).created if self._region else ensure().created

    def provide(self, images: Sequence[str]) -> None:
        """Bring the images to the node, where no registry can be reached."""
        from toolchain.node.loading import ensure_images

        ensure_images(images, self._say)

    def await_ready(self) -> None:
        """`pulumi` waits for what it changes; a node that was started again has pods to start again."""
        await_all("every pod to be ready", self._unready, self.last_words, self._say)

    def last_words(self) -> str:
        """Pods that are not ready, and how to look at them."""
        unready = self._unready()
        look = f"python3 -m toolchain cluster kubectl --node -- describe pods -n groundwork-{self._stack}"
        return f"not ready: {', '.join(unready)}; {look}" if unready else ""

    def _unready(self) -> list[str]:
        """Pods that should serve and don't; one that has done its work need not."""
        from toolchain.node.profile import connect
        from toolchain.simulated_nodes import is_ready

        pods = connect().get(f"/api/v1/namespaces/groundwork-{self._stack}/pods")["items"] or []
        return sorted(p["metadata"]["name"] for p in pods if p["status"]["phase"] != "Succeeded" and not is_ready(p))

    def await_gone(self) -> None:
        """Volumes are reclaimed after their namespace."""
        from toolchain.cluster import await_release
        from toolchain.node.profile import connect

        await_release(f"groundwork-{self._stack}", connect())

    def hints(self, endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
        """This machine has routes to the cluster's services."""
        from toolchain.node.profile import connect

        outside = [endpoint for endpoint in endpoints if endpoint["external"]]
        if not outside:
            return []
        service = connect().get(f"/api/v1/namespaces/groundwork-{self._stack}/services/{outside[0]['service']}")
        return call_hints(self._stack, outside, service["spec"]["clusterIP"])
