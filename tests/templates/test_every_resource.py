"""What holds for every resource of an environment, whichever construct makes it: tags, and the roles' boundary."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.templates.conftest import synthesise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.templates.conftest import Assembly

BOUNDARY = "arn:aws:iam::111122223333:policy/boundaries/sandbox"
UNTAGGED = {
    "AWS::IAM::Policy",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "Custom::SandpiperLiveSessions",
}
"""Types that take no tags, of those in use."""
TAGS = {
    "AWS::Budgets::Budget": "ResourceTags",
}
"""Where a type's tags are, if not in Tags."""


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    return synthesise(
        tmp_path_factory.mktemp("bounded"),
        {"account": "111122223333", "owner": "platform team", "tags": {"cost-centre": "42", "stage": "test"}},
        permissions_boundary=BOUNDARY,
        budget={"usd_a_month": 400, "emails": ("a@example.com",)},
        data_bucket={"key": "own"},
        tenants={
            "claims": {"interpreters": {"one": {}}, "owner": "claims team", "tags": {"stage": "trial"}},
            "analytics": {
                "interpreters": {
                    "two": {"network": "PUBLIC", "reason": "pip", "owner": "analysts", "expires": None},
                    "three": {"callers": ("arn:aws:iam::444455556666:role/agent",)},
                }
            },
        },
    )


def _resources(assembly: Assembly) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every resource: stack, logical id, and what the template says."""
    for stack, template in assembly.templates.items():
        for name, resource in template.content["Resources"].items():
            yield stack, name, resource


def _tags(resource: dict[str, Any]) -> dict[str, str]:
    """A resource's tags, which some types have as a list and some as a mapping."""
    found = resource.get("Properties", {}).get(TAGS.get(resource["Type"], "Tags"), {})
    if isinstance(found, dict):
        return cast("dict[str, str]", found)
    return {tag["Key"]: tag["Value"] for tag in found}


def test_every_resource_says_whose_it_is(bounded: Assembly) -> None:
    shared = {"sandpiper:environment": "one", "cost-centre": "42"}
    own = {
        "sandpiper-one-claims": {"sandpiper:tenant": "claims", "sandpiper:owner": "claims team", "stage": "trial"},
        "sandpiper-one-analytics": {"sandpiper:tenant": "analytics", "sandpiper:owner": "platform team"},
    }
    environments = {"sandpiper:owner": "platform team", "stage": "test"}
    seen = set[str]()
    for stack, name, resource in _resources(bounded):
        if resource["Type"] in UNTAGGED:
            continue
        seen.add(stack)
        assert _tags(resource) == {**shared, **environments, **own.get(stack, {})}, (stack, name, resource["Type"])
    assert seen == set(bounded.templates)


def test_every_role_has_the_boundary(bounded: Assembly) -> None:
    roles = [(stack, name, each) for stack, name, each in _resources(bounded) if each["Type"] == "AWS::IAM::Role"]
    assert len(roles) >= 7
    assert [
        (stack, name) for stack, name, role in roles if role["Properties"].get("PermissionsBoundary") != BOUNDARY
    ] == []


def test_without_a_boundary_no_role_has_one(dev: Assembly) -> None:
    assert "PermissionsBoundary" not in json.dumps([template.content for template in dev.templates.values()])
