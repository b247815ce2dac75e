"""Emulators with tight limits, started at most once per user, and sessions in them whose code is hostile."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.support.host_health import harm_since, measure
from tests.support.internet import Internet, public_emulator, simulated_internet
from tests.support.sandbox_host import LIMITS, USERS, Host, User, running_host

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from tests.support.hostile_session import Attacker


@pytest.fixture(scope="session")
def hosts() -> dict[User, Host]:
    """The emulators that were started, by user."""
    return {}


@pytest.fixture(autouse=True)
def unharmed_machine() -> Generator[None]:
    """Fails a test that leaves resources in use which all processes of the machine share."""
    before = measure()
    yield
    assert harm_since(before) == {}


@pytest.fixture(scope="module", autouse=True)
def unharmed_hosts(hosts: dict[User, Host]) -> Generator[None]:
    """Fails a module after which an emulator cannot start a session that runs code."""
    yield
    for host in hosts.values():
        attacker = host.new_attacker()
        responsive = attacker.is_responsive()
        attacker.stop()
        assert responsive


@pytest.fixture(scope="session")
def host_of(agentcore_runtime: Path, hosts: dict[User, Host]) -> Generator[Callable[[User], Host]]:
    """Returns a user's emulator. Starts it at the first request and keeps it until the end of the test session."""
    with contextlib.ExitStack() as running:

        def start(user: User) -> Host:
            if user not in hosts:
                hosts[user] = running.enter_context(running_host(user, agentcore_runtime, *LIMITS))
                assert hosts[user].emulator.runs_code, hosts[user].emulator.state
            return hosts[user]

        yield start


@pytest.fixture
def user() -> User:
    """The user that the emulator runs as: root if root runs the tests. The mark `each_user` tests both users."""
    return USERS[0]


@pytest.fixture
def host(host_of: Callable[[User], Host], user: User) -> Host:
    """The user's emulator with tight limits."""
    return host_of(user)


@pytest.fixture
def new_attacker(host: Host) -> Generator[Callable[[], Attacker]]:
    """Starts sessions, and stops them after the test."""
    started: list[Attacker] = []

    def start() -> Attacker:
        started.append(host.new_attacker())
        return started[-1]

    yield start
    for attacker in started:
        attacker.stop()


@pytest.fixture
def attacker(new_attacker: Callable[[], Attacker]) -> Attacker:
    """A session."""
    return new_attacker()


@pytest.fixture(scope="module")
def shared_attacker_of(host_of: Callable[[User], Host]) -> Generator[Callable[[User], Attacker]]:
    """Returns a session on a user's emulator. Keeps it until the end of the test module."""
    attackers: dict[User, Attacker] = {}

    def start(user: User) -> Attacker:
        if user not in attackers:
            attackers[user] = host_of(user).new_attacker()
        return attackers[user]

    yield start
    for attacker in attackers.values():
        attacker.stop()


@pytest.fixture
def shared_attacker(shared_attacker_of: Callable[[User], Attacker], user: User) -> Attacker:
    """A session that all tests of a module share, for tests that do not change it."""
    return shared_attacker_of(user)


@pytest.fixture(scope="session")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Generator[Internet]:
    """The simulated internet. Only root can create it."""
    with simulated_internet(tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture(scope="session")
def public_host(internet: Internet, agentcore_runtime: Path) -> Generator[Host]:
    """An emulator of root whose PUBLIC interpreters reach the simulated internet."""
    with public_emulator(internet, agentcore_runtime) as host:
        yield host
