"""Whatever an environment makes, the policies for CloudFormation's role let it be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.deployment_policy import GRANTS
from tests.templates import private_network
from tests.templates.conftest import synthesise

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = {"AWS::CDK::Metadata"}
"""Types that call no service."""


def test_every_type_that_an_environment_has_is_in_the_table(tmp_path: Path) -> None:
    full = synthesise(
        tmp_path / "full",
        {"budget": {"usd_a_month": 400, "emails": ("a@example.com",)}, "data_bucket": {"key": "own"}},
        interpreters={"one": {"callers": ("arn:aws:iam::123456789012:role/agent",)}},
    )
    private = private_network.synthesised(tmp_path / "private")
    found = {
        resource["Type"]
        for assembly in (full, private)
        for template in assembly.templates.values()
        for resource in template.content["Resources"].values()
    }
    assert len(found) > 20
    known = {kind for grant in GRANTS for kind in grant.types} | OTHERS
    assert found <= known, f"add what deploying {found - known} takes to sandpiper/deployment_policy.py"
