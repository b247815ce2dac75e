"""pytest fixtures: an emulator for the session, and boto3 clients that talk to it.

The Python that code finds is taken from `--agentcore-runtime`, the ini option `agentcore_runtime` or the environment
variable LOCAL_AGENTCORE_RUNTIME, in this order; without them it is where `local-agentcore install-libraries` puts it.
Further options of `local-agentcore serve` are in the ini option `agentcore_options`.

A session that a test leaves running costs money on AWS. After each test such sessions are stopped, with a warning that
names them; the ini option `agentcore_leftover_sessions` is `stop`, or `fail`, which stops them and fails the test, or
`keep`. Sessions of fixtures with a wider scope than the test are not its leftovers.

Calls are not throttled unless an option says so: they take a few milliseconds here, so a test that makes them one after
another would exceed a rate that it cannot exceed on AWS.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from .admin_client import EmulatorClock, FaultInjector, LiveSessions
from .libraries import default_directory
from .process import client, running_emulator
from .settings import DEFAULT_REGION, RUNTIME_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LEFTOVERS = ("stop", "fail", "keep")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option and the ini setting for the runtime directory."""
    text = "virtual environment that code in the emulated AgentCore finds"
    parser.getgroup("local-agentcore").addoption("--agentcore-runtime", metavar="DIR", help=text)
    parser.addini("agentcore_runtime", text)
    parser.addini("agentcore_leftover_sessions", f"what becomes of them: {' | '.join(LEFTOVERS)}", default=LEFTOVERS[0])
    parser.addini("agentcore_options", "further options of `local-agentcore serve`", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Refuses what the ini options cannot be."""
    leftovers = config.getini("agentcore_leftover_sessions")
    if leftovers not in LEFTOVERS:
        raise pytest.UsageError(f"agentcore_leftover_sessions is {leftovers!r}; allowed: {' | '.join(LEFTOVERS)}")


@pytest.fixture(scope="session")
def agentcore_runtime(pytestconfig: pytest.Config) -> Path:
    """The virtual environment that code in the emulator finds."""
    chosen = (
        pytestconfig.getoption("--agentcore-runtime")
        or pytestconfig.getini("agentcore_runtime")
        or os.environ.get(RUNTIME_VARIABLE)
        or default_directory()
    )
    return pytestconfig.rootpath / str(chosen)


@pytest.fixture(scope="session")
def agentcore_endpoint(
    agentcore_runtime: Path, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """The URL of an emulator that runs for the whole test session, both planes on it.

    It fails, and does not skip, where code cannot be isolated: the message says what to do.
    """
    options = ("--calls-per-second", "0", *pytestconfig.getini("agentcore_options"))
    with running_emulator(agentcore_runtime, tmp_path_factory.mktemp("agentcore"), *options) as emulator:
        if not emulator.runs_code:
            pytest.fail(f"The emulated AgentCore can run no code: {emulator.state}")
        yield emulator.address


@pytest.fixture(scope="session")
def agentcore(agentcore_endpoint: str) -> Generator[Any]:
    """A boto3 client of the data plane (bedrock-agentcore). It sends every call once."""
    made = client("bedrock-agentcore", agentcore_endpoint, DEFAULT_REGION)
    yield made
    made.close()


@pytest.fixture(scope="session")
def agentcore_control(agentcore_endpoint: str) -> Generator[Any]:
    """A boto3 client of the control plane (bedrock-agentcore-control)."""
    made = client("bedrock-agentcore-control", agentcore_endpoint, DEFAULT_REGION)
    yield made
    made.close()


@pytest.fixture
def agentcore_faults(agentcore_endpoint: str) -> Generator[FaultInjector]:
    """Orders faults of the emulator, for this test alone."""
    orders = FaultInjector(agentcore_endpoint)
    yield orders
    orders.clear()


@pytest.fixture
def agentcore_clock(agentcore_endpoint: str) -> EmulatorClock:
    """The emulator's clock. What a test has moved stays so: sessions that others hold may be over."""
    return EmulatorClock(agentcore_endpoint)


@pytest.fixture(autouse=True)
def agentcore_leftovers(request: pytest.FixtureRequest) -> Generator[None]:
    """Sees to the sessions that a test has started and not stopped, as `agentcore_leftover_sessions` says."""
    wanted = request.config.getini("agentcore_leftover_sessions")
    if wanted == "keep" or "agentcore_endpoint" not in request.fixturenames:
        yield
        return
    sessions = LiveSessions(request.getfixturevalue("agentcore_endpoint"))
    before = sessions.ids()
    yield
    left = sorted(sessions.ids() - before)
    for session in left:
        sessions.end(session)
    if left:
        message = f"The test left sessions running: {', '.join(left)}"
        if wanted == "fail":
            pytest.fail(message, pytrace=False)
        warnings.warn(message, pytest.PytestWarning, stacklevel=1)
