"""Tests that the deployment policies cover every resource type of the templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandpiper.deployment_policy import GRANTS
from tests.support import private_network
from tests.support.assemblies import synthesize
from tests.support.resource_schemas import SCHEMAS

if TYPE_CHECKING:
    from pathlib import Path

NO_SERVICE = {"AWS::CDK::Metadata"}
"""Resource types that call no service."""


def test_every_resource_type_of_an_environment_has_a_grant(tmp_path: Path) -> None:
    full = synthesize(
        tmp_path / "full",
        {
            "alarm_subscriptions": {"slack": {"workspace": "T1", "channel": "C1"}, "emails": ("a@example.com",)},
            "budget": {"usd_a_month": 400, "emails": ("a@example.com",)},
            "data_bucket": {"key": "own"},
            "audit": {"trail": "own"},
        },
        interpreters={"one": {"callers": ("arn:aws:iam::123456789012:role/agent",)}},
    )
    private = private_network.synthesized(tmp_path / "private")
    resource_types = {
        resource["Type"]
        for assembly in (full, private)
        for template in assembly.templates.values()
        for resource in template.content["Resources"].values()
    }
    assert len(resource_types) > 20
    known = {kind for grant in GRANTS for kind in grant.resource_types} | NO_SERVICE
    assert resource_types <= known, f"add grants for {resource_types - known} to sandpiper/deployment_policy/grants"


def test_resources_that_are_limited_by_tag_are_created_with_it(tmp_path: Path) -> None:
    """The template sets the tag, and according to the registry the resource handler applies it at creation."""
    private = private_network.synthesized(tmp_path / "private")
    tagged_services = ("AWS::EC2::", "AWS::Route53Resolver::", "AWS::KMS::")
    resources = [
        resource
        for template in private.templates.values()
        for resource in template.content["Resources"].values()
        if resource["Type"].startswith(tagged_services)
    ]
    untagged = {each["Type"] for each in resources if not tagging(each["Type"])["taggable"]}
    assert untagged == {  # their parents limit them
        *("AWS::EC2::SecurityGroupEgress", "AWS::EC2::SubnetRouteTableAssociation"),
        "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
    }
    tagged = [each for each in resources if each["Type"] not in untagged]
    assert len({each["Type"] for each in tagged}) > 9
    for each in tagged:
        assert tagging(each["Type"])["tagOnCreate"], each["Type"]
        assert {"Key": "sandpiper:environment", "Value": "private"} in each["Properties"].get("Tags", []), each["Type"]


def tagging(kind: str) -> dict[str, Any]:
    """Returns how a resource type supports tags according to the CloudFormation registry, from cfn-lint."""
    names: dict[str, str] = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    return json.loads((SCHEMAS / f"resources/{names[kind]}.json").read_text())["tagging"]
