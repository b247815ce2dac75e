"""Roles of services: whether a trust policy lets a service assume one, and what may be done in it.

Written against MiniStack 1.5.33, like `patches`, which itself lets every service act as the account's root.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import cloudcontrol, ec2, iam, tagging

from local_aws.ministack import policies
from sandpiper_policy.evaluate import access_denied_message

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
        raise RoleError(
            f"{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn} because its trust policy "
            f"does not allow it for aws:SourceAccount {ACCOUNT} and aws:SourceArn {source_arn}"
        )
    return role


def session(role: Mapping[str, Any], name: str) -> Any:
    """Who acts in a session of a role: MiniStack's `PrincipalInfo`, with the policies of this moment."""
    return iam_evaluator.PrincipalInfo(
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{name}",
        type="AssumedRole",
        account=ACCOUNT,
        policies=iam_evaluator._gather_role_policies(role["RoleName"], ACCOUNT),
        keys={},
        limits=policies.boundary_of_role(role["RoleName"], ACCOUNT),
    )


def caller() -> Any:
    """Who signed the request that is being answered, in the same shape.

    Raises:
        RoleError: nobody did, or not any more.
    """
    found = iam_evaluator.resolve_principal(iam_evaluator._verified_key.get(), ACCOUNT)
    if isinstance(found, iam_evaluator.AuthError):
        raise RoleError(found.message)
    return found


def require(asking: Any, action: str, resource: str, keys: Mapping[str, Any] | None = None) -> None:
    """Returns when whoever `session` or `caller` tells may do something to a resource.

    Raises:
        RoleError: it may not.
    """
    if asking.policies is None:  # the account's root
        return
    tags = _tags(resource) if iam_evaluator._names_condition_key(asking.policies, "aws:resourcetag/") else {}
    of_resource = {**tags, **_boundary(resource)}
    asked = _context(asking.arn, asking.type, action, resource, {**of_resource, **(keys or {})}, asking.keys)
    decided = iam_evaluator.evaluate(asked, asking.policies, *asking.limits)
    service = action.partition(":")[0]
    found = iam_evaluator._resource_policy(service, resource)
    if found is not None:
        required = service in iam_evaluator._POLICY_REQUIRED
        decided = policies.combine_resource_policy(decided, asked, *found, required=required)
    if not decided.made.allowed:  # `decision` lets who assumes a role pass, for its trust policy to decide
        raise RoleError(access_denied_message(policies.request(asked), decided.made))


def _tags(resource: str) -> dict[str, Any]:
    tags = tagging.resource_tags(resource) or _tags_by_id(resource.rpartition("/")[2])
    return {f"aws:resourcetag/{name}": value for name, value in tags.items()}


def _tags_by_id(identifier: str) -> dict[str, str]:
    """Of what EC2 has, or of what is recorded only, whose tags MiniStack does not find by an ARN."""
    tags = ec2._tags.get(identifier) or next(
        (
            json.loads(each["Properties"]).get("Tags") or ()
            for each in cloudcontrol._resources.values()
            if each["Identifier"] == identifier
        ),
        (),
    )
    return {tag["Key"]: tag["Value"] for tag in tags}


def _boundary(resource: str) -> dict[str, str]:
    """The condition key for the boundary of a role that exists."""
    role = iam._roles.get(resource.rpartition("/")[2], {}) if ":role/" in resource else {}
    boundary = role.get("PermissionsBoundary")
    return {"iam:permissionsboundary": boundary} if boundary else {}


def _context(
    principal: str,
    kind: str,
    action: str,
    resource: str,
    keys: Mapping[str, Any],
    of_principal: Mapping[str, Any] | None = None,
) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type=kind,
        principal_account="" if kind == "Service" else ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={"aws:tagkeys": None, **{name.lower(): value for name, value in keys.items()}},
        principal_keys=dict(of_principal or {}),
        secure_transport=True,
        source_ip=SOURCE_IP,
    )
