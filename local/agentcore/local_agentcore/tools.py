"""The tools of InvokeCodeInterpreter, executed in a session's sandbox."""

from __future__ import annotations

import asyncio
import errno
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import results
from .errors import FieldProblem, ValidationError
from .results import Result
from .sandbox.responses import OperationError

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .sandbox.host import Sandbox
    from .sandbox.limits import Limits
    from .sandbox.responses import Execution

PYTHON = "python"
RUNTIMES = {PYTHON: (PYTHON,), "javascript": ("deno", "nodejs"), "typescript": ("deno", "nodejs")}
"""The runtimes of each language, the default first (LanguageRuntime in the model)."""
PATH_MAX = 4096
"""The kernel's limit in bytes (limits.h)."""


@dataclass(frozen=True)
class Invocation:
    """One call of a tool.

    Attributes:
        sandbox: The session's sandbox.
        limits: The limits of the sandbox.
        assumptions: The assumptions about the service.
        arguments: The arguments as the model defines them, each optional.
        file_delay: Returns the injected delay of a file in seconds, by its path.
    """

    sandbox: Sandbox
    limits: Limits
    assumptions: Assumptions
    arguments: Mapping[str, Any]
    file_delay: Callable[[str], float]

    def required(self, name: str) -> Any:
        """Returns an argument that the tool requires.

        Raises:
            ValidationError: The argument is missing.
        """
        value = self.arguments.get(name)
        if value is None:
            problem = FieldProblem(f"arguments.{name}", "failed to satisfy constraint: Member must not be null")
            raise ValidationError(self.assumptions.argument_required.format(name=name), problems=[problem])
        return value

    def stderr_notes(self, execution: Execution, seconds: float) -> list[str]:
        """Returns the notes to append to stderr. `seconds` is the execution's time limit."""
        return results.stderr_notes(execution, self.limits, seconds)


Tool = Callable[[Invocation], Awaitable[Result]]


async def execute_code(invocation: Invocation) -> Result:
    """Runs Python in the session's kernel, which keeps variables, or a program of another language in a process."""
    code, seconds = invocation.required("code"), invocation.limits.call_seconds
    language = invocation.arguments.get("language", PYTHON)
    runtimes = RUNTIMES[language]
    runtime = invocation.arguments.get("runtime", runtimes[0])
    if runtime not in runtimes:
        message = invocation.assumptions.runtime_mismatch.format(
            language=language, runtimes=" or ".join(runtimes), runtime=runtime
        )
        problem = FieldProblem("arguments.runtime", f"failed to satisfy constraint: {message}")
        raise ValidationError(message, problems=[problem])
    if language == PYTHON:
        clear = bool(invocation.arguments.get("clearContext", False))
        execution = await invocation.sandbox.execute(code, clear_context=clear, seconds=seconds)
    else:
        execution = await invocation.sandbox.script(code, language, runtime, seconds=seconds)
    return results.code_result(execution, invocation.stderr_notes(execution, seconds), invocation.assumptions)


async def execute_command(invocation: Invocation) -> Result:
    """Runs a command in a new shell."""
    command, seconds = invocation.required("command"), invocation.limits.call_seconds
    execution = await invocation.sandbox.command(command, seconds=seconds)
    return results.command_result(execution, invocation.stderr_notes(execution, seconds), invocation.assumptions)


async def start_command_execution(invocation: Invocation) -> Result:
    """Starts a command in a new shell. The task runs until it ends or the session does."""
    command, task = invocation.required("command"), str(uuid.uuid4())
    try:
        await invocation.sandbox.start_task(task, command, seconds=invocation.limits.task_seconds)
    except OperationError as problem:
        return results.task_not_started(problem, invocation.assumptions)
    return results.task_started(task)


async def get_task(invocation: Invocation) -> Result:
    """Returns a task's status, and its output once it has ended."""
    task = invocation.required("taskId")
    report = await invocation.sandbox.task(task)
    if report.execution is None:
        return results.unfinished_task_result(task, report.state, invocation.assumptions)
    notes = invocation.stderr_notes(report.execution, invocation.limits.task_seconds)
    return results.task_result(report.execution, notes, invocation.assumptions)


async def stop_task(invocation: Invocation) -> Result:
    """Cancels a running task."""
    task = invocation.required("taskId")
    report = await invocation.sandbox.task(task)
    if report.state == "working":
        await invocation.sandbox.stop_task(task)
        report = await invocation.sandbox.task(task)  # the task may have ended by itself in between
        if report.state == "canceled":
            return results.task_canceled()
    return results.task_not_canceled(task, report, invocation.assumptions)


async def write_files(invocation: Invocation) -> Result:
    """Writes texts and blobs. All paths are validated before the first file is written."""
    blocks: list[dict[str, Any]] = invocation.required("content")
    for block in blocks:
        if ("text" in block) == ("blob" in block):
            raise ValidationError(f"The content of '{block['path']}' has to be either text or blob")

    async def write(block: dict[str, Any]) -> None:
        data = block["blob"] if "blob" in block else block["text"].encode("utf-8", "surrogatepass")
        await invocation.sandbox.write_file(block["path"], data)

    failure = await _for_each_file(invocation, [(block["path"], block) for block in blocks], write)
    return failure or results.files_written(len(blocks))


async def read_files(invocation: Invocation) -> Result:
    """Reads whole files. A file that cannot be read fails the call."""
    paths: list[str] = invocation.required("paths")
    files: list[tuple[str, bytes]] = []

    async def read(path: str) -> None:
        files.append((path, await invocation.sandbox.read_file(path)))
        # Code determines the size of files. A response of this size could not be sent.
        if sum(len(data) for _, data in files) > invocation.limits.read_bytes:
            raise OperationError(errno.EFBIG, f"the files are too large together: {os.strerror(errno.EFBIG)}")

    failure = await _for_each_file(invocation, [(path, path) for path in paths], read)
    return failure or results.file_contents(files)


async def list_files(invocation: Invocation) -> Result:
    """Lists one folder. Clients name it `directoryPath` or `path`; the default is the working directory."""
    directory: str = invocation.arguments.get("directoryPath") or invocation.arguments.get("path") or ""
    listings: list[Result] = []

    async def list_directory(path: str) -> None:
        listings.append(results.file_listing(path, await invocation.sandbox.list_directory(path)))

    return await _for_each_file(invocation, [(directory, directory)], list_directory) or listings[0]


async def remove_files(invocation: Invocation) -> Result:
    """Removes files."""
    paths: list[str] = invocation.required("paths")
    failure = await _for_each_file(invocation, [(path, path) for path in paths], invocation.sandbox.remove_file)
    return failure or results.files_removed(len(paths))


async def _for_each_file(
    invocation: Invocation, items: Sequence[tuple[str, Any]], action: Callable[[Any], Awaitable[None]]
) -> Result | None:
    """Applies an action to each path's item, in order. Returns the first failure as a result, or None.

    A path that leaves the working directory is rejected before the first action. The sandbox rejects it too, and also
    follows links.
    """
    for path, _ in items:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            return results.path_traversal(path, invocation.assumptions)
    for path, item in items:
        try:
            await asyncio.sleep(invocation.file_delay(path))
            if len(path) >= PATH_MAX:  # the kernel also rejects such paths, but very long paths do not fit into a frame
                raise OperationError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            await action(item)
        except OperationError as problem:
            return results.file_problem(path, problem, invocation.assumptions)
    return None


FILE_TOOLS: Mapping[str, Tool] = {
    "writeFiles": write_files,
    "readFiles": read_files,
    "listFiles": list_files,
    "removeFiles": remove_files,
}
TOOLS: Mapping[str, Tool] = {
    "executeCode": execute_code,
    "executeCommand": execute_command,
    **FILE_TOOLS,
    "startCommandExecution": start_command_execution,
    "getTask": get_task,
    "stopTask": stop_task,
}
"""The values of `name` of InvokeCodeInterpreter."""
