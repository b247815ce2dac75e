"""Roles of services: whether a trust policy lets a service assume one, and what may be done in it.

Written against MiniStack 1.5.33, like `hooks`, which itself lets every service act as the account's root.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import iam

from local_aws.ministack import policies
from sandpiper_policy.evaluate import access_denied

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = os.environ["MINISTACK_ACCOUNT_ID"]
REGION = os.environ["MINISTACK_REGION"]
SOURCE_IP = "127.0.0.1"


class RoleError(Exception):
    """A role that a service may not assume, or in which it may not do something: AWS's sentence."""


def assume(service: str, role_arn: str, source_arn: str) -> dict[str, Any]:
    """MiniStack's record of a role that a service assumes for one of its resources.

    Args:
        service: the service principal, `lambda.amazonaws.com`.
        role_arn: of the role.
        source_arn: the resource, which the trust policy finds in `aws:SourceArn`.

    Raises:
        RoleError: the trust policy does not allow it, or there is no such role.
    """
    role: dict[str, Any] | None = iam._roles.get(role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        raise RoleError(f"There is no role {role_arn}")
    asked = _context(
        service,
        "Service",
        "sts:AssumeRole",
        role_arn,
        {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source_arn},
    )
    if not policies.evaluate_trust_policy(role["AssumeRolePolicyDocument"], service, asked):
        raise RoleError(f"{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn}")
    return role


def require(role: Mapping[str, Any], session: str, action: str, resource: str) -> None:
    """Returns when a session of a role may do something to a resource.

    Raises:
        RoleError: it may not.
    """
    arn, name = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{session}", role["RoleName"]
    asked = _context(arn, "AssumedRole", action, resource, {})
    decided = iam_evaluator.evaluate(
        asked, iam_evaluator._gather_role_policies(name, ACCOUNT), *policies.boundary_of_role(name, ACCOUNT)
    )
    found = iam_evaluator._resource_policy(action.partition(":")[0], resource)
    if found is not None:
        decided = policies.combine_resource_policy(decided, asked, *found)
    if decided.decision != "Allow":
        raise RoleError(access_denied(policies.request(asked), decided.made))


def _context(principal: str, kind: str, action: str, resource: str, keys: Mapping[str, str]) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type=kind,
        principal_account="" if kind == "Service" else ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={"aws:tagkeys": None, **keys},
        secure_transport=True,
        source_ip=SOURCE_IP,
    )
