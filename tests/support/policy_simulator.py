"""Decides generated cases with the evaluator, and with @cloud-copilot/iam-simulate, offline.

The simulator is licensed under the AGPL. It runs as a separate program, which only tests start.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from sandpiper.cdk_cli import node
from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.evaluate import Outcome, Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.policy_generator import Case

FOLDER = PROJECT / "tests" / "policy" / "oracle"
OUTCOMES = {
    "Allowed": Outcome.ALLOWED,
    "ExplicitlyDenied": Outcome.DENIED,
    "ImplicitlyDenied": Outcome.NOT_ALLOWED,
}
UNKNOWN_KEYS = {"kms:EncryptionContext:": "aws:PrincipalTag/encryption-context-"}
"""Prefixes of condition keys that the simulator does not know, with those of keys that it evaluates in the same way."""


def policies_of(case: Case) -> Policies:
    """Returns the parsed policies of a case."""
    kind = PolicyKind.TRUST if case.is_trust else PolicyKind.RESOURCE
    return Policies(
        identity=[
            parse_policy(f"identity {n}", PolicyKind.IDENTITY, document) for n, document in enumerate(case.identity)
        ],
        boundary=None if case.boundary is None else parse_policy("boundary", PolicyKind.IDENTITY, case.boundary),
        session=None if case.session is None else [parse_policy("session", PolicyKind.IDENTITY, case.session)],
        resource=None if case.resource_policy is None else parse_policy("resource", kind, case.resource_policy),
        resource_policy_required=case.is_trust or case.action.startswith("kms:"),
    )


def request_of(case: Case) -> Request:
    """Returns the request of a case."""
    return Request(Principal.parse(case.principal), case.action, case.resource, case.account, case.context)


def evaluated(case: Case) -> Outcome:
    """Returns the outcome of the evaluator."""
    return evaluate(request_of(case), policies_of(case)).outcome


def simulation(case: Case) -> dict[str, Any]:
    """Returns a case as input of the simulator."""
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


def simulate(batch: Sequence[Case]) -> list[Outcome]:
    """Returns the outcomes of the simulator. Fails if it rejects a case or ignores a condition key."""
    simulations = [simulation(case) for case in batch]
    text = json.dumps(simulations)
    for unknown, known in UNKNOWN_KEYS.items():
        text = text.replace(unknown, known)
    ran = subprocess.run([node(), "simulate.mjs"], cwd=FOLDER, input=text, capture_output=True, text=True, check=True)
    results = json.loads(ran.stdout)
    rejected = [(each, result) for each, result in zip(simulations, results, strict=True) if _is_rejected(result)]
    assert rejected == []
    return [OUTCOMES[result["result"]] for result in results]


def version() -> str:
    """Returns the version of the simulator."""
    return json.loads((FOLDER / "package.json").read_text())["devDependencies"]["@cloud-copilot/iam-simulate"]


def _is_rejected(result: dict[str, Any]) -> bool:
    return bool(result["errors"] or result["ignored"])
