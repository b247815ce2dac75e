"""The tools of InvokeCodeInterpreter: what each does in a session's sandbox."""

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
from .faults import seconds_of
from .results import Result
from .sandbox.responses import OperationError

if TYPE_CHECKING:
    from .assumptions import Assumptions
    from .faults import Rule
    from .sandbox.host import Sandbox
    from .sandbox.limits import Limits
    from .sandbox.responses import Execution

PYTHON = "python"
RUNTIMES = {PYTHON: (PYTHON,), "javascript": ("deno", "nodejs"), "typescript": ("deno", "nodejs")}
"""What may run a language, the default first (the model's documentation of LanguageRuntime)."""
PATH_MAX = 4096
"""The kernel's (limits.h)."""


@dataclass(frozen=True)
class Invocation:
    """One call of a tool. The arguments are as the model defines them, each optional."""

    sandbox: Sandbox
    limits: Limits
    assumptions: Assumptions
    arguments: Mapping[str, Any]
    slow_files: Sequence[Rule] = ()

    def required(self, name: str) -> Any:
        """Returns an argument that this tool cannot do without.

        Raises:
            ValidationError: it is not there.
        """
        value = self.arguments.get(name)
        if value is None:
            problem = FieldProblem(f"arguments.{name}", "failed to satisfy constraint: Member must not be null")
            raise ValidationError(self.assumptions.argument_required.format(name=name), problems=[problem])
        return value

    def notes_on(self, execution: Execution, seconds: float) -> list[str]:
        """Returns what is said on stderr besides the program's own words. `seconds` was its time limit."""
        return results.notes_on(execution, self.limits, seconds)


Tool = Callable[[Invocation], Awaitable[Result]]


async def execute_code(invocation: Invocation) -> Result:
    """Runs Python in the session's kernel, which keeps its variables, or a program of another language on its own."""
    code, seconds = invocation.required("code"), invocation.limits.call_seconds
    language = invocation.arguments.get("language", PYTHON)
    runtimes = RUNTIMES[language]
    runtime = invocation.arguments.get("runtime", runtimes[0])
    if runtime not in runtimes:
        words = invocation.assumptions.runtime_mismatch.format(
            language=language, runtimes=" or ".join(runtimes), runtime=runtime
        )
        problem = FieldProblem("arguments.runtime", f"failed to satisfy constraint: {words}")
        raise ValidationError(words, problems=[problem])
    if language == PYTHON:
        clear = bool(invocation.arguments.get("clearContext", False))
        execution = await invocation.sandbox.execute(code, clear_context=clear, seconds=seconds)
    else:
        execution = await invocation.sandbox.script(code, language, runtime, seconds=seconds)
    return results.of_code(execution, invocation.notes_on(execution, seconds), invocation.assumptions)


async def execute_command(invocation: Invocation) -> Result:
    """Runs a command in a fresh shell."""
    command, seconds = invocation.required("command"), invocation.limits.call_seconds
    execution = await invocation.sandbox.command(command, seconds=seconds)
    return results.of_command(execution, invocation.notes_on(execution, seconds), invocation.assumptions)


async def start_command_execution(invocation: Invocation) -> Result:
    """Starts a command in a fresh shell, which runs on without a caller as long as the session does."""
    command, task = invocation.required("command"), str(uuid.uuid4())
    try:
        await invocation.sandbox.start_task(task, command, seconds=invocation.limits.task_seconds)
    except OperationError as problem:
        return results.task_not_started(problem, invocation.assumptions)
    return results.task_started(task)


async def get_task(invocation: Invocation) -> Result:
    """Says how a task stands, and what it has printed once it has ended."""
    task = invocation.required("taskId")
    report = await invocation.sandbox.task(task)
    if report.execution is None:
        return results.of_unfinished_task(task, report.state, invocation.assumptions)
    notes = invocation.notes_on(report.execution, invocation.limits.task_seconds)
    return results.of_task(report.execution, notes, invocation.assumptions)


async def stop_task(invocation: Invocation) -> Result:
    """Ends a task that works."""
    task = invocation.required("taskId")
    report = await invocation.sandbox.task(task)
    if report.state == "working":
        await invocation.sandbox.stop_task(task)
        report = await invocation.sandbox.task(task)  # it may have ended by itself in between
        if report.state == "canceled":
            return results.task_canceled()
    return results.task_not_canceled(task, report, invocation.assumptions)


async def write_files(invocation: Invocation) -> Result:
    """Writes texts and blobs, all paths checked before the first is written."""
    blocks: list[dict[str, Any]] = invocation.required("content")
    for block in blocks:
        if ("text" in block) == ("blob" in block):
            raise ValidationError(f"The content of '{block['path']}' has to be either text or blob")

    async def write(block: dict[str, Any]) -> None:
        data = block["blob"] if "blob" in block else block["text"].encode("utf-8", "surrogatepass")
        await invocation.sandbox.write_file(block["path"], data)

    failure = await _each(invocation, [(block["path"], block) for block in blocks], write)
    return failure or results.written(len(blocks))


async def read_files(invocation: Invocation) -> Result:
    """Reads whole files. One that cannot be read fails the call."""
    paths: list[str] = invocation.required("paths")
    files: list[tuple[str, bytes]] = []

    async def read(path: str) -> None:
        files.append((path, await invocation.sandbox.read_file(path)))
        # Each may be as long as code has made it; an answer of that size could not be sent anyway.
        if sum(len(data) for _, data in files) > invocation.limits.read_bytes:
            raise OperationError(errno.EFBIG, f"the files are too large together: {os.strerror(errno.EFBIG)}")

    return await _each(invocation, [(path, path) for path in paths], read) or results.contents(files)


async def list_files(invocation: Invocation) -> Result:
    """Lists one folder. Clients name it `directoryPath` or `path`; without either it is the working directory."""
    directory: str = invocation.arguments.get("directoryPath") or invocation.arguments.get("path") or ""
    listings: list[Result] = []

    async def list_one(path: str) -> None:
        listings.append(results.listing(path, await invocation.sandbox.list_directory(path)))

    return await _each(invocation, [(directory, directory)], list_one) or listings[0]


async def remove_files(invocation: Invocation) -> Result:
    """Removes files."""
    paths: list[str] = invocation.required("paths")
    failure = await _each(invocation, [(path, path) for path in paths], invocation.sandbox.remove_file)
    return failure or results.removed(len(paths))


async def _each(
    invocation: Invocation, items: Sequence[tuple[str, Any]], action: Callable[[Any], Awaitable[None]]
) -> Result | None:
    """Does something with each path's item, in order. Returns the first failure as a result, or None.

    A path that leads out is refused before anything is done. The sandbox refuses it again, links included.
    """
    for path, _ in items:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path:
            return results.path_traversal(path, invocation.assumptions)
    for path, item in items:
        try:
            await asyncio.sleep(seconds_of(rule for rule in invocation.slow_files if rule.slows(path)))
            if len(path) >= PATH_MAX:  # the kernel says so of most, but far longer ones are more than a frame holds
                raise OperationError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
            await action(item)
        except OperationError as problem:
            return results.file_problem(path, problem, invocation.assumptions)
    return None


TOOLS: Mapping[str, Tool] = {
    "executeCode": execute_code,
    "executeCommand": execute_command,
    "writeFiles": write_files,
    "readFiles": read_files,
    "listFiles": list_files,
    "removeFiles": remove_files,
    "startCommandExecution": start_command_execution,
    "getTask": get_task,
    "stopTask": stop_task,
}
