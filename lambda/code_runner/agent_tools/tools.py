"""The tools of an agent: one sandbox whose state is kept over calls, and a workspace in S3 for what is to stay.

Not for a workflow's runs, which `operations` claims in S3. A call here is sent once; who makes it again runs it again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Self, TypeVar, cast

from code_runner.agent_tools.file_operations import file_operation
from code_runner.agent_tools.restarting_session import SESSION_REPLACED, LastingSession, Uploads
from code_runner.agent_tools.results import Answer, Changed, Failed, FilesRead, Listed, Pushed, Ran
from code_runner.agent_tools.specs import TOOL_SPECS, TOOLS, read_arguments
from code_runner.agent_tools.workspace import FOLDER, Workspace
from code_runner.agent_tools.workspace_push import push, refuse_same_names, save
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.programs import Code, Command
from code_runner.session import log_stop_failure
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
"""The service's own default for the life of a session."""
NO_NETWORK = (
    "The code found no network. An interpreter in SANDBOX mode has none: use what is installed (pip list), or files "
    "that were uploaded. Installing packages and fetching from the web need an interpreter in PUBLIC mode."
)
NO_NETWORK_SIGNS = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "Failed to resolve",
    "Could not resolve host",
    "Network is unreachable",
)
"""What glibc, urllib3, curl and the kernel say without a network."""

Answered = TypeVar("Answered", bound=Answer)


class CodeInterpreterTools:
    """The tools of one agent, as methods. A context manager: leaving it stops the session.

    A tool never raises for what a model did or the service answered: it returns `Failed`. The first call that needs a
    session starts it. Calls from several threads take turns, since they share one sandbox.
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
        """Calls nothing yet. Raises InvalidRequest for what cannot be.

        `bucket` and `prefix` are where the workspace lies, in its folder `code-interpreter/`. `uploads`, bytes by path,
        and the objects below `uploads_uri` (s3://BUCKET/FOLDER/) lie in each session from its start; an archive lies
        there as it is and is not unpacked. `clients` has region and credentials; without it they are boto3's default
        chain's, and `AwsClients(boto3.Session(…))` gives others.
        """
        Text(255).validate("interpreter_id", interpreter_id)
        self._clients = clients or AwsClients()
        lifetime = Integer(*SESSION_TIMEOUT_SECONDS, "seconds")
        seconds = lifetime.parse("session_timeout_seconds", session_timeout_seconds)
        folder = None if uploads_uri is None else S3Folder().parse("uploads_uri", uploads_uri)
        given = cast("Mapping[object, object]", require_instance("uploads", uploads or {}, Mapping))
        files = tuple(_upload(path, data) for path, data in given.items())
        check_input_paths(files)
        self._session = LastingSession(self._clients, interpreter_id, seconds, Uploads(files, folder), on_stop_failed)
        self._bucket = bucket
        self._prefix = f"{AnyString().validate('prefix', prefix).strip('/')}/".lstrip("/")
        S3Folder().validate("workspace", S3Object(bucket, f"{self._prefix}{FOLDER}"))
        self._closed = False
        self._turn = threading.RLock()

    def __enter__(self) -> Self:
        """The tools."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the session."""
        self.close()

    def close(self) -> None:
        """Stops the session, if any, or calls `on_stop_failed`. Later calls fail."""
        with self._turn:
            self._closed = True
            self._session.stop()

    def call(self, name: str, tool_input: object) -> Answer:
        """Calls a tool by its name with what a model sent for it."""
        try:
            if name not in TOOLS:
                raise invalid_value("tool", name, " | ".join(TOOLS))
            given = TOOLS[name].checked_names(tool_input)
        except InvalidRequest as error:
            return Failed.of(error)
        return getattr(self, name)(**given)

    def execute_code(self, code: str, language: str = "python", output_filename: str = "") -> Ran | Failed:
        """Runs code in the session, once. The file named `output_filename` is saved to the workspace afterwards.

        Without such a file the answer says so in `not_saved`.
        """

        def work() -> Ran:
            text, known_language, path = read_arguments(
                "execute_code", code=code, language=language, output_filename=output_filename
            )

            def run(session: CodeSession) -> Ran:
                ran = _ran(session.run(Code(text, known_language), outputs=NO_OUTPUTS))
                if not path:
                    return ran
                saved, not_saved = save(session, path, self._workspace)
                return replace(ran, saved=saved, not_saved=not_saved)

            return self._session.do(run, runs_code=True)

        return self._answer(work)

    def execute_command(self, command: str) -> Ran | Failed:
        """Runs a shell command in the session's working directory, once."""

        def work() -> Ran:
            (line,) = read_arguments("execute_command", command=command)

            def run(session: CodeSession) -> Ran:
                return _ran(session.run(Command(line), outputs=NO_OUTPUTS))

            return self._session.do(run, runs_code=True)

        return self._answer(work)

    def file_operations(
        self, operation: str, paths: list[str] | None = None, content: list[dict[str, str]] | None = None
    ) -> FilesRead | Changed | Listed | Failed:
        """Reads, writes, lists or removes files of the sandbox. Binary files are read in base64; write takes text."""

        def work() -> FilesRead | Changed | Listed:
            kind, known, entries = read_arguments("file_operations", operation=operation, paths=paths, content=content)
            return self._session.do(file_operation(kind, known, entries))

        return self._answer(work)

    def ci_push_to_workspace(self, paths: list[str] | None = None) -> Pushed | Failed:
        """Saves files of the sandbox to the workspace, without `paths` all that lie in its root.

        The workspace is flat: of a path in a subfolder the last part is the name. Two paths of one name are refused
        before anything is saved. The service's own files and subfolders of the root are left out.
        """

        def work() -> Pushed:
            (known,) = read_arguments("ci_push_to_workspace", paths=paths)
            if known == ():
                raise InvalidRequest("paths is a list of 0; allowed: at least one path, or leave it out to save all")
            if known is not None:
                refuse_same_names(known)
            return self._session.do(lambda session: push(session, known, self._workspace))

        return self._answer(work)

    def workspace_read(self, path: str) -> Answer:
        """Reads a saved file whole, by the address that saving it returned: `code-interpreter/NAME`."""
        return self._answer(lambda: self._workspace.read(*read_arguments("workspace_read", path=path)))

    def workspace_list(self, path: str) -> Answer:
        """Lists the saved files; the one folder there is, is `code-interpreter/`."""
        return self._answer(lambda: self._workspace.list(*read_arguments("workspace_list", path=path)))

    @property
    def _workspace(self) -> Workspace:
        return Workspace(self._clients.s3, self._bucket, self._prefix)

    def _answer(self, work: Callable[[], Answered]) -> Answered | Failed:
        """One call's turn: what it answers, or Failed, with what is to be told of the session."""
        with self._turn:
            try:
                if self._closed:
                    raise InvalidRequest("these tools are closed, and their session is stopped; make new ones")
                answer: Answered | Failed = work()
            except RunError as error:
                answer = Failed.of(error)
            notice = self._session.take_notice()
            return answer if notice is None else replace(answer, notice=notice)


def _upload(path: object, data: object) -> InputFile:
    return InputFile.from_bytes(parse_relative_path("uploads", path), Base64().validate(f"uploads[{path!r}]", data))


def _ran(result: RunResult) -> Ran:
    printed = result.stderr + result.stdout
    without_network = result.exit_code != 0 and any(sign in printed for sign in NO_NETWORK_SIGNS)
    return Ran(
        stdout=result.stdout,
        stderr=result.stderr,
        exit_code=result.exit_code,
        execution_time_ms=result.execution_time_ms,
        hint=NO_NETWORK if without_network else None,
    )
