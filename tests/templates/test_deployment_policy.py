"""Whatever an environment makes, the policies for CloudFormation's role let it be made."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

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


def test_what_is_held_by_its_tag_is_made_with_it(tmp_path: Path) -> None:
    """As the template says it, and the CloudFormation registry that the type's handler gives it at creation."""
    private = private_network.synthesised(tmp_path / "private")
    held = ("AWS::EC2::", "AWS::Route53Resolver::", "AWS::KMS::")
    made = [
        resource
        for template in private.templates.values()
        for resource in template.content["Resources"].values()
        if resource["Type"].startswith(held)
    ]
    untagged = {each["Type"] for each in made if not tagging(each["Type"])["taggable"]}
    assert untagged == {  # they are judged by what they are in
        *("AWS::EC2::SecurityGroupEgress", "AWS::EC2::SubnetRouteTableAssociation"),
        "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
    }
    tagged = [each for each in made if each["Type"] not in untagged]
    assert len({each["Type"] for each in tagged}) > 9
    for each in tagged:
        assert tagging(each["Type"])["tagOnCreate"], each["Type"]
        assert {"Key": "sandpiper:environment", "Value": "private"} in each["Properties"].get("Tags", []), each["Type"]


def tagging(kind: str) -> dict[str, Any]:
    """What the CloudFormation registry says of a type's tags, as cfn-lint brings it."""
    schemas = files("cfnlint") / "data/schemas"
    names: dict[str, str] = json.loads((schemas / "providers/us-east-1.json").read_text())
    return json.loads((schemas / f"resources/{names[kind]}.json").read_text())["tagging"]
