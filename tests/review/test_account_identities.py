"""Identities of an account: pages, policies of groups, managed policies, and what cannot be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest
from botocore.stub import Stubber

from sandpiper.review.deployed.access import may_have_access
from sandpiper.review.deployed.identities import read_identities
from sandpiper.review.deployed.reading import AccountReader, Unread
from tests.support.review_templates import allow, document, model_of, secure

if TYPE_CHECKING:
    from collections.abc import Generator

    from sandpiper.plan.deployed import Account
    from sandpiper.review.deployed.identities import AccountIdentities

IAM = "arn:aws:iam::000000000000"
RUNS = allow("bedrock-agentcore:InvokeCodeInterpreter", "*")
READS_LOGS_OF_OTHERS = allow("logs:FilterLogEvents", "arn:aws:logs:us-east-1:000000000000:log-group:other:*")


@pytest.fixture
def iam() -> Generator[tuple[AccountReader, Stubber]]:
    """Yields a reader, and a stub of its IAM client."""
    reader = AccountReader(cast("Account", None))
    client: Any = boto3.client("iam", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")  # noqa: S106
    reader._clients["iam"] = client  # pyright: ignore[reportPrivateUsage]
    with Stubber(client) as stub:
        yield reader, stub


def details(kind: str, name: str, *statements: Any, **more: Any) -> dict[str, Any]:
    """Returns an identity as IAM returns it."""
    inline = [{"PolicyName": "own", "PolicyDocument": json.dumps(document(*statements))}] if statements else []
    return {
        f"{kind}Name": name,
        "Arn": f"{IAM}:{kind.lower()}/team/{name}",
        "Path": "/team/",
        f"{kind}PolicyList": inline,
        "AttachedManagedPolicies": [],
        **more,
    }


def managed(arn: str) -> dict[str, Any]:
    return {"AttachedManagedPolicies": [{"PolicyName": "managed", "PolicyArn": arn}]}


def read(reader: AccountReader, stub: Stubber) -> AccountIdentities:
    """Returns the identities of two pages."""
    known, unknown = f"{IAM}:policy/known", "arn:aws:iam::aws:policy/Unknown"
    versions = [
        {"VersionId": "v1", "IsDefaultVersion": False, "Document": json.dumps(document(READS_LOGS_OF_OTHERS))},
        {"VersionId": "v2", "IsDefaultVersion": True, "Document": json.dumps(document(RUNS))},
    ]
    first = {
        "RoleDetailList": [
            details("Role", "harmless", READS_LOGS_OF_OTHERS),
            details("Role", "runs", RUNS),
            details("Role", "managed", **managed(known)),
            details("Role", "unknown", **managed(unknown)),
            details("Role", "unreadable", {"Effect": "Perhaps"}),
        ],
        "UserDetailList": [details("User", "member", GroupList=["runners"]), details("User", "other")],
    }
    second = {
        "GroupDetailList": [details("Group", "runners", RUNS)],
        "Policies": [{"Arn": known, "PolicyVersionList": versions}],
    }
    stub.add_response("get_account_authorization_details", {**first, "IsTruncated": True, "Marker": "next"})
    stub.add_response("get_account_authorization_details", {**second, "IsTruncated": False}, {"Marker": "next"})
    found = read_identities(reader)
    assert found is not None
    return found


def test_all_pages_are_read_and_only_default_versions_count(iam: tuple[AccountReader, Stubber]) -> None:
    identities = read(*iam)
    assert len(identities.by_arn) == 8
    resource = identities.by_arn[f"{IAM}:role/team/managed"].resource()
    assert [one["PolicyDocument"] for one in resource["Properties"]["Policies"]] == [document(RUNS)]
    assert resource["Properties"]["ManagedPolicyArns"] == []


def test_identities_with_a_statement_a_group_or_an_unknown_policy_may_have_access(
    iam: tuple[AccountReader, Stubber],
) -> None:
    named = f"{IAM}:user/team/other"
    found = may_have_access(model_of(secure()), read(*iam), [named])
    assert [one.name for one in found] == ["runs", "managed", "unknown", "unreadable", "member", "other"]


def test_a_denied_call_is_recorded_with_its_action(iam: tuple[AccountReader, Stubber]) -> None:
    reader, stub = iam
    message = "User: u is not authorized to perform: iam:GetAccountAuthorizationDetails"
    stub.add_client_error("get_account_authorization_details", "AccessDenied", message)
    assert read_identities(reader) is None
    (one,) = reader.unread
    assert isinstance(one, Unread)
    assert one.action == "iam:GetAccountAuthorizationDetails"
