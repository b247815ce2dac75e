"""The policies for CloudFormation's role, against AWS's list of actions and what they must never allow."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any

import pytest

from sandpiper.deployment_policy import GRANTS, MOST_CHARACTERS, MOST_POLICIES, cut_names, documents, statements
from sandpiper.environment import Environment
from tests.unit.test_resource_actions import listed

BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
CALLER = "arn:aws:iam::111122223333:role/agent"
GIVEN = "arn:aws:iam::111122223333:role/given"
FULL: dict[str, Any] = {
    "name": "prod",
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "platform team",
    "availability_zones": {"eu-west-1a": "euw1-az1"},
    "network": {},
    "data_bucket": {"key": "own"},
    "budget": {"usd_a_month": 400, "emails": ("a@example.com",)},
    "permissions_boundary": BOUNDARY,
    "interpreters": {
        "inside": {"network": "VPC", "callers": (CALLER, "arn:aws:iam::444455556666:role/agent")},
        "other": {"execution_role": GIVEN},
    },
}
SMALL: dict[str, Any] = {key: FULL[key] for key in ("name", "account", "region", "owner")} | {
    "interpreters": {"sandbox": {}}
}


def allowed(options: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every action with its statement."""
    return [
        (action, statement)
        for statement in statements(Environment.model_validate(options))
        for action in statement["Action"]
    ]


@pytest.mark.parametrize("action", sorted({action for grant in GRANTS for action in grant.actions}))
def test_every_action_is_one_of_aws(action: str) -> None:
    service, _, name = action.partition(":")
    assert listed("actions", service)[name.lower()]["name"] == name


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_an_action_that_takes_a_resource_has_one(options: dict[str, Any]) -> None:
    for action, statement in allowed(options):
        service, _, name = action.partition(":")
        described, types = listed("actions", service)[name.lower()], listed("resourceTypes", service)
        arns = [types[item["name"].lower()]["arn"] for item in described["resourceTypes"]]
        if statement["Resource"] == ["*"]:
            assert not arns or name.startswith(("Describe", "List")) or statement.get("Condition")
            continue
        kinds = [re.sub(r"\$\{\w+\}", "x", arn).split(":", 5)[5].split("/")[0].split(":")[0] for arn in arns]
        assert arns, f"{action} takes no resource"
        fitting = [
            each
            for each in statement["Resource"]
            if each.split(":")[2] in ("s3",) or each.split(":", 5)[5].split("/")[0].split(":")[0] in kinds
        ]
        assert fitting, f"{action} on {statement['Resource']}, of {kinds}"


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_nothing_is_run_and_nothing_has_a_wildcard_for_its_action(options: dict[str, Any]) -> None:
    actions = {action for action, _ in allowed(options)}
    assert not any("*" in action or "?" in action for action in actions)
    agentcore = {action.partition(":")[2] for action in actions if action.startswith("bedrock-agentcore:")}
    assert agentcore == {
        *("CreateCodeInterpreter", "GetCodeInterpreter", "DeleteCodeInterpreter"),
        *("ListTagsForResource", "TagResource", "UntagResource"),
    }
    assert not actions & {"sts:AssumeRole", "s3:PutObject", "states:StartExecution", "iam:AttachRolePolicy"}
    for action, statement in allowed(options):
        if action == "s3:GetObject":
            assert statement["Resource"] == ["arn:aws:s3:::cdk-hnb659fds-assets-111122223333-eu-west-1/*"]
        if action == "lambda:InvokeFunction":
            assert statement["Resource"][0].endswith("function:sandpiper-prod-*SessionStopper*")


def test_roles_are_handed_to_the_services_that_have_them_and_to_no_other() -> None:
    passed = {
        tuple(statement["Resource"]): statement["Condition"]["StringEquals"]["iam:PassedToService"]
        for action, statement in allowed(SMALL)
        if action == "iam:PassRole"
    }
    services = ["bedrock-agentcore.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"]
    assert passed == {("arn:aws:iam::111122223333:role/sandpiper-prod-*",): services}


def test_a_boundary_must_be_on_every_role_and_cannot_be_taken_away() -> None:
    making = [statement for action, statement in allowed(FULL) if action == "iam:CreateRole"]
    assert [each["Condition"] for each in making] == [{"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}]
    assert "iam:DeleteRolePermissionsBoundary" not in dict(allowed(FULL))
    assert "iam:PutRolePermissionsBoundary" not in dict(allowed(SMALL))


def test_roles_that_the_file_names_are_in_it_by_name() -> None:
    by_name = {statement["Sid"]: statement for _, statement in allowed(FULL)}
    assert by_name["PoliciesOfCallers"]["Resource"] == [CALLER]
    assert by_name["HandOverGivenRoles"]["Resource"] == [GIVEN]


@pytest.mark.parametrize("options", [SMALL, FULL])
def test_documents_fit_what_iam_takes_and_hold_every_statement(options: dict[str, Any]) -> None:
    environment = Environment.model_validate(options | {"name": "a" * 20})
    made = documents(environment)
    assert len(made) <= MOST_POLICIES
    assert all(len(json.dumps(each, separators=(",", ":"))) <= MOST_CHARACTERS for each in made.values())
    held = [statement["Sid"] for each in made.values() for statement in each["Statement"]]
    assert sorted(held) == sorted(statement["Sid"] for statement in statements(environment))


@pytest.mark.parametrize("name", ["a", "a" * 13, "abcdefghijklmn", "abcdefghijklmno", "abcdefghijklmnopqrst"])
def test_names_that_cloudformation_cuts_are_still_matched(name: str) -> None:
    stack = f"sandpiper-{name}-analytics-of-everything"
    for left in range(24, len(stack) + 1):
        assert fnmatchcase(f"{stack[:left]}-SessionFunctionRole1234-0123456789AB", f"{cut_names(name)}*")
    assert not fnmatchcase("sandpiper-other-analytics-Role-0123456789AB", f"{cut_names(name)}*")
