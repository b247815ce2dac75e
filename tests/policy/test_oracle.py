"""The evaluator against another of the same trade: @cloud-copilot/iam-simulate, offline, on generated cases.

It is AGPL and a program of its own, which nothing but this test starts.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.cdk_cli import node
from sandpiper_policy.document import Kind, policy
from sandpiper_policy.evaluate import Outcome, Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.policy.generated import ACCOUNT, BUCKET, SESSION, Case, cases

if TYPE_CHECKING:
    from collections.abc import Mapping

ORACLE = Path(__file__).parent / "oracle"
CASES, SEED = 10_000, 3
OUTCOMES = {
    "Allowed": Outcome.ALLOWED,
    "ExplicitlyDenied": Outcome.DENIED,
    "ImplicitlyDenied": Outcome.NOT_ALLOWED,
}


def decided(case: Case) -> Outcome:
    """What the evaluator says."""
    kind = Kind.TRUST if case.is_trust else Kind.RESOURCE
    policies = Policies(
        identity=[policy(f"identity {n}", Kind.IDENTITY, document) for n, document in enumerate(case.identity)],
        boundary=None if case.boundary is None else policy("boundary", Kind.IDENTITY, case.boundary),
        session=None if case.session is None else [policy("session", Kind.IDENTITY, case.session)],
        resource=None if case.of_resource is None else policy("resource", kind, case.of_resource),
        resource_rules=case.is_trust or case.action.startswith("kms:"),
    )
    principal = Principal.of(case.principal)
    return evaluate(Request(principal, case.action, case.resource, case.account, case.context), policies).outcome


def simulation(case: Case) -> dict[str, Any]:
    """The same for the other one."""
    found: dict[str, Any] = {
        "request": {
            "principal": case.principal,
            "action": case.action,
            "resource": {"resource": case.resource, "accountId": case.account},
            "contextVariables": case.context,
        },
        "identityPolicies": [{"name": str(n), "policy": document} for n, document in enumerate(case.identity)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if case.boundary is not None:
        found["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": case.boundary}]
    if case.session is not None:
        found["sessionPolicy"] = case.session
    if case.of_resource is not None:
        found["resourcePolicy"] = case.of_resource
    return found


def simulated(some: list[Case]) -> list[dict[str, Any]]:
    """What the other one says of each."""
    ran = subprocess.run(
        [node(), "simulate.mjs"],
        cwd=ORACLE,
        input=json.dumps([simulation(case) for case in some]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_all_generated_cases_are_decided_alike() -> None:
    generated = cases(CASES, SEED)
    answers = simulated(generated)
    unusable = [
        (case, answer) for case, answer in zip(generated, answers, strict=True) if answer["errors"] or answer["ignored"]
    ]
    assert unusable == []
    pairs = [(case, OUTCOMES[answer["result"]], decided(case)) for case, answer in zip(generated, answers, strict=True)]
    assert [pair for pair in pairs if pair[1] is not pair[2]] == []
    counts = Counter(outcome for _, _, outcome in pairs)
    assert all(counts[outcome] > CASES * 0.1 for outcome in Outcome), counts


ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}
GET = Case(SESSION, "s3:GetObject", f"{BUCKET}/a", ACCOUNT, {})
PUT_ONLY = {"Version": "2012-10-17", "Statement": ANY | {"Action": "s3:PutObject"}}


def _if(operator: str, key: str, wanted: str, given: str) -> Case:
    statement = ANY | {"Condition": {operator: {key: wanted}}}
    return replace(GET, identity=[{"Version": "2012-10-17", "Statement": statement}], context={key: given})


DIFFERENCES: Mapping[str, tuple[Case, Outcome, Outcome]] = {
    # Identity and access management, "Session policies": permissions that a resource-based policy gives to the ARN of
    # the session itself come on top of what the session policy leaves.
    "a resource names the session itself, and its session policy does not allow": (
        replace(
            GET,
            session=PUT_ONLY,
            of_resource={"Version": "2012-10-17", "Statement": ANY | {"Principal": {"AWS": SESSION}}},
        ),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "IP address condition operators": NotIpAddress is every address but the given one.
    "an address of another family is not the one that is named": (
        _if("NotIpAddress", "aws:SourceIp", "10.1.2.3", "2001:db8::7"),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "Date condition operators": a date, or seconds of epoch time.
    "a number of seconds is a date": (
        _if("DateGreaterThan", "aws:CurrentTime", "1577836800", "1999-01-01T00:00:00Z"),
        Outcome.NOT_ALLOWED,
        Outcome.ALLOWED,
    ),
}
"""Cases, what AWS's IAM User Guide makes of them, as the evaluator does, and what the other one says."""


@pytest.mark.parametrize("name", DIFFERENCES)
def test_where_the_two_differ_the_documentation_decides(name: str) -> None:
    case, documented, other = DIFFERENCES[name]
    (answer,) = simulated([case])
    assert (decided(case), OUTCOMES[answer["result"]]) == (documented, other)
