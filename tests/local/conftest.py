"""An AWS with the product deployed to it by the CDK CLI: the embedded one, or AWS itself with SANDPIPER_TARGET=aws."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from local_agentcore.admin_client import FaultInjector
from local_aws import control, environment, running_instance
from local_aws.settings import StateDirectory
from sandpiper import deployment
from sandpiper.cdk_cli import cdk
from tests.support.checkout import CREATED_BY_COMMANDS
from tests.support.environments import Environments
from tests.support.product import Product
from tests.support.project import PROJECT
from tests.support.target import ENVIRONMENT, ON_AWS, TENANT

if TYPE_CHECKING:
    from collections.abc import Generator

    from sandpiper.deployment import Deployment


@pytest.fixture(scope="module", autouse=True)
def a_default_session_of_its_own() -> None:
    """boto3 keeps its default session, which may have the credentials of the module before."""
    boto3.DEFAULT_SESSION = None


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Generator[running_instance.RunningInstance | None]:
    """The embedded AWS, which every boto3 client of the tests now talks to; None when the target is AWS."""
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
    """The CDK CLI does not sleep for seconds where the embedded AWS has long answered."""
    if ON_AWS:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NODE_OPTIONS", f'--require "{Path(__file__).with_name("quick_polls.cjs")}"')
        yield


@pytest.fixture(scope="session")
def bootstrapped(
    aws: running_instance.RunningInstance | None,
    quick_polls: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The embedded AWS after `cdk bootstrap`."""
    if aws is not None:
        cdk(["bootstrap", f"aws://{aws.account}/{aws.region}"], tmp_path_factory.mktemp("cdk.out"), print)


@pytest.fixture
def environments(bootstrapped: None, tmp_path: Path) -> Generator[Environments]:  # noqa: ARG001
    """Environments of a test's own, which go with it."""
    if ON_AWS:
        pytest.skip("an environment of a test's own is for the embedded AWS alone")
    made = Environments(tmp_path)
    yield made
    made.destroy()


@pytest.fixture(scope="session")
def deployed(
    aws: running_instance.RunningInstance | None,
    bootstrapped: None,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """The tenant, deployed by `cdk deploy`."""
    if aws is not None:
        output = tmp_path_factory.mktemp("cdk.out")
        arguments = ["deploy", "--all", "-c", f"environment={ENVIRONMENT}", "--require-approval", "never"]
        cdk([*arguments, "--output", str(output)], PROJECT, print)
    return deployment.find(boto3.Session(), ENVIRONMENT, TENANT)


@pytest.fixture
def product(deployed: Deployment, tmp_path: Path) -> Product:
    """The deployed product, with an empty folder for what programs leave."""
    return Product(boto3.Session(), deployed, tmp_path / "out")


@pytest.fixture
def faults(aws: running_instance.RunningInstance | None) -> Generator[FaultInjector]:
    """Orders faults of the embedded AgentCore, for one test alone."""
    if aws is None:
        pytest.fail("AWS takes no orders of faults; these tests are the embedded AWS's")
    orders = FaultInjector(aws.agentcore_url)
    yield orders
    orders.clear()


@pytest.fixture
def checkout(tmp_path: Path) -> Generator[Path]:
    """The project under another path, so that the files of the commands stay apart from those of the developer."""
    for entry in PROJECT.iterdir():
        if entry.name not in CREATED_BY_COMMANDS:
            (tmp_path / entry.name).symlink_to(entry)
    yield tmp_path
    subprocess.run([PROJECT / ".venv/bin/sandpiper", "local", "stop"], cwd=tmp_path, capture_output=True)
