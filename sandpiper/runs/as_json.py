"""Executions as JSON, for `--json`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper.runs.cost import estimated_usd
from sandpiper.runs.session_progress import waits_for_approval

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandpiper.downloads import SavedFile
    from sandpiper.runs.batches import Item
    from sandpiper.runs.executions import Execution
    from sandpiper.runs.history import Attempt, Step
    from sandpiper.runs.records import StateRecord

HIDDEN = ("code", "text", "base64")
"""The fields of a request that contain a program or a file."""


def execution_json(execution: Execution) -> dict[str, object]:
    """Returns an execution without its input and its results."""
    return {
        "arn": execution.arn,
        "name": execution.name,
        "workflow": execution.workflow,
        "status": execution.status,
        "started": execution.started.isoformat(),
        "stopped": _time(execution.stopped),
        "durationSeconds": round(execution.seconds, 3),
        "exitCode": execution.exit_code,
        "items": None if execution.summary is None else {**execution.summary},
        "error": execution.error or None,
        "message": execution.message or None,
        "estimatedUsd": estimated_usd(execution),
    }


def run_json(
    execution: Execution, steps: Sequence[Step], records: Sequence[StateRecord], *, with_code: bool
) -> dict[str, object]:
    """Returns an execution in full.

    Args:
        execution: the execution.
        steps: its steps.
        records: its idempotency records.
        with_code: whether the request has its programs and files, instead of their lengths.
    """
    return {
        **execution_json(execution),
        "request": execution.request if with_code else without_code(execution.request),
        "output": execution.output,
        "sessionSteps": [*execution.session_steps],
        "results": [{"label": one.label, **one.result} for one in execution.results],
        "waitsForApproval": waits_for_approval(steps),
        "sessions": [_record_json(record) for record in records],
        "steps": [_step_json(step) for step in steps],
    }


def item_json(execution: Execution, item: Item) -> dict[str, object]:
    """Returns an item of a batch."""
    return {
        "arn": execution.arn,
        "index": item.index,
        "item": json.loads(item.text),
        "status": item.status,
        "error": item.error or None,
        "message": item.message or None,
        "session": item.session_id,
        "result": item.result,
    }


def file_json(file: SavedFile) -> dict[str, object]:
    """Returns a downloaded file."""
    return {
        "name": file.name,
        "contentType": file.content_type,
        "size": file.size,
        "s3Uri": file.s3_uri or None,
        "savedTo": None if file.problem else str(file.saved_to),
        "problem": file.problem,
    }


def without_code(value: object) -> object:
    """Returns a request with the lengths of its programs and files in characters instead of their content.

    Example:
        >>> without_code({"code": "print(1)", "timeoutSeconds": 9})
        {'codeCharacters': 8, 'timeoutSeconds': 9}
    """
    if isinstance(value, list):
        return [without_code(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    return {
        f"{name}Characters" if name in HIDDEN and isinstance(item, str) else name: len(item)
        if name in HIDDEN and isinstance(item, str)
        else without_code(item)
        for name, item in cast("dict[str, Any]", value).items()
    }


def _record_json(record: StateRecord) -> dict[str, object]:
    return {
        "state": record.state,
        "session": record.session_id,
        "status": record.stored.status.value,
        "starts": record.stored.generation,
        "error": record.stored.error,
        "calls": record.calls,
    }


def _step_json(step: Step) -> dict[str, object]:
    return {
        "name": step.name,
        "type": step.type,
        "entered": step.entered.isoformat(),
        "exited": _time(step.exited),
        "attempts": [_attempt_json(attempt) for attempt in step.attempts],
    }


def _attempt_json(attempt: Attempt) -> dict[str, object]:
    return {
        "started": attempt.started.isoformat(),
        "ended": _time(attempt.ended),
        "error": attempt.error or None,
        "message": attempt.message or None,
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()
