"""What each operation takes: its action, and the resource that a policy has to name.

Service Authorization Reference, "Actions, resources, and condition keys for Amazon Bedrock AgentCore". The action of an
operation has the operation's name. Create and ListCodeInterpreters know no resource: a policy allows them on `*`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .authorizer import RequiredPermission, RoleNotAssumableError
from .errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .assumptions import Assumptions
    from .authorizer import Authorizer
    from .interpreters import Interpreters
    from .protocol import HttpRequest

RESOURCES: Mapping[str, str | None] = {
    "CreateCodeInterpreter": None,
    "ListCodeInterpreters": None,
    "GetCodeInterpreter": "codeInterpreterId",
    "DeleteCodeInterpreter": "codeInterpreterId",
    "TagResource": "resourceArn",
    "UntagResource": "resourceArn",
    "ListTagsForResource": "resourceArn",
    "StartCodeInterpreterSession": "codeInterpreterIdentifier",
    "GetCodeInterpreterSession": "codeInterpreterIdentifier",
    "ListCodeInterpreterSessions": "codeInterpreterIdentifier",
    "StopCodeInterpreterSession": "codeInterpreterIdentifier",
    "InvokeCodeInterpreter": "codeInterpreterIdentifier",
}
"""The member of each operation's input that names the interpreter, by id or ARN; None: `*`."""
SERVICE = "bedrock-agentcore"
ROLE = "executionRoleArn"
"""Of CreateCodeInterpreter alone."""

log = logging.getLogger(__name__)


class Permissions:
    """Judges every call before it is done. Without an authorizer everybody may do everything."""

    def __init__(self, authorizer: Authorizer | None, interpreters: Interpreters, assumptions: Assumptions) -> None:
        self._authorizer, self._interpreters, self._assumptions = authorizer, interpreters, assumptions

    async def require(self, request: HttpRequest, operation: str, parameters: Mapping[str, Any]) -> None:
        """Returns when whoever signed the request may do all that its operation takes.

        Raises:
            NotAuthorizedError: the signature is wrong, or no policy allows it.
            ValidationError: the role that an interpreter is to have cannot be assumed by the service.
            InternalServerError: nobody can tell.
        """
        if self._authorizer is None or self._authorizer.is_itself(request.headers):
            return
        for need in self.needs(operation, parameters):
            await self._authorizer.authorize(request, need)
        if ROLE in parameters:
            try:
                arn = self._interpreters.arn_of_one_called(parameters["name"])
                await self._authorizer.require_assumable(parameters[ROLE], arn)
            except RoleNotAssumableError as error:
                log.info("No interpreter %s: %s", parameters["name"], error)
                raise ValidationError(self._assumptions.role_refused.format(role=parameters[ROLE])) from error

    def needs(self, operation: str, parameters: Mapping[str, Any]) -> list[RequiredPermission]:
        """Returns what an operation takes; one that no line of the table knows is refused by KeyError."""
        member = RESOURCES[operation]
        action = f"{SERVICE}:{operation}"
        if member is not None:
            arn, tags = self._interpreters.described(str(parameters[member]))
            context = {f"aws:ResourceTag/{key}": [value] for key, value in tags.items()}
            return [RequiredPermission(action, arn, context | _tags_in(parameters))]
        role = parameters.get(ROLE)
        passing = [] if role is None else [_passing(str(role))]
        return [RequiredPermission(action, "*", _network(parameters) | _tags_in(parameters)), *passing]


def _tags_in(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    tags: Mapping[str, str] = parameters.get("tags", {})
    keys = [*tags, *parameters.get("tagKeys", ())]
    return {f"aws:RequestTag/{key}": [value] for key, value in tags.items()} | ({"aws:TagKeys": keys} if keys else {})


def _network(parameters: Mapping[str, Any]) -> dict[str, list[str]]:
    vpc: Mapping[str, Any] = parameters.get("networkConfiguration", {}).get("vpcConfig", {})
    named = {f"{SERVICE}:subnets": vpc.get("subnets"), f"{SERVICE}:securityGroups": vpc.get("securityGroups")}
    return {key: list(values) for key, values in named.items() if values}


def _passing(role_arn: str) -> RequiredPermission:
    return RequiredPermission("iam:PassRole", role_arn, {"iam:PassedToService": [f"{SERVICE}.amazonaws.com"]})
