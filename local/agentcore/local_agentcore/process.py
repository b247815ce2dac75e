"""Runs an emulator in a separate process."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from . import lifetime

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

READY = "Ready on "
WITHOUT_SANDBOX = "WITHOUT"
END_SECONDS = 30
LOG_CHARACTERS = 2000


class EmulatorStartError(Exception):
    """The emulator ended before it was ready. The message is the end of its log."""


@dataclass(frozen=True)
class EmulatorProcess:
    """A running emulator.

    Attributes:
        address: `http://127.0.0.1:PORT`, of both planes.
        state: The description of its sandboxes, printed when it was ready.
        process: The process.
    """

    address: str
    state: str
    process: subprocess.Popen[str]

    @property
    def runs_code(self) -> bool:
        """Whether sandboxes start on this machine. If not, `state` states the reason and the remedy."""
        return not self.state.startswith(WITHOUT_SANDBOX)


@contextmanager
def running_emulator(
    runtime: Path, state: Path, *options: str, environment: dict[str, str] | None = None
) -> Generator[EmulatorProcess]:
    """Runs an emulator on a free port for the duration of a `with` block. It also ends if this process is killed.

    Example:
        ```python
        with running_emulator(runtime, tmp_path, "--pool", "0") as emulator:
            client("bedrock-agentcore", emulator.address, "us-east-1").list_code_interpreter_sessions(
                codeInterpreterIdentifier=MANAGED_INTERPRETER
            )
        ```

    Args:
        runtime: The virtual environment of sandboxed code.
        state: An existing folder for working files and the log.
        options: More options of `local-agentcore serve`.
        environment: Environment variables. Default: those of this process.

    Raises:
        EmulatorStartError: The emulator ended before it was ready.
    """
    command = [sys.executable, "-m", "local_agentcore", "serve", "--port", "0", lifetime.OPTION]
    with (state / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603  this package
            [*command, "--runtime", str(runtime), "--state", str(state), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
        try:
            yield _when_ready(process, log)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.wait(END_SECONDS)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def client(service: str, address: str, region: str) -> Any:
    """Returns a boto3 client of an emulator, without retries and with a read timeout above the longest call.

    Args:
        service: `bedrock-agentcore` or `bedrock-agentcore-control`.
        address: The emulator's address.
        region: The region of the emulator.
    """
    import botocore.session
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        service,
        endpoint_url=address,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not check it
        config=Config(retries={"total_max_attempts": 1}, read_timeout=960),
    )


def _when_ready(process: subprocess.Popen[str], log: IO[str]) -> EmulatorProcess:
    for line in process.stdout or ():
        if line.startswith(READY):
            address, _, state = line.removeprefix(READY).strip().partition(", ")
            return EmulatorProcess(address, state, process)
    log.seek(0)
    raise EmulatorStartError(log.read()[-LOG_CHARACTERS:].strip())
