"""The evaluator against another of the same trade: @cloud-copilot/iam-simulate, offline, on generated cases.

It is AGPL and a program of its own, which nothing but this test starts.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

from sandpiper_policy.document import Kind, policy
from sandpiper_policy.evaluate import Outcome, Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.policy.generated import Case, cases

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
        ["node", "simulate.mjs"],
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
