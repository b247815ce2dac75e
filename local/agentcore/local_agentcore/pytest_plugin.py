"""pytest fixtures: an emulator for the test session, and boto3 clients of it.

The virtual environment of sandboxed code comes from `--agentcore-runtime`, the ini option `agentcore_runtime` or the
environment variable LOCAL_AGENTCORE_RUNTIME, in this order. The default is the folder of
`local-agentcore install-libraries`. The ini option `agentcore_options` adds options of `local-agentcore serve`.

A session that a test leaves running costs money on AWS. After each test such sessions are stopped, with a warning that
lists them. The ini option `agentcore_leftover_sessions` changes this: `stop` (default), `fail` stops them and fails the
test, `keep` does nothing. Sessions of fixtures with a wider scope are not leftovers of a test.

Calls are not throttled by default. They take a few milliseconds here, so sequential calls would exceed a rate that they
cannot reach on AWS.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from .admin_client import EmulatorClock, FaultInjector, LiveSessions
from .libraries import default_directory
from .operations import CONTROL_PLANE, DATA_PLANE
from .process import client, running_emulator
from .settings import DEFAULT_REGION, RUNTIME_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LEFTOVER_ACTIONS = ("stop", "fail", "keep")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the command line option and the ini options."""
    runtime = "virtual environment of code in the emulated AgentCore"
    leftovers = f"action on sessions that a test leaves running: {' | '.join(LEFTOVER_ACTIONS)}"
    parser.getgroup("local-agentcore").addoption("--agentcore-runtime", metavar="DIR", help=runtime)
    parser.addini("agentcore_runtime", runtime)
    parser.addini("agentcore_leftover_sessions", leftovers, default=LEFTOVER_ACTIONS[0])
    parser.addini("agentcore_options", "more options of `local-agentcore serve`", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Rejects invalid ini options."""
    action = config.getini("agentcore_leftover_sessions")
    if action not in LEFTOVER_ACTIONS:
        raise pytest.UsageError(f"agentcore_leftover_sessions is {action!r}; allowed: {' | '.join(LEFTOVER_ACTIONS)}")


@pytest.fixture(scope="session")
def agentcore_runtime(pytestconfig: pytest.Config) -> Path:
    """Returns the virtual environment of code in the emulator.

    Example:
        ```python
        def test_pandas_is_installed(agentcore_runtime):
            assert list(agentcore_runtime.glob("lib/python3.*/site-packages/pandas"))
        ```
    """
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
    """Starts an emulator for the test session and returns its URL, which serves both planes.

    If code cannot be isolated, the fixture fails instead of skipping; the message states the remedy.

    Example:
        ```python
        def test_my_tool(agentcore_endpoint, monkeypatch):
            monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", agentcore_endpoint)
            assert my_tool("print(6 * 7)") == "42"
        ```
    """
    options = ("--calls-per-second", "0", *pytestconfig.getini("agentcore_options"))
    with running_emulator(agentcore_runtime, tmp_path_factory.mktemp("agentcore"), *options) as emulator:
        if not emulator.runs_code:
            pytest.fail(f"The emulated AgentCore cannot run code: {emulator.state}")
        yield emulator.address


@pytest.fixture(scope="session")
def agentcore(agentcore_endpoint: str) -> Generator[Any]:
    """Returns a boto3 client of the data plane (bedrock-agentcore), without retries.

    Example:
        ```python
        def test_code_runs(agentcore):
            target = {"codeInterpreterIdentifier": "aws.codeinterpreter.v1"}
            target["sessionId"] = agentcore.start_code_interpreter_session(**target)["sessionId"]
            arguments = {"language": "python", "code": "6 * 7"}
            response = agentcore.invoke_code_interpreter(**target, name="executeCode", arguments=arguments)
            (event,) = response["stream"]
            assert event["result"]["structuredContent"]["stdout"] == "42"
            agentcore.stop_code_interpreter_session(**target)
        ```
    """
    data_plane = client(DATA_PLANE, agentcore_endpoint, DEFAULT_REGION)
    yield data_plane
    data_plane.close()


@pytest.fixture(scope="session")
def agentcore_control(agentcore_endpoint: str) -> Generator[Any]:
    """Returns a boto3 client of the control plane (bedrock-agentcore-control), without retries.

    Example:
        ```python
        def test_the_managed_interpreter_exists(agentcore_control):
            (summary,) = agentcore_control.list_code_interpreters(type="SYSTEM")["codeInterpreterSummaries"]
            assert summary["status"] == "READY"
        ```
    """
    control_plane = client(CONTROL_PLANE, agentcore_endpoint, DEFAULT_REGION)
    yield control_plane
    control_plane.close()


@pytest.fixture
def agentcore_faults(agentcore_endpoint: str) -> Generator[FaultInjector]:
    """Returns a fault injector, whose faults are removed after the test.

    Example:
        ```python
        def test_throttling_is_retried(agentcore_faults):
            agentcore_faults.inject(Rule("throttling", "executeCode", times=1))
            assert my_tool("print(6 * 7)") == "42"
            assert agentcore_faults.injected() == [1]
        ```
    """
    faults = FaultInjector(agentcore_endpoint)
    yield faults
    faults.clear()


@pytest.fixture
def agentcore_clock(agentcore_endpoint: str) -> EmulatorClock:
    """Returns the emulator's clock. An advance is permanent and also expires sessions of wider fixtures.

    Example:
        ```python
        def test_an_expired_session_is_replaced(agentcore_clock):
            my_tool("x = 1")
            agentcore_clock.advance(900)
            assert my_tool("print('x' in globals())") == "False"
        ```
    """
    return EmulatorClock(agentcore_endpoint)


@pytest.fixture(autouse=True)
def agentcore_leftovers(request: pytest.FixtureRequest) -> Generator[None]:
    """Stops the sessions that a test started and left running, as `agentcore_leftover_sessions` selects.

    Applies to every test that uses the emulator, without being requested.

    Example:
        ```ini
        [pytest]
        agentcore_leftover_sessions = fail
        ```
    """
    action = request.config.getini("agentcore_leftover_sessions")
    if action == "keep" or "agentcore_endpoint" not in request.fixturenames:
        yield
        return
    sessions = LiveSessions(request.getfixturevalue("agentcore_endpoint"))
    before = sessions.ids()
    yield
    leftovers = sorted(sessions.ids() - before)
    for session in leftovers:
        sessions.end(session)
    if leftovers:
        message = f"The test left sessions running: {', '.join(leftovers)}"
        if action == "fail":
            pytest.fail(message, pytrace=False)
        warnings.warn(message, pytest.PytestWarning, stacklevel=1)
