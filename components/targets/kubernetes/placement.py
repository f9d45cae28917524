"""Placement as Kubernetes understands it: node affinity, zone spread and volume topology. Pure."""

from components.core.site import Placement
from components.targets.kubernetes.labels import Manifest, instance_selector

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"


def region_affinity(placement: Placement) -> Manifest:
    """Node affinity that refuses every node outside the region."""
    return {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [_in(REGION, placement.region)]}]
        }
    }


def zone_spread(
    service: str, placement: Placement, replicas: int, rolling: bool = False, part: str = ""
) -> list[Manifest]:
    """Spread over zones, which is a condition where replicas could share one without need, and over nodes.

    `rolling`: pods of a Deployment. They may run in any zone, and during an update there are two revisions of them.
    """
    required = replicas > 1 and placement.zones > 1
    zones: Manifest = {
        "maxSkew": 1,
        "topologyKey": ZONE,
        "whenUnsatisfiable": "DoNotSchedule" if required else "ScheduleAnyway",
        "labelSelector": instance_selector(service, part),
    }
    if required:
        # What has a volume waits for its own zone when that is lost; what has none moves to the zones that are left.
        zones["minDomains"] = min(replicas, placement.zones - 1 if rolling else placement.zones)
    if rolling:
        # Each revision by itself, or an update ends with two pods in one zone; a zone without a usable node is none.
        zones |= {"matchLabelKeys": ["pod-template-hash"], "nodeTaintsPolicy": "Honor"}
    nodes = {**zones, "topologyKey": HOST, "whenUnsatisfiable": "ScheduleAnyway"}
    nodes.pop("minDomains", None)
    return [zones, nodes]


def volume_topology(placement: Placement) -> list[Manifest]:
    """Topology terms that keep a volume in the region; its zone follows the pod that claims it."""
    return [{"matchLabelExpressions": [{"key": REGION, "values": [placement.region]}]}]


def _in(key: str, *values: str) -> Manifest:
    return {"key": key, "operator": "In", "values": list(values)}
