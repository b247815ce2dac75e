"""Identifies the run that a request belongs to, so that a repeated request is recognized."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated
from urllib.parse import quote

from sandpiper_contract.field_types import Integer, Text, Timestamp
from sandpiper_contract.records import Record, record

MAX_KEY_PART_BYTES = 120
"""Maximum length of one part of a run's key. Four names leave files' paths more than a third of S3's limit of 1,024
bytes."""
ABSENT_PART = "=none"
"""Stands for an absent part. A quoted part never contains `=`."""
_ARN = re.compile(
    r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:(?P<kind>execution|express):(?P<workflow>[^:]+):(?P<name>.+)", re.DOTALL
)


@record
class Run(Record):
    """A visit of a state in a workflow execution, identified by values of Step Functions' context object.

    Retries of the state and a redrive of the execution are the same run. `entered` distinguishes the visits of a loop,
    and `item` the items of an inline Map, which can enter the state in the same millisecond. `retry` and `redrive` are
    not part of the identity: with them, a second item that sends the run of another is recognized and rejected.

    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """

    execution: Annotated[str, Text(2048), "`$$.Execution.Id`, an ARN. Outside Step Functions any unique name."]
    state: Annotated[str | None, Text(80), "`$$.State.Name`."] = None
    index: Annotated[
        int | None,
        Integer(0, 2**31, "items"),
        "In an inline Map, the number of the item. `item` accepts any text instead.",
    ] = None
    iteration: Annotated[int | None, Integer(0, 2**31, "rounds"), "The number of the round, in a loop."] = None
    started: Annotated[
        str | None,
        Text(64),
        "`$$.Execution.StartTime`. Distinguishes an execution from an earlier one with the same name.",
    ] = None
    entered: Annotated[str | None, Timestamp(), "`$$.State.EnteredTime`. Distinguishes the visits of a state."] = None
    item: Annotated[
        str | None,
        Text(64),
        "In an inline Map, a text that differs for each item and is the same for its retries. It comes from the "
        "state's input: an identifier of a Pass state with `States.UUID()`, or the index that `ItemSelector` passes.",
    ] = None
    retry: Annotated[int | None, Integer(0, 2**31, "retries"), "`$$.State.RetryCount`."] = None
    redrive: Annotated[int | None, Integer(0, 2**31, "redrives"), "`$$.Execution.RedriveCount`."] = None

    @property
    def key(self) -> str:
        """The run's folder below the tenant's runs, unique in an account and Region.

        `WORKFLOW/EXECUTION/STATE[/entered=TIME][/item=INDEX][/id=ITEM][/round=ITERATION]`, without the colons of the
        time. No key is inside the files of another run.
        """
        # The name of an express execution contains a colon, the workflow of a distributed map a slash. Quote both.
        arn = _ARN.fullmatch(self.execution)
        names = (arn["workflow"], arn["name"]) if arn else (None, self.execution)
        labels = {
            "entered": self.entered and self.entered.replace(":", ""),
            "item": self.index,
            "id": self.item and _quote(self.item),
            "round": self.iteration,
        }
        parts = [f"{label}={value}" for label, value in labels.items() if value is not None]
        return "/".join([*(ABSENT_PART if name is None else _quote(name) for name in (*names, self.state)), *parts])

    @property
    def execution_key(self) -> str:
        """The folder of all runs of the execution, `WORKFLOW/EXECUTION`."""
        return "/".join(self.key.split("/", 2)[:2])

    @property
    def workflow(self) -> str | None:
        """The name of the state machine. None outside Step Functions.

        The name of a child execution of a Distributed Map is that of its parent with the Map's label.
        """
        arn = _ARN.fullmatch(self.execution)
        return arn["workflow"].partition("/")[0] if arn else None

    @property
    def is_standard(self) -> bool:
        """Whether the execution is one of a standard workflow, for which AWS bills state transitions."""
        arn = _ARN.fullmatch(self.execution)
        return arn is not None and arn["kind"] == "execution"

    @property
    def attempt(self) -> tuple[int, int] | None:
        """The numbers of the redrive and of the retry, which increase with each attempt. None if they are unknown."""
        return None if self.retry is None or self.redrive is None else (self.redrive, self.retry)

    @property
    def identifies_visit(self) -> bool:
        """Whether the run identifies one visit of the state.

        Without a value that distinguishes visits, a retry looks like another item of a Map or another round of a loop.
        A name from outside Step Functions is always an identity.
        """
        values = (self.entered, self.item, self.index, self.iteration)
        return _ARN.fullmatch(self.execution) is None or any(value is not None for value in values)


def _quote(name: str) -> str:
    """Returns a name as one part of a key. Quotes names of dots only, because tools treat them as parent folders."""
    part = quote(name, safe=" ()") if name.strip(".") else name.replace(".", "%2E")
    return part if len(part) <= MAX_KEY_PART_BYTES else f"=sha256-{hashlib.sha256(name.encode()).hexdigest()}"
