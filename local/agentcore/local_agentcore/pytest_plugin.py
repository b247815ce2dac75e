"""pytest fixtures: an emulator for the session, and boto3 clients that talk to it.

The Python that code finds is taken from `--agentcore-runtime`, the ini option `agentcore_runtime` or the environment
variable LOCAL_AGENTCORE_RUNTIME, in this order, and without them from `local/runtimes/sandbox/.venv` below the root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path
    from collections.abc import Generator

RUNTIME_VARIABLE = "LOCAL_AGENTCORE_RUNTIME"
DEFAULT_RUNTIME = "local/runtimes/sandbox/.venv"
REGION = "us-east-1"
READY = "Ready on "
END_SECONDS = 30


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option and the ini setting for the runtime directory."""
    text = "virtual environment that code in the emulated AgentCore finds"
    parser.getgroup("local-agentcore").addoption("--agentcore-runtime", metavar="DIR", help=text)
    parser.addini("agentcore_runtime", text)


@pytest.fixture(scope="session")
def agentcore_runtime(pytestconfig: pytest.Config) -> Path:
    """The virtual environment that code in the emulator finds."""
    chosen = (
        pytestconfig.getoption("--agentcore-runtime")
        or pytestconfig.getini("agentcore_runtime")
        or os.environ.get(RUNTIME_VARIABLE)
        or DEFAULT_RUNTIME
    )
    return pytestconfig.rootpath / str(chosen)


@pytest.fixture(scope="session")
def agentcore_endpoint(agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The URL of an emulator that runs for the whole test session, both planes on it.

    It fails, and does not skip, where code cannot be isolated: the message says what to do.
    """
    state = tmp_path_factory.mktemp("agentcore")
    command = [sys.executable, "-m", "local_agentcore", "serve", "--port", "0"]
    with (state / "log").open("w+") as log:
        process = subprocess.Popen(  # noqa: S603  this package
            [*command, "--runtime", str(agentcore_runtime), "--state", str(state)],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            yield _ready_address(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(END_SECONDS)


@pytest.fixture(scope="session")
def agentcore(agentcore_endpoint: str) -> Any:
    """A boto3 client of the data plane (bedrock-agentcore). It sends every call once."""
    return _client("bedrock-agentcore", agentcore_endpoint)


@pytest.fixture(scope="session")
def agentcore_control(agentcore_endpoint: str) -> Any:
    """A boto3 client of the control plane (bedrock-agentcore-control)."""
    return _client("bedrock-agentcore-control", agentcore_endpoint)


def _ready_address(process: subprocess.Popen[str], log: IO[str]) -> str:
    for line in process.stdout or ():
        if line.startswith(READY):
            address, _, state = line.removeprefix(READY).strip().partition(", ")
            if state.startswith("WITHOUT"):
                pytest.fail(f"The emulated AgentCore can run no code. {state}")
            return address
    log.seek(0)
    return pytest.fail(f"The emulated AgentCore did not start: {log.read()[-2000:]}")


def _client(service: str, endpoint: str) -> Any:
    import botocore.session
    from botocore.config import Config

    return botocore.session.get_session().create_client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not look at it
        config=Config(retries={"total_max_attempts": 1}, read_timeout=960),
    )
