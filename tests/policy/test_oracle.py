"""Compares the evaluator with @cloud-copilot/iam-simulate on generated cases, offline.

The simulator is licensed under the AGPL. It runs as a separate program, which only this test starts.
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
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Outcome, Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.policy_cases import ACCOUNT, BUCKET, SESSION, Case, cases

if TYPE_CHECKING:
    from collections.abc import Mapping

ORACLE = Path(__file__).parent / "oracle"
CASES, SEED = 4_000, 3
OUTCOMES = {
    "Allowed": Outcome.ALLOWED,
    "ExplicitlyDenied": Outcome.DENIED,
    "ImplicitlyDenied": Outcome.NOT_ALLOWED,
}


def evaluated(case: Case) -> Outcome:
    """Returns the outcome of the evaluator."""
    kind = PolicyKind.TRUST if case.is_trust else PolicyKind.RESOURCE
    policies = Policies(
        identity=[
            parse_policy(f"identity {n}", PolicyKind.IDENTITY, document) for n, document in enumerate(case.identity)
        ],
        boundary=None if case.boundary is None else parse_policy("boundary", PolicyKind.IDENTITY, case.boundary),
        session=None if case.session is None else [parse_policy("session", PolicyKind.IDENTITY, case.session)],
        resource=None if case.resource_policy is None else parse_policy("resource", kind, case.resource_policy),
        resource_policy_required=case.is_trust or case.action.startswith("kms:"),
    )
    principal = Principal.parse(case.principal)
    return evaluate(Request(principal, case.action, case.resource, case.account, case.context), policies).outcome


def simulation(case: Case) -> dict[str, Any]:
    """Returns the case as input of the simulator."""
    simulation: dict[str, Any] = {
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
        simulation["permissionBoundaryPolicies"] = [{"name": "boundary", "policy": case.boundary}]
    if case.session is not None:
        simulation["sessionPolicy"] = case.session
    if case.resource_policy is not None:
        simulation["resourcePolicy"] = case.resource_policy
    return simulation


def simulate(batch: list[Case]) -> list[dict[str, Any]]:
    """Returns the results of the simulator."""
    ran = subprocess.run(
        [node(), "simulate.mjs"],
        cwd=ORACLE,
        input=json.dumps([simulation(case) for case in batch]),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ran.stdout)


def test_evaluator_and_simulator_agree_on_all_generated_cases() -> None:
    generated = cases(CASES, SEED)
    results = simulate(generated)
    rejected = [
        (case, result) for case, result in zip(generated, results, strict=True) if result["errors"] or result["ignored"]
    ]
    assert rejected == []
    pairs = [
        (case, OUTCOMES[result["result"]], evaluated(case)) for case, result in zip(generated, results, strict=True)
    ]
    assert [pair for pair in pairs if pair[1] is not pair[2]] == []
    counts = Counter(outcome for _, _, outcome in pairs)
    assert all(counts[outcome] > CASES * 0.1 for outcome in Outcome), counts


ANY = {"Effect": "Allow", "Action": "*", "Resource": "*"}
GET = Case(SESSION, "s3:GetObject", f"{BUCKET}/a", ACCOUNT, {})
PUT_ONLY = {"Version": "2012-10-17", "Statement": ANY | {"Action": "s3:PutObject"}}


def _with_condition(operator: str, key: str, operand: str, value: str) -> Case:
    statement = ANY | {"Condition": {operator: {key: operand}}}
    return replace(GET, identity=[{"Version": "2012-10-17", "Statement": statement}], context={key: value})


DIFFERENCES: Mapping[str, tuple[Case, Outcome, Outcome]] = {
    # Identity and access management, "Session policies": permissions that a resource-based policy grants to the ARN of
    # the session add to those that the session policy allows.
    "a resource policy names the session, and the session policy does not allow the action": (
        replace(
            GET,
            session=PUT_ONLY,
            resource_policy={"Version": "2012-10-17", "Statement": ANY | {"Principal": {"AWS": SESSION}}},
        ),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "IP address condition operators": NotIpAddress matches every other address.
    "an address of another address family differs from the operand": (
        _with_condition("NotIpAddress", "aws:SourceIp", "10.1.2.3", "2001:db8::7"),
        Outcome.ALLOWED,
        Outcome.NOT_ALLOWED,
    ),
    # Condition operators, "Date condition operators": a date, or a number of seconds since the epoch.
    "a number of seconds is a date": (
        _with_condition("DateGreaterThan", "aws:CurrentTime", "1577836800", "1999-01-01T00:00:00Z"),
        Outcome.NOT_ALLOWED,
        Outcome.ALLOWED,
    ),
}
"""Cases, the outcome that the IAM User Guide documents, which is the evaluator's, and the outcome of the simulator."""


@pytest.mark.parametrize("name", DIFFERENCES)
def test_where_evaluator_and_simulator_differ_the_evaluator_follows_the_documentation(name: str) -> None:
    case, documented, simulator = DIFFERENCES[name]
    (result,) = simulate([case])
    assert (evaluated(case), OUTCOMES[result["result"]]) == (documented, simulator)
