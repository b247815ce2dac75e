"""The tools of InvokeCodeInterpreter: what each does in a session's sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import results
from .errors import FieldProblem, ValidationError
from .faults import seconds_of
from .interpreters import SANDBOX
from .results import Result
from .sandbox.host import FileOperationError, Sandbox

if TYPE_CHECKING:
    from .faults import Rule
    from .guesses import Guesses
    from .sandbox.limits import Limits

PYTHON = "python"
NO_NETWORK_NOTE = "Note: in the embedded AWS, code of a {mode} interpreter has no network yet."


@dataclass(frozen=True)
class Invocation:
    """One call of a tool. The arguments are as the model defines them, each optional."""

    sandbox: Sandbox
    network_mode: str
    limits: Limits
    guesses: Guesses
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
            raise ValidationError(self.guesses.argument_required.format(name=name), problems=[problem])
        return value

    @property
    def network_note(self) -> str | None:
        """Returns what failing code is told about a network that it would have on AWS."""
        return None if self.network_mode == SANDBOX else NO_NETWORK_NOTE.format(mode=self.network_mode)


Tool = Callable[[Invocation], Awaitable[Result]]


async def execute_code(invocation: Invocation) -> Result:
    """Runs Python in the session's kernel, which keeps its variables from call to call."""
    code = invocation.required("code")
    language = invocation.arguments.get("language", PYTHON)
    runtime = invocation.arguments.get("runtime", PYTHON)
    for kind, value in (("language", language), ("runtime", runtime)):
        if value != PYTHON:
            raise not_emulated(f"The {kind} {value}")
    execution = await invocation.sandbox.execute(
        code,
        clear_context=bool(invocation.arguments.get("clearContext", False)),
        seconds=invocation.limits.call_seconds,
    )
    notes = results.notes_on(execution, invocation.limits, invocation.network_note)
    return results.of_code(execution, notes, invocation.guesses)


async def execute_command(invocation: Invocation) -> Result:
    """Runs a command in a fresh shell."""
    command = invocation.required("command")
    execution = await invocation.sandbox.command(command, seconds=invocation.limits.call_seconds)
    notes = results.notes_on(execution, invocation.limits, invocation.network_note)
    return results.of_command(execution, notes, invocation.guesses)


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
            return results.path_traversal(path, invocation.guesses)
    for path, item in items:
        try:
            await asyncio.sleep(seconds_of(rule for rule in invocation.slow_files if rule.slows(path)))
            await action(item)
        except FileOperationError as problem:
            return results.file_problem(path, problem, invocation.guesses)
    return None


def not_emulated(what: str) -> ValidationError:
    """Returns the error for a part of the service that this emulator does not have."""
    return ValidationError(f"{what} is not emulated yet")


TOOLS: Mapping[str, Tool] = {
    "executeCode": execute_code,
    "executeCommand": execute_command,
    "writeFiles": write_files,
    "readFiles": read_files,
    "listFiles": list_files,
    "removeFiles": remove_files,
}
