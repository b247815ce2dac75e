"""An execution of a workflow: its state, its input and its result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from sandpiper.names import RUN_BATCH
from sandpiper_contract.prices import LIST_PRICES, Prices

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef, ExecutionListItemTypeDef

"""The workflow whose results are objects in S3."""
RUNNING = "RUNNING"
SUCCEEDED = "SUCCEEDED"
STATUSES = (RUNNING, SUCCEEDED, "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE")
"""https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html"""


@dataclass(frozen=True)
class ProgramResult:
    """The result of one program of a run, as `run_code` returns it.

    Attributes:
        label: which program it is, if the run has several, such as `step 0`; empty otherwise.
        result: the result as JSON.
    """

    label: str
    result: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """The exit code of the program."""
        return int(self.result["exitCode"])


@dataclass(frozen=True, kw_only=True)
class Execution:
    """An execution.

    Attributes:
        arn: its ARN.
        name: its name, unique in its workflow.
        workflow: the name of its workflow, such as `run-code`.
        status: its status in Step Functions.
        started: when it started.
        stopped: when it ended; None while it runs.
        redriven: when it was last redriven; None if it never was.
        request: the input; None if it was not read.
        output: the output; None without one.
        error: the name of the error; empty without one.
        message: the message of the error; empty without one.
        results: the results of its programs, as far as they are known.
        session_steps: the entries of the steps of a session, with a result or an error each.
        summary: the summary of a batch; None for other executions, and as long as it is not written.
        prices: the prices of the estimated cost, for executions that do not state it.
    """

    arn: str
    name: str
    workflow: str
    status: str
    started: datetime
    stopped: datetime | None = None
    redriven: datetime | None = None
    request: object = None
    output: Mapping[str, Any] | None = None
    error: str = ""
    message: str = ""
    results: Sequence[ProgramResult] = field(default_factory=list[ProgramResult])
    session_steps: Sequence[Mapping[str, Any]] = ()
    summary: Mapping[str, Any] | None = None
    prices: Prices = LIST_PRICES

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.status == RUNNING

    @property
    def seconds(self) -> float:
        """Its duration in seconds, until now while it runs."""
        return ((self.stopped or datetime.now(UTC)) - self.started).total_seconds()

    @property
    def exit_code(self) -> int | None:
        """The exit code of its last program with a result; None without one, and for a batch."""
        return self.results[-1].exit_code if self.results else None

    @property
    def failed_items(self) -> int | None:
        """The number of items of a batch that have no result, or whose exit code is not 0; None without a summary."""
        return None if self.summary is None else self.summary["failed"] + self.summary["programsFailed"]


def from_list(item: ExecutionListItemTypeDef, workflow: str) -> Execution:
    """Returns an execution of a response of ListExecutions, which has neither input nor result."""
    return Execution(
        arn=item["executionArn"],
        name=item["name"],
        workflow=workflow,
        status=item["status"],
        started=item["startDate"],
        stopped=item.get("stopDate"),
        redriven=item.get("redriveDate"),
    )


def from_description(described: DescribeExecutionOutputTypeDef, workflow: str) -> Execution:
    """Returns the execution of a response of DescribeExecution."""
    output = _as_object(described.get("output", "")) if described["status"] == SUCCEEDED else None
    cause = described.get("cause", "")
    values = output or _as_object(cause) or {}  # the cause of a failed run-session has the results of its steps
    return Execution(
        arn=described["executionArn"],
        name=described.get("name", ""),
        workflow=workflow,
        status=described["status"],
        started=described["startDate"],
        stopped=described.get("stopDate"),
        redriven=described.get("redriveDate"),
        request=_as_json(described.get("input", "")),
        output=output,
        error=described.get("error", ""),
        message=error_message(cause),
        results=list(_results(values)),
        session_steps=list(_session_steps(values)),
        summary=_as_summary(values.get("summary")) if workflow == RUN_BATCH else None,
    )


def error_message(cause: str) -> str:
    """Returns the message in the cause of a failed Lambda task, which is JSON; any other cause unchanged."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause


def is_result(value: object) -> bool:
    """Returns whether a JSON value is the final result of a program."""
    return isinstance(value, dict) and value.keys() >= {"stdout", "exitCode", "files"}


def _results(values: Mapping[str, Any]) -> Iterator[ProgramResult]:
    """Yields the results in the output of a workflow: it is one, or has one for each of its steps."""
    if is_result(values):
        yield ProgramResult("", values)
    for step in _session_steps(values):
        if is_result(step.get("result")):
            yield ProgramResult(f"step {step.get('index')}", step["result"])


def _session_steps(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    steps = cast("list[Any]", values["steps"]) if isinstance(values.get("steps"), list) else []
    yield from (cast("dict[str, Any]", step) for step in steps if isinstance(step, dict))


def _as_summary(value: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _as_object(text: str) -> dict[str, Any] | None:
    value = _as_json(text)
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _as_json(text: str) -> object:
    """Returns the value of JSON text; None for other text. Only workflows of others can have such an input."""
    try:
        return json.loads(text)
    except ValueError:
        return None
