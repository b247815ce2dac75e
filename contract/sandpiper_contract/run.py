"""Identifies the run that a request belongs to, so that a repeated request is recognized."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated
from urllib.parse import quote

from sandpiper_contract.field_types import Integer, Text
from sandpiper_contract.records import Record, record

MAX_KEY_PART_BYTES = 120
"""Maximum length of one part of a run's key. Five parts leave files' paths half of S3's limit of 1,024 bytes."""
ABSENT_PART = "=none"
"""Stands for an absent part. A quoted part never contains `=`."""
_ARN = re.compile(
    r"arn:aws[a-z-]*:states:[a-z0-9-]+:\d{12}:(?:execution|express):(?P<workflow>[^:]+):(?P<name>.+)", re.DOTALL
)


@record
class Run(Record):
    """A state of a workflow execution, identified by values of Step Functions' context object.

    Retries of the state and a redrive of the execution are the same run. In a loop, a state that is entered again is
    another run if the workflow counts the rounds in `iteration`.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """

    execution: Annotated[str, Text(2048), "`$$.Execution.Id`, an ARN. Outside Step Functions any unique name."]
    state: Annotated[str | None, Text(80), "`$$.State.Name`."] = None
    index: Annotated[int | None, Integer(0, 2**31, "items"), "`$$.Map.Item.Index`, in an inline Map."] = None
    iteration: Annotated[int | None, Integer(0, 2**31, "rounds"), "The number of the round, in a loop."] = None
    started: Annotated[
        str | None,
        Text(64),
        "`$$.Execution.StartTime`. Distinguishes an execution from an earlier one with the same name.",
    ] = None

    @property
    def key(self) -> str:
        """The run's folder below the tenant's runs: `WORKFLOW/EXECUTION/STATE[/item=INDEX][/round=ITERATION]`.

        Keys are unique in an account and Region, and no key is inside the files of another run.
        """
        # The name of an express execution contains a colon, the workflow of a distributed map a slash. Quote both.
        arn = _ARN.fullmatch(self.execution)
        names = (arn["workflow"], arn["name"]) if arn else (None, self.execution)
        numbers = {"item": self.index, "round": self.iteration}
        counters = [f"{label}={value}" for label, value in numbers.items() if value is not None]
        return "/".join([*(ABSENT_PART if name is None else _quote(name) for name in (*names, self.state)), *counters])


def _quote(name: str) -> str:
    """Returns a name as one part of a key. Quotes names of dots only, because tools treat them as parent folders."""
    part = quote(name, safe=" ()") if name.strip(".") else name.replace(".", "%2E")
    return part if len(part) <= MAX_KEY_PART_BYTES else f"=sha256-{hashlib.sha256(name.encode()).hexdigest()}"
