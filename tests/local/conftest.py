"""Fixtures of the embedded AWS, or of AWS with SANDPIPER_TARGET=aws, and of the product deployed there."""

from __future__ import annotations

import fcntl
import os
import subprocess
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_agentcore.admin_client import FaultInjector
from local_aws import control, environment, running_instance
from local_aws.settings import StateDirectory
from sandpiper import deployment
from sandpiper.cdk_cli import QUICK_POLLS
from tests.support.agentcore_sessions import open_tools
from tests.support.cdk_commands import cdk
from tests.support.checkout import CREATED_BY_COMMANDS
from tests.support.environments import Environments
from tests.support.product import Product
from tests.support.project import PROJECT
from tests.support.run_attempts import Attempts
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from sandpiper.deployment import Deployment
    from tests.support.agentcore_sessions import Invoke


@pytest.fixture(scope="module", autouse=True)
def new_default_session() -> None:
    """Resets the default session of boto3, which may have the credentials of the previous module."""
    boto3.DEFAULT_SESSION = None


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Generator[running_instance.RunningInstance | None]:
    """Starts the embedded AWS and configures boto3 clients for it. Yields None if the target is AWS."""
    if ON_AWS:
        yield None
        return
    state = StateDirectory(tmp_path_factory.mktemp("aws"))
    with control.temporary(state) as running, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.changes(running, os.environ).items():
            patch.delenv(name, raising=False) if value is None else patch.setenv(name, value)
        yield running


@pytest.fixture(scope="session")
def quick_polls() -> Generator[None]:
    """Shortens the poll interval of the CDK CLI when tests run it as a command."""
    if ON_AWS:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_OPTIONS", QUICK_POLLS)
        yield


@pytest.fixture(scope="session")
def bootstrapped(
    aws: running_instance.RunningInstance | None,
    quick_polls: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Runs `cdk bootstrap` on the embedded AWS."""
    if aws is not None:
        cdk(["bootstrap", f"aws://{aws.account}/{aws.region}"], tmp_path_factory.mktemp("cdk.out"), print)


@pytest.fixture
def environments(bootstrapped: None, tmp_path: Path) -> Generator[Environments]:  # noqa: ARG001
    """Yields an object that deploys environments of the test. They are deleted after the test."""
    if ON_AWS:
        pytest.skip("separate environments are deployed only to the embedded AWS")
    environments = Environments(tmp_path)
    yield environments
    environments.destroy()


@pytest.fixture(scope="session")
def assembly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the cloud assembly of the product. One worker synthesizes it with `cdk synth` for all workers."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    output = shared / "product.out"
    with (shared / "product.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            incomplete = own / "product.incomplete"
            cdk(["synth", "--quiet", "-c", f"environment={ENVIRONMENT}", "--output", str(incomplete)], PROJECT, print)
            incomplete.rename(output)
    return output


@pytest.fixture(scope="session")
def deployed(
    aws: running_instance.RunningInstance | None,
    bootstrapped: None,  # noqa: ARG001
    request: pytest.FixtureRequest,
) -> Deployment:
    """Deploys the tenant with `cdk deploy` and returns it. On AWS it must be deployed already."""
    if aws is not None:
        assembly = str(request.getfixturevalue("assembly"))
        cdk(["deploy", "--all", "--app", assembly, "--require-approval", "never"], PROJECT, print)
    return deployment.find(boto3.Session(), ENVIRONMENT, TENANT)


@pytest.fixture(scope="module")
def boto_session(deployed: Deployment) -> boto3.Session:  # noqa: ARG001 - it sets the variables of the account
    """Returns a session for the account of the deployed product."""
    return boto3.Session()


@pytest.fixture
def product(deployed: Deployment, boto_session: boto3.Session, tmp_path: Path) -> Product:
    """Returns the deployed product with an empty folder for output files."""
    return Product(boto_session, deployed, tmp_path / "out")


@pytest.fixture
def faults(aws: running_instance.RunningInstance | None) -> Generator[FaultInjector]:
    """Yields the fault injector of the embedded AgentCore. Its rules are cleared after the test."""
    if aws is None:
        pytest.fail("faults can be injected only into the embedded AWS")
    injector = FaultInjector(aws.agentcore_url)
    yield injector
    injector.clear()


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Path]:
    """Links the project into another folder, so that commands do not change the files of the developer."""
    for entry in PROJECT.iterdir():
        if entry.name not in CREATED_BY_COMMANDS:
            (tmp_path / entry.name).symlink_to(entry)
    yield tmp_path
    subprocess.run([PROJECT / ".venv/bin/sandpiper", "local", "stop"], cwd=tmp_path, capture_output=True)


@pytest.fixture(scope="module")
def invoke(agentcore: Any) -> Generator[Invoke]:
    """Returns a function that calls a tool in one session of the module."""
    with open_tools(agentcore) as invoke:
        yield invoke


@pytest.fixture(scope="module")
def attempts(deployed: Deployment) -> Generator[Attempts]:
    """Starts the process that runs attempts."""
    with Attempts(deployed) as attempts:
        yield attempts
