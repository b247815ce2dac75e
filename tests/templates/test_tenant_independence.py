"""A new tenant or interpreter does not change a single byte of other tenants' templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.assemblies import synthesize

if TYPE_CHECKING:
    from pathlib import Path

NETWORK: dict[str, Any] = {
    "region": "eu-west-1",
    "availability_zones": {"eu-west-1a": "euw1-az1", "eu-west-1c": "euw1-az3"},
    "network": {},
}
SMALL: dict[str, Any] = {
    "claims": {"interpreters": {"one": {"network": "VPC"}}},
    "analytics": {"interpreters": {"two": {"network": "VPC"}}},
}
GROWN: dict[str, dict[str, Any]] = {
    "a tenant": {"aardvark": {"interpreters": {"three": {}}}, **SMALL},
    "an interpreter": {**SMALL, "claims": {"interpreters": {"three": {}, "one": {"network": "VPC"}}}},
}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("before")
    synthesize(directory, {**NETWORK, "tenants": SMALL})
    return _bytes(directory)


def _bytes(directory: Path) -> dict[str, bytes]:
    return {path.name.removesuffix(".template.json"): path.read_bytes() for path in directory.glob("*.template.json")}


@pytest.mark.parametrize(
    ("what", "changed", "added"),
    [("a tenant", {"storage", "fleet"}, {"aardvark"}), ("an interpreter", {"claims"}, set[str]())],
)
def test_additions_do_not_change_other_tenants(
    before: dict[str, bytes], tmp_path: Path, what: str, changed: set[str], added: set[str]
) -> None:
    synthesize(tmp_path, {**NETWORK, "tenants": GROWN[what]})
    after = _bytes(tmp_path)
    assert after.keys() - before.keys() == {f"sandpiper-one-{name}" for name in added}
    assert {name for name in before if after[name] != before[name]} == {f"sandpiper-one-{name}" for name in changed}
    old, new = (json.loads(one["sandpiper-one-storage"]) for one in (before, after))
    for template in (old, new):
        for resource in template["Resources"].values():
            resource.get("Properties", {}).pop("LifecycleConfiguration", None)
    assert new == old, "only lifecycle rules for the new folders differ"


def test_removing_a_tenant_does_not_change_other_tenants(before: dict[str, bytes], tmp_path: Path) -> None:
    synthesize(tmp_path, {**NETWORK, "tenants": {"analytics": SMALL["analytics"]}})
    after = _bytes(tmp_path)
    assert "sandpiper-one-claims" not in after
    assert after["sandpiper-one-analytics"] == before["sandpiper-one-analytics"]


def test_no_stack_exports_or_imports(before: dict[str, bytes]) -> None:
    assert "sandpiper-one-network" in before
    for name, template in before.items():
        assert b"Fn::ImportValue" not in template, name
        assert not [output for output in json.loads(template).get("Outputs", {}).values() if "Export" in output], name
