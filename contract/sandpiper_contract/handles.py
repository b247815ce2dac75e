"""What a workflow carries from one operation to the next. Its fields are the product's; pass them on as they came."""

from __future__ import annotations

from typing import Annotated

from sandpiper_contract.field_types import MAX_NUMBER, Boolean, Integer, Text
from sandpiper_contract.records import Nested, Record, record


@record
class SessionHandle(Record):
    """An open session."""

    interpreter: Annotated[str, Text(255), "The interpreter's key."]
    session_id: Annotated[str, Text(255), "The service's name for the session."]
    seen: Annotated[
        int,
        Integer(0, MAX_NUMBER, "microseconds"),
        "By the sandbox's clock, when its files were last looked at: what changed since is new.",
    ] = 0
    ends: Annotated[
        int | None,
        Integer(0, MAX_NUMBER, "seconds"),
        "When its lifetime ends, in seconds since 1970: a call after it is known not to have run anything.",
    ] = None


@record
class TaskHandle(Record):
    """A command that was started."""

    session: Annotated[SessionHandle, Nested(SessionHandle), "Where it runs."]
    task_id: Annotated[str, Text(255), "The service's name for the command."]
    closes: Annotated[bool, Boolean(), "Whether the session ends with the command."] = True
