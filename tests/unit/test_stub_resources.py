"""The stub resources of the embedded AWS, compared with CloudFormation's schemas (in cfn-lint)."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.ministack.resource_actions.table import RESOURCE_ACTIONS
from local_aws.ministack.stub_resources import STUB_RESOURCES

LOCATION = {"account": "123456789012", "region": "us-east-1"}


def schema(resource_type: str) -> dict[str, Any]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # pyright: ignore[reportMissingTypeStubs]

    provider: Any = PROVIDER_SCHEMA_MANAGER.get_resource_schema(LOCATION["region"], resource_type)
    return provider.schema


def names(pointers: list[str]) -> set[str]:
    """Returns the names of top-level properties."""
    return {pointer.removeprefix("/properties/") for pointer in pointers if pointer.count("/") == 2}


@pytest.mark.parametrize("resource_type", STUB_RESOURCES)
def test_a_stub_resource_has_the_property_names_of_the_schema(resource_type: str) -> None:
    expected, stub = schema(resource_type), STUB_RESOURCES[resource_type]
    assert set(stub.create_only) == names(expected.get("createOnlyProperties", []))
    assert set(stub.attributes) <= names(expected.get("readOnlyProperties", []))
    assert not stub.name or stub.name.split(".")[0] in expected["properties"]


@pytest.mark.parametrize("resource_type", STUB_RESOURCES)
def test_the_table_of_actions_has_every_stub_resource(resource_type: str) -> None:
    assert resource_type in RESOURCE_ACTIONS


def test_an_id_is_the_name_or_random() -> None:
    budget, group = STUB_RESOURCES["AWS::Budgets::Budget"], STUB_RESOURCES["AWS::Route53Resolver::FirewallRuleGroup"]
    assert budget.name_in({"Budget": {"BudgetName": "a month"}}) == "a month"
    assert budget.name_in({"Budget": {}}) is None
    assert budget.new_id("a month") == "a month"
    first, second = group.new_id("x"), group.new_id("x")
    assert first != second and first.startswith("rslvr-frg-")
    assert group.attributes_of(first, LOCATION) == {
        "Id": first,
        "Arn": f"arn:aws:route53resolver:us-east-1:123456789012:firewall-rule-group/{first}",
    }
