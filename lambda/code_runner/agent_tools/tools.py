"""The agent tools: a sandbox that keeps its state between calls, and a workspace in S3.

Calls are not idempotent: a repeated call runs the code again. Workflows use `code_runner.operations` instead.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypeVar, cast

from code_runner.agent_tools.file_operations import file_operation
from code_runner.agent_tools.restarting_session import SESSION_REPLACED, RestartingSession, Uploads
from code_runner.agent_tools.results import (
    ExecutionResult,
    Failed,
    FilesChanged,
    FilesListed,
    FilesPushed,
    FilesRead,
    ToolResult,
)
from code_runner.agent_tools.specs import TOOL_SPECS, TOOLS, parse_arguments
from code_runner.agent_tools.workspace import FOLDER, Workspace
from code_runner.agent_tools.workspace_push import check_distinct_names, push, save
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.live_sessions import log_stop_failure
from code_runner.agentcore.programs import Code, Command
from sandpiper_contract.errors import InvalidRequest, RunError
from sandpiper_contract.field_types import AnyString, Base64, Integer, Text, parse_relative_path
from sandpiper_contract.files import NO_OUTPUTS, InputFile, check_input_paths
from sandpiper_contract.invalid_values import invalid_value, require_instance
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS
from sandpiper_contract.s3_objects import S3Folder, S3Object

if TYPE_CHECKING:
    from collections.abc import Callable

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.session import CodeSession
    from sandpiper_contract.results import RunResult

__all__ = ["SESSION_REPLACED", "TOOL_SPECS", "CodeInterpreterTools"]

SESSION_SECONDS = 900
"""Default lifetime of a session, as in the service."""
NO_NETWORK = (
    "The code has no network access, as always in network mode SANDBOX. Use the installed packages (pip list) or "
    "uploaded files. Installing packages and downloading data require an interpreter in network mode PUBLIC."
)
NO_NETWORK_SIGNS = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "Failed to resolve",
    "Could not resolve host",
    "Network is unreachable",
)
"""Messages of glibc, urllib3, curl and the kernel without network access."""

Result = TypeVar("Result", bound=ToolResult)


class CodeInterpreterTools:
    """The tools of an agent, as methods. Use it as a context manager, which stops the session at the end.

    The first call that needs a session starts it. Tools do not raise RunError: they return `Failed`. Calls from several
    threads run one after another, because they share a sandbox.

    Example:
        >>> with CodeInterpreterTools("aws.codeinterpreter.v1", bucket="agent-files") as tools:
        ...     tools.execute_code("x = 20")
        ...     tools.call("execute_code", {"code": "print(x + 1)"}).to_json()["stdout"]
        '21'
    """

    def __init__(
        self,
        interpreter_id: str,
        *,
        bucket: str,
        prefix: str = "",
        uploads: Mapping[str, bytes] | None = None,
        uploads_uri: str | None = None,
        session_timeout_seconds: int = SESSION_SECONDS,
        clients: Clients | None = None,
        on_stop_failed: Callable[[str, RunError], None] = log_stop_failure,
    ) -> None:
        """Validates the arguments. Does not call AWS.

        Args:
            interpreter_id: `aws.codeinterpreter.v1`, or the identifier of a custom interpreter.
            bucket: The bucket of the workspace, which is the folder `code-interpreter/` below the prefix.
            prefix: The prefix of the workspace in the bucket.
            uploads: Files to write to each new session: content by path.
            uploads_uri: `s3://BUCKET/FOLDER/`, whose objects are also written to each new session. Archives are not
                unpacked.
            session_timeout_seconds: Lifetime of a session, 60 to 28,800 s.
            clients: Default: clients with boto3's default Region and credentials. Pass
                `AwsClients(boto3.Session(…))` for others.
            on_stop_failed: Called with the identifier and the error if a session cannot be stopped. The session then
                ends when its lifetime expires. Default: logs the error.

        Raises:
            InvalidRequest: An argument is not valid.
        """
        Text(255).validate("interpreter_id", interpreter_id)
        self._clients = clients or AwsClients()
        lifetime = Integer(*SESSION_TIMEOUT_SECONDS, "seconds")
        seconds = lifetime.parse("session_timeout_seconds", session_timeout_seconds)
        folder = None if uploads_uri is None else S3Folder().parse("uploads_uri", uploads_uri)
        contents = cast("Mapping[object, object]", require_instance("uploads", uploads or {}, Mapping))
        files = tuple(_upload(path, data) for path, data in contents.items())
        check_input_paths(files)
        self._session = RestartingSession(
            self._clients, interpreter_id, seconds, Uploads(files, folder), on_stop_failed
        )
        self._bucket = bucket
        self._prefix = f"{AnyString().validate('prefix', prefix).strip('/')}/".lstrip("/")
        S3Folder().validate("workspace", S3Object(bucket, f"{self._prefix}{FOLDER}"))
        self._closed = False
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        """Returns the tools."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the session."""
        self.close()

    def close(self) -> None:
        """Stops the session, if one is running. Later calls return `Failed`."""
        with self._lock:
            self._closed = True
            self._session.stop()

    def call(self, name: str, tool_input: object) -> ToolResult:
        """Calls a tool by name with the input that a model sent."""
        try:
            if name not in TOOLS:
                raise invalid_value("tool", name, " | ".join(TOOLS))
            arguments = TOOLS[name].validated_arguments(tool_input)
        except InvalidRequest as error:
            return Failed.from_error(error)
        return getattr(self, name)(**arguments)

    def execute_code(
        self, code: str, language: str = "python", output_filename: str = "", timeout_seconds: int | None = None
    ) -> ExecutionResult | Failed:
        """Runs code in the session and saves the file `output_filename` to the workspace.

        If the code does not write the file, the result lists it in `not_saved`. Code that runs longer than
        `timeout_seconds` is ended, and the result has `timed_out`.
        """

        def work() -> ExecutionResult:
            program, program_language, path, seconds = parse_arguments(
                "execute_code",
                code=code,
                language=language,
                output_filename=output_filename,
                timeout_seconds=timeout_seconds,
            )

            def run(session: CodeSession) -> ExecutionResult:
                executed = session.run(Code(program, program_language), outputs=NO_OUTPUTS, timeout_seconds=seconds)
                result = _to_execution_result(executed)
                if not path:
                    return result
                saved, not_saved = save(session, path, self._workspace)
                return replace(result, saved=saved, not_saved=not_saved)

            return self._session.execute(run, runs_code=True)

        return self._run(work)

    def execute_command(self, command: str, timeout_seconds: int | None = None) -> ExecutionResult | Failed:
        """Runs a shell command in the session's working directory.

        A command that runs longer than `timeout_seconds` is ended, and the result has `timed_out`.
        """

        def work() -> ExecutionResult:
            command_line, seconds = parse_arguments("execute_command", command=command, timeout_seconds=timeout_seconds)

            def run(session: CodeSession) -> ExecutionResult:
                executed = session.run(Command(command_line), outputs=NO_OUTPUTS, timeout_seconds=seconds)
                return _to_execution_result(executed)

            return self._session.execute(run, runs_code=True)

        return self._run(work)

    def file_operations(
        self, operation: str, paths: list[str] | None = None, content: list[dict[str, str]] | None = None
    ) -> FilesRead | FilesChanged | FilesListed | Failed:
        """Reads, writes, lists or removes files of the sandbox.

        Binary files are returned as base64. The operation `write` accepts text only.
        """

        def work() -> FilesRead | FilesChanged | FilesListed:
            arguments = parse_arguments("file_operations", operation=operation, paths=paths, content=content)
            return self._session.execute(file_operation(*arguments))

        return self._run(work)

    def ci_push_to_workspace(self, paths: list[str] | None = None) -> FilesPushed | Failed:
        """Saves files of the sandbox to the workspace. Default: all files in the sandbox's root folder.

        The workspace has no subfolders: a file is saved under the last part of its path. If two paths have the same
        last part, the call fails before it saves a file. The default excludes subfolders and the service's own files.
        """

        def work() -> FilesPushed:
            (files,) = parse_arguments("ci_push_to_workspace", paths=paths)
            if files == ():
                raise InvalidRequest("paths is a list of 0; allowed: at least one path. Omit paths to save all files")
            if files is not None:
                check_distinct_names(files)
            return self._session.execute(lambda session: push(session, files, self._workspace))

        return self._run(work)

    def workspace_read(self, path: str) -> ToolResult:
        """Returns a saved file, by the path that was returned when it was saved: `code-interpreter/NAME`."""
        return self._run(lambda: self._workspace.read(*parse_arguments("workspace_read", path=path)))

    def workspace_list(self, path: str) -> ToolResult:
        """Lists the saved files. The only valid path is `code-interpreter/`."""
        return self._run(lambda: self._workspace.list(*parse_arguments("workspace_list", path=path)))

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self._clients.s3, self._bucket, self._prefix)

    def _run(self, work: Callable[[], Result]) -> Result | Failed:
        """Runs a call when no other call is running. Returns its result, or Failed, with the session's notice."""
        with self._lock:
            try:
                if self._closed:
                    raise InvalidRequest("the tools are closed; allowed: calls before close(). Create new tools")
                result: Result | Failed = work()
            except RunError as error:
                result = Failed.from_error(error)
            notice = self._session.take_notice()
            return result if notice is None else replace(result, notice=notice)


def _upload(path: object, data: object) -> InputFile:
    relative_path = parse_relative_path("uploads", path)
    return InputFile.from_bytes(relative_path, Base64().validate(f"uploads[{path!r}]", data))


def _to_execution_result(result: RunResult) -> ExecutionResult:
    output = result.stderr + result.stdout
    without_network = result.exit_code != 0 and any(sign in output for sign in NO_NETWORK_SIGNS)
    return ExecutionResult(
        stdout=result.stdout,
        stderr=result.stderr,
        exit_code=result.exit_code,
        execution_time_ms=result.execution_time_ms,
        timed_out=result.timed_out,
        hint=NO_NETWORK if without_network else None,
    )
