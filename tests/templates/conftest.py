"""Fixtures that synthesize templates of environments and of single constructs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app, read_assembly, synthesize
from tests.support.project import PROJECT
from tests.support.rich_environment import RICH
from tests.support.rules.review import synthesize_included

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import aws_cdk as cdk

    from tests.support.assemblies import Assembly, Template


@pytest.fixture(scope="session", autouse=True)
def in_the_repository() -> Iterator[None]:
    """Changes to the repository's root, in which the CDK CLI runs the app."""
    before = Path.cwd()
    os.chdir(PROJECT)
    yield
    os.chdir(before)


@pytest.fixture(scope="session")
def assemblies(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Assembly]:  # noqa: ARG001
    """Returns the cloud assembly of each environment in the repository by name, with its cdk-nag report."""
    return synthesize_included(tmp_path_factory.mktemp("included"))


@pytest.fixture(scope="session")
def local(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["local"]


@pytest.fixture(scope="session")
def dev(assemblies: dict[str, Assembly]) -> Assembly:
    return assemblies["dev"]


@pytest.fixture(scope="session")
def rich(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> Assembly:  # noqa: ARG001
    """Returns the cloud assembly of RICH."""
    return synthesize(tmp_path_factory.mktemp("rich"), RICH)


@pytest.fixture
def render(tmp_path: Path) -> Callable[[Callable[[cdk.Stack], object]], Template]:
    """Returns a function that renders a stack, after its argument has added constructs to it."""

    def render_stack(fill: Callable[[cdk.Stack], object]) -> Template:
        import aws_cdk as cdk

        app = new_app(tmp_path)
        fill(cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION)))
        app.synth()
        return read_assembly(tmp_path)["stack"]

    return render_stack
