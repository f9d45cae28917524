"""URNs are for ever: a changed one replaces its resource, a database among them.

`tests/urns/<environment>.txt` lists what each committed environment declares. A line that goes needs an alias and a
line in the changelog; then `make golden` writes the list anew.
"""

from pathlib import Path

import pytest

from tests.support.environments import committed, load
from tests.support.recording import record

HERE = Path(__file__).parent


@pytest.mark.parametrize("environment", committed())
def test_no_urn_changed(environment: str, request: pytest.FixtureRequest) -> None:
    _, recorded = record(load(environment))
    found = sorted("::".join(resource.urn.split("::")[2:]) for resource in recorded)
    assert len(found) == len(set(found))
    snapshot = HERE / f"{environment}.txt"
    if request.config.getoption("--update-golden"):
        snapshot.write_text("\n".join(found) + "\n")
    known = snapshot.read_text().splitlines()
    gone, new = sorted(set(known) - set(found)), sorted(set(found) - set(known))
    assert not gone, f"these resources would be destroyed; keep their names or add aliases: {gone}"
    assert not new, f"run `make golden` to list what is new: {new}"
