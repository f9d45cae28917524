"""What the Kubernetes target makes of a workload, where golden files don't say why."""

from dataclasses import replace
from typing import Any

import pytest

from components.core.site import Placement
from components.core.workload import Autoscale, Container, File, Listener, Probe, Scratch, Volume, Workload
from components.targets.kubernetes.manifests import config_hash, render_workload

PLACEMENT = Placement(region="eu-central-1", zones=3)
MAIN = Container(
    name="main",
    image="registry.example/main:1.0.0",
    readiness=Probe(path="/ready", port=8443),
    liveness=Probe(path="/live", port=8443),
    cpu="100m",
    memory="128Mi",
    listeners=(Listener("https", 8443, "https", "server", published=443),),
)
STATELESS = Workload("web", "app", "1.0.0", (MAIN,), owner="team-x", data_class="internal", uid=10001, replicas=3)
STATEFUL = replace(STATELESS, stateful=True, volumes=(Volume("data", "/data", "1Gi"),))


def rendered(workload: Workload, load_balancer: bool = False) -> dict[str, Any]:
    manifests: Any = render_workload(workload, "test", "groundwork-test", PLACEMENT, "fast", load_balancer)
    return dict(manifests)


def zones(workload: Workload) -> dict[str, Any]:
    pod = rendered(workload)["set"]["spec"]["template"]["spec"]
    found: dict[str, Any] = pod["topologySpreadConstraints"][0]
    return found


def test_what_has_volumes_waits_for_its_zone_and_what_has_none_moves_on() -> None:
    assert zones(STATEFUL)["minDomains"] == 3
    assert "matchLabelKeys" not in zones(STATEFUL)
    assert zones(STATELESS)["minDomains"] == 2
    assert zones(STATELESS)["nodeTaintsPolicy"] == "Honor"


def test_an_update_counts_each_revision_by_itself() -> None:
    assert zones(STATELESS)["matchLabelKeys"] == ["pod-template-hash"]


def test_a_single_instance_may_run_in_any_zone() -> None:
    assert zones(replace(STATELESS, replicas=1))["whenUnsatisfiable"] == "ScheduleAnyway"


def test_the_service_offers_the_published_port() -> None:
    (port,) = rendered(STATELESS)["service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (443, "https")
    assert rendered(replace(STATELESS, headless=True))["peers"]["spec"]["ports"][0]["port"] == 443


def test_only_a_public_workload_gets_an_address_outside() -> None:
    assert rendered(STATELESS, load_balancer=True)["service"]["spec"]["type"] == "ClusterIP"
    assert rendered(replace(STATELESS, public=True), load_balancer=True)["service"]["spec"]["type"] == "LoadBalancer"
    assert rendered(replace(STATELESS, public=True))["service"]["spec"]["type"] == "ClusterIP"


def test_scratch_space_is_part_of_the_limit_it_is_charged_to() -> None:
    pod = rendered(replace(STATELESS, scratch=(Scratch("tmp", "/tmp", "64Mi"),)))["set"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["ephemeral-storage"] == "320Mi"


def test_a_set_without_volumes_has_no_claim_templates_at_all() -> None:
    """The server keeps no empty list, and a difference in this field replaces the whole set."""
    assert "volumeClaimTemplates" not in rendered(replace(STATEFUL, volumes=()))["set"]["spec"]


def test_an_autoscaled_workload_starts_with_its_minimum() -> None:
    scaled = rendered(replace(STATELESS, autoscale=Autoscale(2, 6, 70)))
    assert scaled["set"]["spec"]["replicas"] == 2
    assert scaled["scale"]["spec"]["minReplicas"] == 2


def test_pods_restart_when_a_configuration_file_changes_and_only_then() -> None:
    before = replace(STATELESS, files=(File("/etc/web/web.conf", "a"),))
    after = replace(STATELESS, files=(File("/etc/web/web.conf", "b"),))
    assert config_hash(before) != config_hash(after)
    assert config_hash(before) == config_hash(replace(before, replicas=5))


def test_two_files_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two configuration files share a name"):
        rendered(replace(STATELESS, files=(File("/a/x.conf", ""), File("/b/x.conf", ""))))


def test_draining_waits_before_the_process_is_told() -> None:
    pod = rendered(replace(STATELESS, drain_seconds=8))["set"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 8}}}
