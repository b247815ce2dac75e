"""What a workflow sends to the session function."""

from __future__ import annotations

from typing import Annotated

from sandpiper_contract.field_types import Choice, JsonValue
from sandpiper_contract.operations import OPERATIONS
from sandpiper_contract.records import Nested, Record, record
from sandpiper_contract.run import Run


@record
class Event(Record):
    """One operation for one run."""

    operation: Annotated[str, Choice(tuple(OPERATIONS)), "What is asked."]
    run: Annotated[Run, Nested(Run), "Which run it is for."]
    request: Annotated[object, JsonValue(), "The operation's request."]

    def typed_request(self) -> Record:
        """The request as its operation has it; raises InvalidRequest."""
        return OPERATIONS[self.operation].request.from_json(self.request)
