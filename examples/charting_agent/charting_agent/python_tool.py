"""The agent's one tool: runs Python in a session of its own and returns what it printed and drew, as JSON."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strands import tool  # pyright: ignore[reportUnknownVariableType] - a dict of its own without types

from charting_agent.result import of_error, of_run
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
"""How long one program may take, after which the service ends its session."""
ENDING_SECONDS = 60
"""For bringing the figures back."""
LINK_SECONDS = 3_600
FIGURES = Outputs(paths=(), figures=True, link_seconds=LINK_SECONDS)
FIGURES_WITHOUT_BUCKET = Outputs(paths=(), figures=True)
PROLOGUE = "import matplotlib; matplotlib.use('Agg')\n"
"""Figures are kept, so that none needs to be sent where plt.show() would show it."""


@dataclass(frozen=True)
class FigureStorage(Storage):
    """Remembers by path why S3 did not take a file, which then comes back in base64."""

    refusals: dict[str, str] = field(default_factory=dict[str, str])

    def put_output(
        self, path: str, data: bytes, sha256: str, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """As Storage has it."""
        try:
            return super().put_output(path, data, sha256, deadline, link_seconds)
        except StorageError as error:
            self.refusals[path] = str(error)
            raise


def python_tool(settings: Settings) -> Callable[..., Any]:
    """The tool for an agent. It may be called by many threads at once, since no two calls share anything."""

    @tool(name=NAME)
    def execute_python(code: str, description: str = "") -> str:
        """Run Python code in a sandbox and keep the matplotlib figures that it leaves open.

        Every call starts afresh: it knows no variables and no files of earlier calls. pandas, numpy and matplotlib are
        installed. Do not save or close figures.

        Args:
            code: The program. What the answer needs, it prints.
            description: What the program is for, in a few words.
        """
        return json.dumps(run_python(settings, code, description), ensure_ascii=False)

    return execute_python


def run_python(settings: Settings, code: str, description: str = "") -> dict[str, Any]:
    """Runs a program once and stops its session. Whatever happens is a result, and nothing is raised for it."""
    commented = f"# {' '.join(description.split())}\n{code}" if description.strip() else code
    program = PROLOGUE + commented
    # A boto3 session is no thread's but its own.
    clients = AwsClients()
    storage = None
    try:
        storage = _storage(settings, clients)
        with open_session(
            clients,
            settings.interpreter_id,
            timeout_seconds=SESSION_SECONDS,
            deadline=Deadline.after(SESSION_SECONDS + ENDING_SECONDS),
            on_stop_failed=lambda session_id, error: log.warning("session %s not stopped: %s", session_id, error),
            files=Files(storage),
        ) as session:
            ran = session.run(Code(program), outputs=FIGURES if storage else FIGURES_WITHOUT_BUCKET)
    except RunError as error:
        return of_error(program, error)
    return of_run(program, commented, ran, settings.bucket, storage.refusals if storage else {})


def _storage(settings: Settings, clients: AwsClients) -> FigureStorage | None:
    """A folder of this run's own, so that no figure overwrites another; nothing is read from S3."""
    if settings.bucket is None:
        return None
    run = S3Object(settings.bucket, f"{settings.folder}/{uuid.uuid4()}")
    return FigureStorage(clients.s3, inputs=run, run=run)
