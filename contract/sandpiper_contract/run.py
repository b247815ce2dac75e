"""Which run a request belongs to, so that it is known again when it is sent a second time."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated
from urllib.parse import quote

from sandpiper_contract.field_types import Integer, Text
from sandpiper_contract.records import Record, record

MAX_KEY_PART_BYTES = 120
"""Of a key, in bytes; five of them leave files' own paths half of S3's 1,024."""
ABSENT_PART = "=none"
"""Stands for a part that is not there. A quoted part has no `=`."""
_ARN = re.compile(
    r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:(?:execution|express):(?P<workflow>[^:]+):(?P<name>.+)", re.DOTALL
)


@record
class Run(Record):
    """A state of an execution, as Step Functions' context object names it.

    Retries of the state, and a redrive of the execution, are the same run. A state that a workflow enters again on
    purpose, in a loop, is another when it counts its rounds in `iteration`.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """

    execution: Annotated[str, Text(2048), "$$.Execution.Id, an ARN; outside of Step Functions any name of one's own."]
    state: Annotated[str | None, Text(80), "$$.State.Name"] = None
    index: Annotated[int | None, Integer(0, 2**31, "items"), "$$.Map.Item.Index, in an inline Map."] = None
    iteration: Annotated[int | None, Integer(0, 2**31, "rounds"), "In a loop: which round this is."] = None
    started: Annotated[
        str | None, Text(64), "$$.Execution.StartTime: an execution that has the name of an earlier one is known by it."
    ] = None

    @property
    def key(self) -> str:
        """The run's folder below the tenant's runs: `WORKFLOW/EXECUTION/STATE`, and `item=3`, `round=2` below it.

        No two runs of an account and a region share one, and none lies where another keeps its files.
        """
        # An express execution's name has a colon, a distributed map's workflow a slash: both are quoted.
        arn = _ARN.fullmatch(self.execution)
        names = (arn["workflow"], arn["name"]) if arn else (None, self.execution)
        numbers = {"item": self.index, "round": self.iteration}
        counted = [f"{label}={value}" for label, value in numbers.items() if value is not None]
        return "/".join([*(ABSENT_PART if name is None else _quote(name) for name in (*names, self.state)), *counted])


def _quote(name: str) -> str:
    """A name as one part of a key; dots alone would be a step up for who reads it as a path."""
    part = quote(name, safe=" ()") if name.strip(".") else name.replace(".", "%2E")
    return part if len(part) <= MAX_KEY_PART_BYTES else f"=sha256-{hashlib.sha256(name.encode()).hexdigest()}"
