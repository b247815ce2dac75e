"""The permissions that each operation requires: its action, and the resource that a policy has to allow.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Bedrock AgentCore". The
action has the operation's name; `operations.py` defines each operation's resource.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .authorizer import RequiredPermission, RoleNotAssumableError
from .errors import ValidationError
from .operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .assumptions import Assumptions
    from .authorizer import Authorizer
    from .interpreters import Interpreters
    from .protocol import HttpRequest

IAM_PREFIX = "bedrock-agentcore"
ROLE = "executionRoleArn"
"""A member of CreateCodeInterpreter only."""

log = logging.getLogger(__name__)


class Permissions:
    """Authorizes each call before the emulator executes it. Without an authorizer every call is allowed."""

    def __init__(self, authorizer: Authorizer | None, interpreters: Interpreters, assumptions: Assumptions) -> None:
        self._authorizer, self._interpreters, self._assumptions = authorizer, interpreters, assumptions

    async def authorize(self, request: HttpRequest, operation: str, parameters: Mapping[str, Any]) -> None:
        """Checks that the principal that signed the request has all permissions that the operation requires.

        Raises:
            AccessDeniedError: The signature is wrong, or no policy allows an action.
            ValidationError: The service cannot assume the new interpreter's execution role.
            InternalServerError: The authorizer does not respond.
        """
        if self._authorizer is None or self._authorizer.is_sender(request.headers):
            return
        for permission in self.required(operation, parameters):
            await self._authorizer.authorize(request, permission)
        if ROLE in parameters:
            try:
                arn = self._interpreters.new_arn(parameters["name"])
                await self._authorizer.require_assumable(parameters[ROLE], arn)
            except RoleNotAssumableError as error:
                log.info("Interpreter %s was not created: %s", parameters["name"], error)
                raise ValidationError(self._assumptions.role_refused.format(role=parameters[ROLE])) from error

    def required(self, operation: str, parameters: Mapping[str, Any]) -> list[RequiredPermission]:
        """Returns the permissions that a call requires.

        Raises:
            KeyError: The operation is not in the table.
        """
        member = OPERATIONS[operation].resource_member
        action = f"{IAM_PREFIX}:{operation}"
        if member is not None:
            arn, tags = self._interpreters.arn_and_tags(str(parameters[member]))
            context = {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}
            return [RequiredPermission(action, arn, context | _tag_context(parameters))]
        role = parameters.get(ROLE)
        pass_role = [] if role is None else [_pass_role(str(role))]
        return [RequiredPermission(action, "*", _network_context(parameters) | _tag_context(parameters)), *pass_role]


def _tag_context(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    tags: Mapping[str, str] = parameters.get("tags", {})
    keys = [*tags, *parameters.get("tagKeys", ())]
    return {f"aws:RequestTag/{key}": [value] for key, value in tags.items()} | ({"aws:TagKeys": keys} if keys else {})


def _network_context(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    vpc: Mapping[str, Any] = parameters.get("networkConfiguration", {}).get("vpcConfig", {})
    values = {f"{IAM_PREFIX}:subnets": vpc.get("subnets"), f"{IAM_PREFIX}:securityGroups": vpc.get("securityGroups")}
    return {key: list(names) for key, names in values.items() if names}


def _pass_role(role_arn: str) -> RequiredPermission:
    return RequiredPermission("iam:PassRole", role_arn, {"iam:PassedToService": [f"{IAM_PREFIX}.amazonaws.com"]})
