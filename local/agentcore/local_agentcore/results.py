"""Results of tools: the members of CodeInterpreterResult, as the service sets them.

Messages and shapes come from published responses of the service. Unpublished ones are assumptions (`assumptions.py`).
"""

from __future__ import annotations

import errno
import signal
from contextlib import suppress
from mimetypes import MimeTypes
from typing import TYPE_CHECKING, Any

from .errors import ValidationError
from .sandbox.limits import MEBIBYTE, Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .assumptions import Assumptions
    from .sandbox.displays import Display
    from .sandbox.responses import Entry, Execution, OperationError, TaskReport, TaskState

Result = dict[str, Any]
MIME_TYPES = MimeTypes()  # Python's table: the host's /etc/mime.types must not matter
UNKNOWN_MIME_TYPE = "application/octet-stream"
TEXT_MIME_TYPE = "text/plain"


def code_result(execution: Execution, notes: list[str], assumptions: Assumptions) -> Result:
    """Returns executeCode's result. Both streams are stripped, as the service does."""
    stdout, stderr = _text(execution.stdout).strip(), _text(execution.stderr).strip()
    shown = [block for display in execution.displays.shown for block in _display_blocks(display, assumptions)]
    return _stream_result(stdout, _with_notes(stderr, notes, "\n"), execution, assumptions, shown)


def command_result(execution: Execution, notes: list[str], assumptions: Assumptions) -> Result:
    """Returns executeCommand's result. The terminal's output is stdout, or stderr if the command failed."""
    output = _text(execution.stdout + execution.stderr)  # stderr states why no shell started
    succeeded = execution.exit_code == 0
    stderr = _with_notes("" if succeeded else output, notes, "\r\n")
    return _stream_result(output if succeeded else "", stderr, execution, assumptions)


def _stream_result(
    stdout: str, stderr: str, execution: Execution, assumptions: Assumptions, shown: Sequence[dict[str, Any]] = ()
) -> Result:
    blocks = [*(_text_block(stream) for stream in (stdout, stderr) if stream), *shown]
    return {
        "content": blocks or [_text_block("")] * assumptions.empty_output_has_block,
        "structuredContent": {
            "stdout": stdout,
            "stderr": stderr,
            "exitCode": execution.exit_code,
            "executionTime": execution.seconds,  # seconds, though the model's documentation says milliseconds
        },
        "isError": execution.exit_code != 0,
    }


def _display_blocks(display: Display, assumptions: Assumptions) -> list[dict[str, Any]]:
    """Returns the content block of a display, or none."""
    if display.mime_type.startswith("image/"):
        block = {"type": "image", "data": display.data, "mimeType": display.mime_type}
        return [block] * (assumptions.image_shown_as == "image")
    text = _text(display.data)
    if assumptions.table_shown_as == "text":
        return [{**_text_block(text), "mimeType": display.mime_type}]
    resource = {"type": "text", "mimeType": display.mime_type, "text": text}
    return [{"type": "resource", "resource": resource}] * (assumptions.table_shown_as == "resource")


def stderr_notes(execution: Execution, limits: Limits, seconds: float) -> list[str]:
    """Returns notes to append to stderr, one sentence each.

    Args:
        execution: The execution.
        limits: The sandbox's limits.
        seconds: The execution's time limit.
    """
    notes: list[str] = []
    if execution.timed_out:
        notes.append(f"The time limit of {seconds:g} s was reached and the code was stopped.")
    if execution.truncated:
        notes.append(f"The call's output limit of {limits.output_bytes // MEBIBYTE} MiB was reached; the rest is lost.")
    if execution.displays.dropped:
        notes.append(f"{execution.displays.dropped} more displays were dropped: they exceed the limits of one result.")
    if execution.out_of_memory:
        notes.append(
            f"The sandbox's memory limit of {limits.memory_bytes // MEBIBYTE} MiB was reached, or that of all sessions "
            "together (files count, too), or the machine had no memory left."
        )
    if execution.kernel_exit_code is not None:
        notes.append(
            f"The Python kernel died ({_describe_exit(execution.kernel_exit_code)}): its variables are lost, "
            "the files are kept, and the next call starts with a new kernel."
        )
    return notes


def task_started(task: str) -> Result:
    """Returns startCommandExecution's result."""
    content = {"taskId": task, "taskStatus": "submitted", "stdout": "", "stderr": ""}
    return {**_message("Successfully started a command execution task"), "structuredContent": content}


def task_not_started(problem: OperationError, assumptions: Assumptions) -> Result:
    """Returns the result of a command whose process could not be started."""
    return _message(assumptions.task_not_started.format(problem=problem), is_error=True)


def task_result(execution: Execution, notes: list[str], assumptions: Assumptions) -> Result:
    """Returns getTask's result for a task that has ended: executeCommand's result with the status."""
    result = command_result(execution, notes, assumptions)
    status = "completed" if execution.exit_code == 0 else "failed"
    return {**result, "structuredContent": {"taskStatus": status, **result["structuredContent"]}}


def unfinished_task_result(task: str, state: TaskState, assumptions: Assumptions) -> Result:
    """Returns getTask's result for a task that is working, canceled or unknown."""
    match state:
        case "working":  # no published response contains partial output
            content = {"taskStatus": "working", "stdout": "", "stderr": ""}
        case "canceled":
            content = {"taskStatus": "canceled"}
        case _:
            return task_missing(task, assumptions)
    return {**_message(f"Task is {state}"), "structuredContent": content}


def task_canceled() -> Result:
    """Returns stopTask's result."""
    return _message("Successfully canceled a command execution task")


def task_not_canceled(task: str, report: TaskReport, assumptions: Assumptions) -> Result:
    """Returns stopTask's error for a task that is not working. Published for a completed task."""
    if report.state == "missing":
        return task_missing(task, assumptions)
    ended = "COMPLETED" if report.execution is not None and report.execution.exit_code == 0 else "FAILED"
    status = "CANCELED" if report.state == "canceled" else ended
    return _message(f"Task cannot be canceled (current status: TaskStatus.{status})", is_error=True)


def task_missing(task: str, assumptions: Assumptions) -> Result:
    """Returns the error for a task that the session never had or has forgotten."""
    return _message(assumptions.task_not_found.format(task=task), is_error=True)


def files_written(count: int) -> Result:
    """Returns writeFiles' result. The service uses the plural for one file, too."""
    return _message(f"Successfully wrote all {count} files")


def files_removed(count: int) -> Result:
    """Returns removeFiles' result."""
    return _message(f"Successfully removed all {count} files")


def file_listing(directory: str, entries: list[Entry]) -> Result:
    """Returns listFiles' result: one level, without sizes; folders have no media type."""
    prefix = "/".join(part for part in directory.split("/") if part not in ("", "."))
    blocks: list[dict[str, Any]] = []
    for entry in entries:
        path = f"{prefix}/{entry.name}" if prefix else entry.name
        mime_type = {} if entry.is_directory else {"mimeType": mime_type_of(entry.name)}
        description = "Directory" if entry.is_directory else "File"
        blocks.append(
            {
                "type": "resource_link",
                **mime_type,
                "uri": f"file:///{path}",
                "name": entry.name,
                "description": description,
            }
        )
    return {"content": blocks, "isError": False}


def file_contents(files: list[tuple[str, bytes]]) -> Result:
    """Returns readFiles' result: text if the bytes are UTF-8 text, otherwise a blob."""
    return {"content": [_resource_block(path, data) for path, data in files], "isError": False}


def path_traversal(path: str, assumptions: Assumptions) -> Result:
    """Returns the error for an absolute path or a path with `..`.

    Raises:
        ValidationError: The assumption `path_traversal_as` is `exception`.
    """
    text = assumptions.path_traversal.format(path=path)
    if assumptions.path_traversal_as == "exception":
        raise ValidationError(text)
    return _message(text, is_error=True)


def file_problem(path: str, problem: OperationError, assumptions: Assumptions) -> Result:
    """Returns the error of a file operation."""
    if problem.errno in (errno.EXDEV, errno.ELOOP):  # a link to outside the working directory
        return path_traversal(path, assumptions)
    return _message(assumptions.file_problem.format(path=path, problem=problem), is_error=True)


def mime_type_of(name: str) -> str:
    """Returns a file's media type by its name."""
    return MIME_TYPES.guess_type(name, strict=True)[0] or UNKNOWN_MIME_TYPE


def _resource_block(path: str, data: bytes) -> dict[str, Any]:
    mime_type = mime_type_of(path)
    body: dict[str, Any] = {"blob": data}
    if b"\0" not in data:
        with suppress(UnicodeDecodeError):
            body = {"text": data.decode("utf-8")}
    if "text" in body and mime_type == UNKNOWN_MIME_TYPE:
        mime_type = TEXT_MIME_TYPE
    return {"type": "resource", "resource": {"uri": f"file:///{path}", "mimeType": mime_type, **body}}


def _message(text: str, *, is_error: bool = False) -> Result:
    return {"content": [_text_block(text)], "isError": is_error}


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _with_notes(text: str, notes: list[str], line_end: str) -> str:
    if not notes:
        return text
    separator = line_end if text and not text.endswith("\n") else ""
    return text + separator + line_end.join(notes)


def _describe_exit(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {-code}, {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
