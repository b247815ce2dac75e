"""The types that the embedded AWS records, against the schemas that CloudFormation has for them (cfn-lint's copy)."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # pyright: ignore[reportMissingTypeStubs]

from local_aws.ministack.resource_actions import RESOURCE_ACTIONS
from local_aws.ministack.stub_resources import STUB_RESOURCES

PLACE = {"account": "123456789012", "region": "us-east-1"}


def schema(resource_type: str) -> dict[str, Any]:
    found: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema(PLACE["region"], resource_type)
    return found.schema


def names(pointers: list[str]) -> set[str]:
    """Properties of their own, without those inside another."""
    return {pointer.removeprefix("/properties/") for pointer in pointers if pointer.count("/") == 2}


@pytest.mark.parametrize("resource_type", STUB_RESOURCES)
def test_a_recorded_type_has_the_names_of_awss_schema(resource_type: str) -> None:
    known, recorded = schema(resource_type), STUB_RESOURCES[resource_type]
    assert set(recorded.create_only) == names(known.get("createOnlyProperties", []))
    assert set(recorded.attributes) <= names(known.get("readOnlyProperties", []))
    assert not recorded.name or recorded.name.split(".")[0] in known["properties"]


@pytest.mark.parametrize("resource_type", STUB_RESOURCES)
def test_a_recorded_type_is_judged_by_actions_of_its_own(resource_type: str) -> None:
    assert resource_type in RESOURCE_ACTIONS


def test_an_id_is_the_name_or_made_up() -> None:
    budget, group = STUB_RESOURCES["AWS::Budgets::Budget"], STUB_RESOURCES["AWS::Route53Resolver::FirewallRuleGroup"]
    assert budget.name_in({"Budget": {"BudgetName": "a month"}}) == "a month"
    assert budget.name_in({"Budget": {}}) is None
    assert budget.new_id("a month") == "a month"
    one, other = group.new_id("x"), group.new_id("x")
    assert one != other and one.startswith("rslvr-frg-")
    assert group.attributes_of(one, PLACE) == {
        "Id": one,
        "Arn": f"arn:aws:route53resolver:us-east-1:123456789012:firewall-rule-group/{one}",
    }
