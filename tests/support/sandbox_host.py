"""Emulators that run as root or as an ordinary user, with tight limits, and sessions whose code is hostile."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local_agentcore.process import EmulatorProcess, client, running_emulator
from tests.support.account import REGION
from tests.support.hostile_session import Attacker
from tests.support.languages import LANGUAGES, PYTHON
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Generator

MEMORY_MIB = 512
DISK_MIB = 32
OUTPUT_MIB = 1
CALL_SECONDS = 60
LIMITS = (
    *("--memory-mib", str(MEMORY_MIB), "--disk-mib", str(DISK_MIB)),
    *("--output-mib", str(OUTPUT_MIB), "--call-seconds", str(CALL_SECONDS)),
    *("--calls-per-second", "0"),
)
ORDINARY_USER = 1_900_000_000
"""A user id that no account of this machine is expected to have."""


@dataclass(frozen=True)
class User:
    """The user that runs an emulator. Without `uid` it is the user that runs the tests."""

    name: str
    uid: int | None = None

    def environment(self, *paths: Path) -> dict[str, str]:
        """Returns the variables that start an emulator as this user.

        Args:
            paths: directories that the user needs access to. The first is the user's home directory.
        """
        if self.uid is None:
            return dict(os.environ)
        needed = [*paths, PROJECT, Path(sys.prefix), Path(sys.base_prefix)]
        return {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parent / "ordinary_user"),
            "ORDINARY_USER": str(self.uid),
            "ORDINARY_USER_NEEDS": ":".join(str(path.resolve()) for path in needed),
            "HOME": str(paths[0]),
        }


USERS = [User("root"), User("ordinary user", ORDINARY_USER)] if os.geteuid() == 0 else [User("ordinary user")]
"""Both users when root runs the tests. `USERS[0]` is the default of the fixture `user`."""

each_user = pytest.mark.parametrize("user", USERS, ids=lambda user: user.name)
"""Repeats a test for each user, because the tested mechanism depends on the user."""
each_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
"""Repeats a test for each language, because the tested mechanism depends on how the language's process is started."""
each_user_and_language = pytest.mark.parametrize(
    ("user", "language"),
    [*((USERS[0], language) for language in LANGUAGES.values()), *((user, PYTHON) for user in USERS[1:])],
    ids=lambda value: value.name,
)
"""Repeats a test for each language, and in Python for each further user: the mechanism depends on one or the other."""


@dataclass(frozen=True)
class Host:
    """A running emulator whose environment holds a secret.

    Attributes:
        emulator: the process.
        user: the user that it runs as.
        state: its state directory.
        secret: the value of its environment variable HOST_SECRET.
    """

    emulator: EmulatorProcess
    user: User
    state: Path
    secret: str

    @property
    def process(self) -> int:
        """The emulator's process id."""
        return self.emulator.process.pid

    @property
    def counts_memory(self) -> bool:
        """Whether a control group bounds the memory of its sandboxes. Otherwise a watchdog does."""
        return "control group" in self.emulator.state

    def new_attacker(self) -> Attacker:
        """Starts a session."""
        return Attacker(client("bedrock-agentcore", self.emulator.address, REGION))


@contextlib.contextmanager
def running_host(user: User, runtime: Path, *options: str, state: Path | None = None) -> Generator[Host]:
    """Runs an emulator as a user.

    Args:
        user: the user.
        runtime: virtual environment that code in sandboxes finds.
        options: further options of `local_agentcore serve`.
        state: state directory, possibly shared with another emulator. By default a new one.
    """
    secret = f"host-secret-{uuid.uuid4().hex}"
    with contextlib.ExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="security-")))
            if user.uid is not None:
                os.chown(state, user.uid, user.uid)
        environment = user.environment(state, runtime) | {"HOST_SECRET": secret}
        emulator = stack.enter_context(running_emulator(runtime, state, *options, environment=environment))
        yield Host(emulator, user, state, secret)
