"""The event that a workflow sends to the session function."""

from __future__ import annotations

from typing import Annotated

from sandpiper_contract.field_types import Choice, JsonValue
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.run import Run


@record
class Event(Record):
    """An operation for a run."""

    operation: Annotated[str, Choice(tuple(OPERATIONS)), "The operation to perform."]
    run: Annotated[Run, Nested(Run), "The run that the operation belongs to."]
    request: Annotated[object, JsonValue(), "The operation's request."]

    def typed_request(self) -> Record:
        """Returns the request as the operation's request type. Raises InvalidRequest.

        Example:
            >>> raw = {"operation": "run_code", "run": {"execution": "job-1"}, "request": {"code": "print(1)"}}
            >>> Event.from_json(raw, "event").typed_request().code
            'print(1)'
        """
        return OPERATIONS[self.operation].request.from_json(self.request)
