"""Which run a request belongs to, so that it is known again when it is sent a second time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.kinds import Text, WholeNumber
from sandpiper_contract.records import Record

MOST_KEY_BYTES = 512
"""Of S3's 1,024 for a key, so that files' own paths have the rest."""


@dataclass(frozen=True)
class Run(Record):
    """A state of an execution, as Step Functions' context object names it.

    Retries of the state, and a redrive of the execution, are the same run. A state that a workflow enters again on
    purpose, in a loop, is another when it counts its rounds in `iteration`.
    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html
    """

    execution: Annotated[str, Text(2048), "$$.Execution.Id, an ARN; outside of Step Functions any name of one's own."]
    state: Annotated[str | None, Text(80), "$$.State.Name"] = None
    index: Annotated[int | None, WholeNumber(0, 2**31, "items"), "$$.Map.Item.Index, in an inline Map."] = None
    iteration: Annotated[int | None, WholeNumber(0, 2**31, "rounds"), "In a loop: which round this is."] = None

    def __post_init__(self) -> None:
        """A key that S3 can hold."""
        if len(self.key.encode()) > MOST_KEY_BYTES:
            raise InvalidRequest(f"the run's key is {len(self.key.encode())} bytes; allowed: {MOST_KEY_BYTES}")

    @property
    def key(self) -> str:
        """The run's folder below the tenant's runs, such as `WORKFLOW/EXECUTION/STATE`."""
        # arn:PARTITION:states:REGION:ACCOUNT:execution:WORKFLOW:NAME; express executions have one part more.
        sections = self.execution.split(":", 6)
        name = sections[6] if len(sections) == 7 and sections[0] == "arn" else self.execution
        parts = [part for section in name.split(":") for part in section.split("/") if part]
        numbers = [f"{label}-{value}" for label, value in self._numbers.items() if value is not None]
        return "/".join(_quoted(part) for part in (*parts, *([self.state] if self.state else []), *numbers))

    @property
    def _numbers(self) -> dict[str, int | None]:
        return {"item": self.index, "round": self.iteration}


def _quoted(part: str) -> str:
    """A part of a key without what means something else; dots alone would be a step up for who reads it as a path."""
    return quote(part, safe=" ()") if part.strip(".") else part.replace(".", "%2E")
