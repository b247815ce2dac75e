"""Packs the statements of the deployment policy into managed policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandpiper.deployment_policy.statements import policy_statements
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER

if TYPE_CHECKING:
    from sandpiper.environment import Environment

MAX_POLICY_CHARACTERS = 6_144
"""Characters of a managed policy, without white space.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""
MAX_POLICIES = 10
"""Default quota of managed policies on a role (same page)."""


def policy_documents(environment: Environment, qualifier: str = BOOTSTRAP_QUALIFIER) -> dict[str, dict[str, Any]]:
    """Returns the managed policies of an environment by name, as few as the size limit of a policy allows.

    Args:
        environment: The environment to deploy.
        qualifier: The qualifier of `cdk bootstrap`.

    Example:
        >>> list(policy_documents(load("environments/dev.yaml")))
        ['sandpiper-dev-deployment-1', 'sandpiper-dev-deployment-2']
    """
    packed: list[list[dict[str, Any]]] = []
    for statement in sorted(policy_statements(environment, qualifier), key=_characters, reverse=True):
        for statements in packed:
            if _characters(_document([*statements, statement])) <= MAX_POLICY_CHARACTERS:
                statements.append(statement)
                break
        else:
            packed.append([statement])
    return {
        f"sandpiper-{environment.name}-deployment-{number}": _document(statements)
        for number, statements in enumerate(packed, start=1)
    }


def _document(statements: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": statements}


def _characters(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":")))
