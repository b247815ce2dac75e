"""Handles that a workflow passes from one operation to the next. Pass them on unchanged."""

from __future__ import annotations

from typing import Annotated

from sandpiper_contract.field_types import MAX_NUMBER, Boolean, Integer, Number, Text
from sandpiper_contract.records import Nested, Record, record


@record
class SessionHandle(Record):
    """An open session."""

    interpreter: Annotated[str, Text(255), "The interpreter's key."]
    session_id: Annotated[str, Text(255), "The service's identifier of the session."]
    seen: Annotated[
        int,
        Integer(0, MAX_NUMBER, "microseconds"),
        "When the session's files were last listed, by the sandbox's clock. Files that changed later are new.",
    ] = 0
    ends: Annotated[
        int | None,
        Integer(0, MAX_NUMBER, "seconds"),
        "When the session's lifetime ends, in seconds since 1970. A call that is sent after this time runs no code.",
    ] = None
    started: Annotated[
        float | None,
        Number("seconds"),
        "When the session started, in seconds since 1970, for its usage. Absent in handles of older releases.",
    ] = None


@record
class TaskHandle(Record):
    """A started command."""

    session: Annotated[SessionHandle, Nested(SessionHandle), "The session that the command runs in."]
    task_id: Annotated[str, Text(255), "The service's identifier of the command."]
    closes: Annotated[bool, Boolean(), "Whether the session ends with the command."] = True
    output: Annotated[str | None, Text(64), "Identifies the command's output in the session."] = None
    timeout_seconds: Annotated[
        int | None, Integer(1, MAX_NUMBER, "seconds"), "How long the command may run at most."
    ] = None
