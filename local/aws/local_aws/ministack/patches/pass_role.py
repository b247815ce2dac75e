"""The permission to pass a role to Lambda or Step Functions, which MiniStack does not check.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
CloudFormation and AgentCore have their own checks.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator

from local_aws.ministack.gateway import current_request
from local_aws.ministack.patches import iam, iam_roles, s3_permissions

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
FUNCTION_ROLE, STATE_MACHINE_ROLE = ("Role", "lambda.amazonaws.com"), ("roleArn", "states.amazonaws.com")
PASSED_ROLES: Mapping[str, tuple[str, str]] = {
    "lambda:CreateFunction": FUNCTION_ROLE,
    "lambda:UpdateFunctionConfiguration": FUNCTION_ROLE,
    "states:CreateStateMachine": STATE_MACHINE_ROLE,
    "states:UpdateStateMachine": STATE_MACHINE_ROLE,
}
"""The member of a request that names the role, and the service that the role is passed to, by action."""


def install() -> None:
    """Adds the check to MiniStack's access control. Call it after `s3_permissions.install`, which this one extends."""
    iam_evaluator.enforce = enforce


def enforce(access_key_id: str, action: str, *arguments: Any, **options: Any) -> Any:
    """Decides a request. If it passes a role, also checks `iam:PassRole`."""
    denial = s3_permissions.enforce(access_key_id, action, *arguments, **options)
    request = current_request.get()
    if denial is not None or action not in PASSED_ROLES or request is None:
        return denial
    member, service = PASSED_ROLES[action]
    role = json.loads(bytes(request.body) or b"{}").get(member)
    if not role:
        return None
    principal = None
    try:
        principal = iam_roles.calling_principal()
        iam_roles.require_permission(principal, "iam:PassRole", role, {"iam:PassedToService": service})
    except iam_roles.AccessDeniedError as error:
        principal_arn = principal.arn if principal else ""
        iam.set_denial_message(action, principal_arn, str(error))
        return iam_evaluator.EvalResult("ImplicitDeny", principal_arn)
    return None
