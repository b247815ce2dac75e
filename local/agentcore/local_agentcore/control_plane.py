"""The operations of bedrock-agentcore-control: code interpreters as resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .errors import ConflictError
from .paging import page

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .clock import Clock
    from .interpreters import Interpreter, Interpreters
    from .sessions import Sessions

Parameters = Mapping[str, Any]


class ControlPlane:
    """Implements each operation as a method: members of its input in, members of its output out."""

    def __init__(self, interpreters: Interpreters, sessions: Sessions, clock: Clock, assumptions: Assumptions) -> None:
        self._interpreters, self._sessions, self._clock, self._assumptions = interpreters, sessions, clock, assumptions

    async def create_code_interpreter(self, parameters: Parameters) -> dict[str, Any]:
        """CreateCodeInterpreter. The interpreter is ready immediately, whatever status the response has."""
        interpreter = self._interpreters.create(parameters)
        return {
            "codeInterpreterId": interpreter.identifier,
            "codeInterpreterArn": interpreter.arn,
            "createdAt": interpreter.created,
            "status": self._assumptions.create_status,
        }

    async def get_code_interpreter(self, parameters: Parameters) -> dict[str, Any]:
        """GetCodeInterpreter."""
        interpreter = self._interpreters.get(parameters["codeInterpreterId"])
        return _summary(interpreter) | {"networkConfiguration": interpreter.network} | interpreter.echoed

    async def list_code_interpreters(self, parameters: Parameters) -> dict[str, Any]:
        """ListCodeInterpreters, of one type or of both."""
        kind = parameters.get("type")
        matching = [
            interpreter
            for interpreter in self._interpreters.all()
            if kind is None or (kind == "SYSTEM") == interpreter.is_managed
        ]
        interpreters, next_token = page(matching, parameters, f"interpreters {kind}", self._assumptions)
        return {"codeInterpreterSummaries": [_summary(interpreter) for interpreter in interpreters], **next_token}

    async def delete_code_interpreter(self, parameters: Parameters) -> dict[str, Any]:
        """DeleteCodeInterpreter. Fails while the interpreter has live sessions; otherwise deletes it immediately."""
        interpreter = self._interpreters.get(parameters["codeInterpreterId"])
        live = self._sessions.count(interpreter)
        if live:
            raise ConflictError(
                self._assumptions.interpreter_in_use.format(identifier=interpreter.identifier, live=live)
            )
        self._interpreters.delete(interpreter)
        return {
            "codeInterpreterId": interpreter.identifier,
            "status": "DELETING",
            "lastUpdatedAt": self._clock(),
        }

    async def tag_resource(self, parameters: Parameters) -> dict[str, Any]:
        """TagResource, of a code interpreter."""
        self._interpreters.tag(self._interpreters.get(parameters["resourceArn"]), parameters["tags"])
        return {}

    async def untag_resource(self, parameters: Parameters) -> dict[str, Any]:
        """UntagResource, of a code interpreter."""
        tags = self._interpreters.get(parameters["resourceArn"]).tags
        for key in parameters["tagKeys"]:
            tags.pop(key, None)
        return {}

    async def list_tags_for_resource(self, parameters: Parameters) -> dict[str, Any]:
        """ListTagsForResource, of a code interpreter."""
        return {"tags": dict(self._interpreters.get(parameters["resourceArn"]).tags)}


def _summary(interpreter: Interpreter) -> dict[str, Any]:
    description = {"description": interpreter.echoed["description"]} if "description" in interpreter.echoed else {}
    return description | {
        "codeInterpreterId": interpreter.identifier,
        "codeInterpreterArn": interpreter.arn,
        "name": interpreter.name,
        "status": "READY",
        "createdAt": interpreter.created,
        "lastUpdatedAt": interpreter.created,
    }
