"""Roles that services assume. The trust policy limits the services, and the policies of the role its permissions.

Without these checks, MiniStack's services act as the account root.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from ministack.core import iam_evaluator, router
from ministack.services import cloudcontrol, ec2, tagging
from ministack.services import iam as iam_service

from local_aws.ministack.gateway import current_request
from local_aws.ministack.patches import iam, iam_requests
from local_aws.settings import ACCOUNT, REGION
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.evaluate import Policies, access_denied_message, evaluate

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
SOURCE_IP = "127.0.0.1"


class AccessDeniedError(Exception):
    """A service may not assume a role, or a principal lacks a permission. The message is that of AWS."""


class UnknownPrincipalError(AccessDeniedError):
    """MiniStack cannot determine the principal of an access key. `code` is MiniStack's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def assume_role(service: str, role_arn: str, source_arn: str) -> dict[str, Any]:
    """Returns MiniStack's record of a role that a service assumes for one of its resources.

    Args:
        service: The service principal, such as `lambda.amazonaws.com`.
        role_arn: ARN of the role.
        source_arn: ARN of the resource, for the condition key `aws:SourceArn`.

    Raises:
        AccessDeniedError: The role does not exist, or its trust policy does not allow it.
    """
    role: dict[str, Any] | None = iam_service._roles.get(role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        raise AccessDeniedError(f"There is no role {role_arn}")
    context = _context(
        service,
        "Service",
        "sts:AssumeRole",
        role_arn,
        {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": source_arn},
    )
    if not iam.evaluate_trust_policy(role["AssumeRolePolicyDocument"], service, context):
        raise AccessDeniedError(
            f"{service} is not authorized to perform: sts:AssumeRole on resource: {role_arn} because its trust policy "
            f"does not allow it for aws:SourceAccount {ACCOUNT} and aws:SourceArn {source_arn}"
        )
    return role


def session_principal(role: Mapping[str, Any], session_name: str) -> Any:
    """Returns MiniStack's `PrincipalInfo` of a session of a role, with the present policies and tags of the role."""
    tags = {f"aws:principaltag/{tag['Key'].lower()}": tag["Value"] for tag in role.get("Tags") or ()}
    return iam_evaluator.PrincipalInfo(
        arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{role['RoleName']}/{session_name}",
        type="AssumedRole",
        account=ACCOUNT,
        policies=iam_evaluator._gather_role_policies(role["RoleName"], ACCOUNT),
        keys={"aws:userid": f"{role['RoleId']}:{session_name}", **tags},
        limits=iam.boundary_of_role(role["RoleName"], ACCOUNT),
    )


def calling_principal() -> Any:
    """Returns MiniStack's `PrincipalInfo` of the principal that signed the current request.

    Raises:
        UnknownPrincipalError: The request is not signed, or its access key no longer exists.
    """
    key = iam_evaluator._verified_key.get()
    request = current_request.get()
    if not key and request is not None:
        # MiniStack does not set the key for a URL presigned for S3, whose signature the gateway has verified.
        query = parse_qs(request.query, keep_blank_values=True)
        key = router.extract_access_key_id(request.headers, query)
    return _resolved(iam_evaluator.resolve_principal(key, ACCOUNT))


def principal_of(credential: Any) -> Any:
    """Returns MiniStack's `PrincipalInfo` of a verified credential.

    Raises:
        UnknownPrincipalError: Its access key no longer exists.
    """
    return _resolved(iam_evaluator.resolve_principal(credential.access_key_id, ACCOUNT, credential))


def _resolved(principal: Any) -> Any:
    if isinstance(principal, iam_evaluator.AuthError):
        raise UnknownPrincipalError(principal.code, principal.message)
    return principal


def require_permission(
    principal: Any, action: str, resource: str, condition_keys: Mapping[str, Any] | None = None
) -> None:
    """Checks that the policies of a principal and of the resource allow an action.

    Args:
        principal: A `PrincipalInfo`.
        action: The action, `service:Name`.
        resource: ARN of the resource, or `*`.
        condition_keys: Condition keys in addition to the tags and the permissions boundary of the resource.

    Raises:
        AccessDeniedError: It is denied.
    """
    if principal.policies is None:  # the account root
        return
    has_tag_conditions = iam_evaluator._names_condition_key(principal.policies, "aws:resourcetag/")
    resource_keys = {**(_tag_keys(resource) if has_tag_conditions else {}), **_boundary_key(resource)}
    keys = {**resource_keys, **(condition_keys or {})}
    context = _context(principal.arn, principal.type, action, resource, keys, principal.keys)
    result = iam_evaluator.evaluate(context, principal.policies, *principal.limits)
    service = action.partition(":")[0]
    resource_policy = iam_evaluator._resource_policy(service, resource)
    if resource_policy is not None:
        required = service in iam_evaluator._POLICY_REQUIRED
        result = iam.combine_resource_policy(result, context, *resource_policy, required=required)
    # `result.decision` would allow every AssumeRole, which the trust policy decides later.
    if not result.policy_decision.allowed:
        raise AccessDeniedError(access_denied_message(iam_requests.to_request(context), result.policy_decision))


def is_allowed_to_service(service: str, action: str, resource: str, condition_keys: Mapping[str, Any]) -> bool:
    """Returns whether the policy of a resource allows an action to a service that uses no role."""
    resource_policy = iam_evaluator._resource_policy(action.partition(":")[0], resource)
    if resource_policy is None:
        return False
    context = _context(service, "Service", action, resource, condition_keys)
    policy, owner = resource_policy
    policies = Policies(resource=iam_requests.resource_policy(policy), resource_policy_required=True)
    return iam_requests.decide(context, policies, owner).allowed


def require_identity_permission(principal: Any, action: str, resource: str, condition_keys: Mapping[str, Any]) -> None:
    """Checks that the policies of a principal allow an action, without the policy of the resource.

    Raises:
        AccessDeniedError: It is denied, or one of its policies is invalid.
    """
    if principal.policies is None:  # the account root
        return
    context = _context(principal.arn, principal.type, action, resource, condition_keys, principal.keys)
    request = iam_requests.to_request(context)
    try:
        decision = evaluate(request, iam_requests.to_policies(principal.policies, principal.limits))
    except PolicyError as error:
        raise AccessDeniedError(str(error)) from None
    if not decision.allowed:
        raise AccessDeniedError(access_denied_message(request, decision))


def _tag_keys(resource: str) -> dict[str, Any]:
    tags = tagging.resource_tags(resource) or _tags_by_id(resource.rpartition("/")[2])
    return {f"aws:resourcetag/{name}": value for name, value in tags.items()}


def _tags_by_id(identifier: str) -> dict[str, str]:
    """Returns the tags of an EC2 resource or a stub resource, which MiniStack does not find by ARN."""
    tags = ec2._tags.get(identifier) or next(
        (
            json.loads(record["Properties"]).get("Tags") or ()
            for record in cloudcontrol._resources.values()
            if record["Identifier"] == identifier
        ),
        (),
    )
    return {tag["Key"]: tag["Value"] for tag in tags}


def _boundary_key(resource: str) -> dict[str, str]:
    """Returns the condition key for the permissions boundary of an existing role."""
    role = iam_service._roles.get(resource.rpartition("/")[2], {}) if ":role/" in resource else {}
    boundary = role.get("PermissionsBoundary")
    return {"iam:permissionsboundary": boundary} if boundary else {}


def _context(
    principal_arn: str,
    principal_type: str,
    action: str,
    resource: str,
    condition_keys: Mapping[str, Any],
    principal_keys: Mapping[str, Any] | None = None,
) -> Any:
    return iam_evaluator.EvalContext(
        principal_arn=principal_arn,
        principal_type=principal_type,
        principal_account="" if principal_type == "Service" else ACCOUNT,
        action=action,
        resource_arn=resource,
        region=REGION,
        service_context={"aws:tagkeys": None, **{name.lower(): value for name, value in condition_keys.items()}},
        principal_keys=dict(principal_keys or {}),
        secure_transport=True,
        source_ip=SOURCE_IP,
    )
