"""The table of emulated operations. Dispatch, request parsing, permissions and faults derive from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROL_PLANE = "bedrock-agentcore-control"
DATA_PLANE = "bedrock-agentcore"
SERVICES = (CONTROL_PLANE, DATA_PLANE)
"""Names of the two service models in botocore."""
INVOKE = "InvokeCodeInterpreter"


@dataclass(frozen=True)
class Operation:
    """One emulated operation.

    Attributes:
        name: The operation in the service model and the action in a policy.
        service: The service model that defines it.
        resource_member: The input member that names the interpreter by id or ARN. None for an operation without a
            resource, which a policy allows on `*`.
    """

    name: str
    service: str
    resource_member: str | None


# Resources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Bedrock AgentCore".
OPERATIONS: Mapping[str, Operation] = {
    name: Operation(name, service, resource_member)
    for name, service, resource_member in (
        ("CreateCodeInterpreter", CONTROL_PLANE, None),
        ("GetCodeInterpreter", CONTROL_PLANE, "codeInterpreterId"),
        ("ListCodeInterpreters", CONTROL_PLANE, None),
        ("DeleteCodeInterpreter", CONTROL_PLANE, "codeInterpreterId"),
        ("TagResource", CONTROL_PLANE, "resourceArn"),
        ("UntagResource", CONTROL_PLANE, "resourceArn"),
        ("ListTagsForResource", CONTROL_PLANE, "resourceArn"),
        ("StartCodeInterpreterSession", DATA_PLANE, "codeInterpreterIdentifier"),
        ("GetCodeInterpreterSession", DATA_PLANE, "codeInterpreterIdentifier"),
        ("ListCodeInterpreterSessions", DATA_PLANE, "codeInterpreterIdentifier"),
        ("StopCodeInterpreterSession", DATA_PLANE, "codeInterpreterIdentifier"),
        (INVOKE, DATA_PLANE, "codeInterpreterIdentifier"),
    )
}
