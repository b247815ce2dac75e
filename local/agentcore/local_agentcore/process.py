"""An emulator in a process of its own, for tests and for whoever composes it with other emulators."""

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


class DidNotStart(Exception):  # noqa: N818  reads as what happened
    """The emulator ended before it was ready; the message has its last words."""


@dataclass(frozen=True)
class EmulatorProcess:
    """A running emulator.

    Attributes:
        address: `http://127.0.0.1:PORT`, for both planes.
        state: what it said of its sandboxes when it was ready.
        runs_code: whether sandboxes start on this machine.
    """

    address: str
    state: str
    process: subprocess.Popen[str]

    @property
    def runs_code(self) -> bool:
        """Whether sandboxes start on this machine; if not, `state` says why and what to do."""
        return not self.state.startswith(WITHOUT_SANDBOX)


@contextmanager
def running_emulator(
    runtime: Path, state: Path, *options: str, environment: dict[str, str] | None = None
) -> Generator[EmulatorProcess]:
    """Starts an emulator on a free port, and ends it; it ends with this process, too, if that is killed.

    Args:
        runtime: the virtual environment that sandboxed code finds.
        state: an existing folder for its working files and its log.
        options: further options of `local_agentcore serve`.
        environment: instead of this process's own.

    Raises:
        DidNotStart: it ended instead.
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
    """Returns a boto3 client of an emulator, which sends every call once and waits as long as the longest may take."""
    import botocore.session
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        service,
        endpoint_url=address,
        region_name=region,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not look at it
        config=Config(retries={"total_max_attempts": 1}, read_timeout=960),
    )


def _when_ready(process: subprocess.Popen[str], log: IO[str]) -> EmulatorProcess:
    for line in process.stdout or ():
        if line.startswith(READY):
            address, _, state = line.removeprefix(READY).strip().partition(", ")
            return EmulatorProcess(address, state, process)
    log.seek(0)
    raise DidNotStart(log.read()[-LOG_CHARACTERS:].strip())
