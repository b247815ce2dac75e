"""Emulators of root and of an ordinary user, with tight limits, and sessions in them whose code is not friendly."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.process import EmulatorProcess, client, running_emulator
from tests.security.speakers import SPEAKERS, Speaker

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

MANAGED = "aws.codeinterpreter.v1"
MEMORY_MIB = 512
DISK_MIB = 32
OUTPUT_MIB = 1
CALL_SECONDS = 60
LIMITS = (
    *("--memory-mib", str(MEMORY_MIB), "--disk-mib", str(DISK_MIB)),
    *("--output-mib", str(OUTPUT_MIB), "--call-seconds", str(CALL_SECONDS)),
    *("--calls-per-second", "0"),
)
PROJECT = Path(__file__).parents[2]
ORDINARY_USER = 1_900_000_000
"""Nobody's id on the machine of the tests, as far as anybody can know."""


@dataclass(frozen=True)
class User:
    """Whose process an emulator is. Without `uid` it is the user's who runs the tests."""

    name: str
    uid: int | None = None

    def environment(self, *places: Path) -> dict[str, str]:
        """Returns what starts an emulator as this user, who has to reach these places."""
        if self.uid is None:
            return dict(os.environ)
        needs = [*places, PROJECT, Path(sys.prefix), Path(sys.base_prefix)]
        return {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent / "ordinary_user"),
            "ORDINARY_USER": str(self.uid),
            "ORDINARY_USER_NEEDS": ":".join(str(place.resolve()) for place in needs),
            "HOME": str(places[0]),
        }


USERS = [User("root"), User("ordinary user", ORDINARY_USER)] if os.geteuid() == 0 else [User("ordinary user")]
one_user = pytest.mark.parametrize("user", USERS[:1], ids=lambda user: user.name, indirect=True, scope="session")
"""For what is the same whoever the emulator belongs to."""


@dataclass(frozen=True)
class Host:
    """A running emulator whose environment holds a secret."""

    emulator: EmulatorProcess
    user: User
    state: Path
    secret: str

    @property
    def process(self) -> int:
        """Its process id."""
        return self.emulator.process.pid

    @property
    def counts_memory(self) -> bool:
        """Whether a control group bounds the memory of its sandboxes, and no watchdog."""
        return "control group" in self.emulator.state

    def attacker(self) -> Attacker:
        """Starts a session."""
        return Attacker(client("bedrock-agentcore", self.emulator.address, "us-east-1"))


class Attacker:
    """A session whose code is not friendly."""

    def __init__(self, data_plane: Any, interpreter: str = MANAGED, **options: Any) -> None:
        self.client, self._interpreter = data_plane, interpreter
        answer = data_plane.start_code_interpreter_session(codeInterpreterIdentifier=interpreter, **options)
        self.identifier: str = answer["sessionId"]

    def invoke(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Calls a tool."""
        answer = self.client.invoke_code_interpreter(
            codeInterpreterIdentifier=self._interpreter, sessionId=self.identifier, name=name, arguments=arguments
        )
        (event,) = answer["stream"]
        result: dict[str, Any] = event["result"]
        return result

    def python(self, code: str, *, clear: bool = False) -> dict[str, Any]:
        """Runs Python and returns stdout, stderr and exit code."""
        return self.invoke("executeCode", language="python", code=code, clearContext=clear)["structuredContent"]

    def shell(self, command: str) -> dict[str, Any]:
        """Runs a command and returns the same; its terminal's output is in stdout if it succeeded, else in stderr."""
        return self.invoke("executeCommand", command=command)["structuredContent"]

    def deno(self, code: str) -> dict[str, Any]:
        """Runs JavaScript and returns the same."""
        return self.invoke("executeCode", language="javascript", runtime="deno", code=code)["structuredContent"]

    def lives(self) -> bool:
        """Whether the session still does what it is for."""
        python = self.python("print('alive')")["stdout"] == "alive"
        return python and self.shell("echo alive")["stdout"] == "alive\r\n"

    def stop(self) -> None:
        """Ends the session."""
        with contextlib.suppress(ClientError):
            self.client.stop_code_interpreter_session(
                codeInterpreterIdentifier=self._interpreter, sessionId=self.identifier
            )


@contextlib.contextmanager
def hosting(user: User, runtime: Path, *options: str, state: Path | None = None) -> Generator[Host]:
    """Starts an emulator as a user, in a new folder of that user's or in that of another emulator, and ends it."""
    secret = f"host-secret-{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="security-")))
            if user.uid is not None:
                os.chown(state, user.uid, user.uid)
        environment = user.environment(state, runtime) | {"HOST_SECRET": secret}
        emulator = stack.enter_context(running_emulator(runtime, state, *options, environment=environment))
        yield Host(emulator, user, state, secret)


@pytest.fixture(scope="session", params=USERS, ids=lambda user: user.name)
def user(request: pytest.FixtureRequest) -> User:
    """Whose the emulator is: both, when root runs the tests."""
    return request.param


@pytest.fixture(scope="session")
def host(user: User, agentcore_runtime: Path) -> Generator[Host]:
    """An emulator with tight limits."""
    with hosting(user, agentcore_runtime, *LIMITS) as host:
        assert host.emulator.runs_code, host.emulator.state
        yield host


@pytest.fixture
def attackers(host: Host) -> Generator[Callable[[], Attacker]]:
    """Starts sessions and ends them after the test."""
    started: list[Attacker] = []

    def start() -> Attacker:
        started.append(host.attacker())
        return started[-1]

    yield start
    for attacker in started:
        attacker.stop()


@pytest.fixture
def attacker(attackers: Callable[[], Attacker]) -> Attacker:
    """One such session."""
    return attackers()


@pytest.fixture(params=SPEAKERS.values(), ids=list(SPEAKERS))
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """The language that attempts are made in: each in turn."""
    return request.param


def processes_with(mark: str) -> list[int]:
    """Returns the host's processes whose command line holds a mark."""
    return [
        process for process, command in commands() if mark in command and process not in (os.getpid(), os.getppid())
    ]


def commands() -> Iterator[tuple[int, str]]:
    """Returns id and command line of each process on the host."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield int(path.parent.name), path.read_bytes().decode("utf-8", "replace")


def wait_until(condition: Callable[[], bool]) -> None:
    """Waits for something that must come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
