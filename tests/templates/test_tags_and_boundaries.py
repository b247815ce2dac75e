"""Every resource of an environment has the tags, and every role has the permissions boundary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from tests.support.rich_environment import RICH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.assemblies import Assembly

BOUNDARY = RICH["permissions_boundary"]
UNTAGGED = {
    "AWS::EC2::SecurityGroupEgress",
    "AWS::EC2::SubnetRouteTableAssociation",
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Logs::QueryDefinition",
    "AWS::Logs::ResourcePolicy",
    "AWS::Route53Resolver::FirewallRuleGroupAssociation",
    "AWS::Route53Resolver::ResolverQueryLoggingConfigAssociation",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "Custom::SandpiperLiveSessions",
}
"""Types in use that take no tags."""
TAGS = {
    "AWS::Budgets::Budget": "ResourceTags",
}
"""The property that contains the tags, if it is not `Tags`, by resource type."""


def _resources(assembly: Assembly) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yields the stack, logical id and definition of every resource."""
    for stack, template in assembly.templates.items():
        for name, resource in template.content["Resources"].items():
            yield stack, name, resource


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    """Returns the tags of a resource. Templates contain them as a list or as a mapping, depending on the type."""
    tags_property = resource.get("Properties", {}).get(TAGS.get(resource["Type"], "Tags"), {})
    if isinstance(tags_property, dict):
        return cast("dict[str, str]", tags_property)
    return {tag["Key"]: tag["Value"] for tag in tags_property}


COMPONENTS = {"SessionFunctionRole": "session-function", "ReadersruncodeRole": "workflow-reader"}
"""The tag of roles that policies identify by it, by the start of their logical id."""


def test_every_resource_has_the_tags(rich: Assembly) -> None:
    shared = {"sandpiper:environment": "one", "cost-centre": "42"}
    tenants = {
        "sandpiper-one-claims": {"sandpiper:tenant": "claims", "sandpiper:owner": "claims team", "stage": "trial"},
        "sandpiper-one-analytics": {"sandpiper:tenant": "analytics", "sandpiper:owner": "platform team"},
    }
    environments = {"sandpiper:owner": "platform team", "stage": "test"}
    checked_stacks = set[str]()
    for stack, name, resource in _resources(rich):
        if resource["Type"] in UNTAGGED:
            continue
        checked_stacks.add(stack)
        tags = {tag: value for tag, value in _tags(resource).items() if tag != "Name"}
        values = [value for start, value in COMPONENTS.items() if name.startswith(start)]
        component = {"sandpiper:component": values[0]} if values else {}
        expected = {**shared, **environments, **tenants.get(stack, {})}
        # The policy of the role has the same prefix, and no tags.
        assert tags == (expected | component if resource["Type"] == "AWS::IAM::Role" else expected), (stack, name)
    assert checked_stacks == set(rich.templates)


def test_every_role_has_the_permissions_boundary(rich: Assembly) -> None:
    roles = [(stack, name, each) for stack, name, each in _resources(rich) if each["Type"] == "AWS::IAM::Role"]
    assert len(roles) >= 7
    assert [
        (stack, name) for stack, name, role in roles if role["Properties"].get("PermissionsBoundary") != BOUNDARY
    ] == []


def test_without_a_boundary_no_role_has_one(dev: Assembly) -> None:
    assert "PermissionsBoundary" not in json.dumps([template.content for template in dev.templates.values()])
