"""The agent's tool: runs Python code in a new session and returns the output and figures as JSON."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strands import tool  # pyright: ignore[reportUnknownVariableType] - contains an untyped dict

from charting_agent.result import error_result, run_result
from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.programs import Code
from code_runner.files.storage import Storage
from code_runner.session import Files, open_session
from sandpiper_contract.errors import RunError, StorageError
from sandpiper_contract.files import OutputFile, Outputs
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Callable

    from charting_agent.settings import Settings

log = logging.getLogger(__name__)

NAME = "execute_python"
SESSION_SECONDS = 300
"""Time limit of a program in seconds. The service then ends its session."""
ENDING_SECONDS = 60
"""Additional time to collect the figures, in seconds."""
LINK_SECONDS = 3_600
FIGURES = Outputs(paths=(), figures=True, link_seconds=LINK_SECONDS)
FIGURES_WITHOUT_BUCKET = Outputs(paths=(), figures=True)
PROLOGUE = "import matplotlib; matplotlib.use('Agg')\n"
"""The figures are saved as files, so plt.show() does not need to display them."""


@dataclass(frozen=True)
class FigureStorage(Storage):
    """Storage that records the errors of S3 by path. A file that S3 did not store is returned as base64."""

    errors_by_path: dict[str, str] = field(default_factory=dict[str, str])

    def put_output(
        self, path: str, data: bytes, sha256: str, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """Stores a file in S3. Raises StorageError, which is also recorded."""
        try:
            return super().put_output(path, data, sha256, deadline, link_seconds)
        except StorageError as error:
            self.errors_by_path[path] = str(error)
            raise


def python_tool(settings: Settings) -> Callable[..., Any]:
    """Returns the tool for an agent. It is safe for concurrent use by threads, because calls share no state."""

    @tool(name=NAME)
    def execute_python(code: str, description: str = "") -> str:
        """Run Python code in a sandbox and save its open matplotlib figures.

        Every call has a new session, without variables and files of earlier calls. pandas, numpy and matplotlib are
        installed. Do not save or close figures.

        Args:
            code: The program. It must print every value that the answer needs.
            description: The purpose of the program, in a few words.
        """
        return json.dumps(run_python(settings, code, description), ensure_ascii=False)

    return execute_python


def run_python(settings: Settings, code: str, description: str = "") -> dict[str, Any]:
    """Runs a program once and stops its session. Errors are returned as a result."""
    commented = f"# {' '.join(description.split())}\n{code}" if description.strip() else code
    program = PROLOGUE + commented
    # boto3 sessions are not safe for concurrent use by threads.
    clients = AwsClients()
    storage = None
    try:
        storage = _storage(settings, clients)
        with open_session(
            clients,
            settings.interpreter_id,
            timeout_seconds=SESSION_SECONDS,
            deadline=Deadline.after(SESSION_SECONDS + ENDING_SECONDS),
            on_stop_failed=lambda session_id, error: log.warning(
                "session %s could not be stopped: %s", session_id, error
            ),
            files=Files(storage),
        ) as session:
            result = session.run(Code(program), outputs=FIGURES if storage else FIGURES_WITHOUT_BUCKET)
    except RunError as error:
        return error_result(program, error)
    return run_result(program, commented, result, settings.bucket, storage.errors_by_path if storage else {})


def _storage(settings: Settings, clients: AwsClients) -> FigureStorage | None:
    """Returns storage in a new folder, so that figures never overwrite each other."""
    if settings.bucket is None:
        return None
    run = S3Object(settings.bucket, f"{settings.folder}/{uuid.uuid4()}")
    return FigureStorage(clients.s3, inputs=run, run=run)
