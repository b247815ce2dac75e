"""Finds what a command reviews: the names of environments, environment files, cloud assemblies and templates."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.deployment import environment_file
from sandpiper.environment import load
from sandpiper.environment.options import ENVIRONMENT_NAME, is_match
from sandpiper.environment.source_positions import SourcePositions
from sandpiper.errors import CliError
from sandpiper.plan.assembly import synthesized
from sandpiper.plan.environments import select_environment
from sandpiper.review.access.expectations import expectations_of
from sandpiper.review.deployed.review import review_deployed
from sandpiper.review.reading.assembly import MANIFEST, is_assembly
from sandpiper.review.reading.document import read_document
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.report import EnvironmentFile
from sandpiper.review.review import Target, review
from sandpiper.status.collect import deployed_stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from sandpiper.review.result import Review

_REMEDY = "name an environment, a cloud assembly or a CloudFormation template"
DEFAULT = "local"


def named_targets(targets: Sequence[str] | None, environment: str | None, *, deployed: bool) -> list[str]:
    """Returns the targets of a command.

    Args:
        targets: Its arguments.
        environment: The value of `--environment`.
        deployed: Whether the account is reviewed, which needs one environment.

    Raises:
        CliError: There are arguments and an environment, or the account of something else is to be reviewed.
    """
    if targets and environment:
        raise CliError(f"--environment is {environment!r}, and there are other targets: {', '.join(targets)}; use one")
    names = list(targets or [environment or DEFAULT])
    if deployed and (len(names) > 1 or file_of_environment(names[0]) is None):
        raise CliError(f"--deployed needs exactly one environment, not {', '.join(names)}; name it with --environment")
    return names


def review_named(names: Sequence[str], progress: Callable[[str], None]) -> Review:
    """Reviews targets together. Raises CliError if one of them does not exist, or cannot be read or synthesized."""
    with ExitStack() as stack:
        targets = [stack.enter_context(reviewable(one, progress)) for one in names]
        return review(targets, progress, name=", ".join(names))


def review_account(names: Sequence[str], progress: Callable[[str], None]) -> Review:
    """Reviews one environment as it is in its account.

    Raises:
        CliError: There are no credentials or those of another account, no stack is deployed, the stacks cannot be read,
            or the environment cannot be synthesized.
    """
    selected = select_environment(names[0])
    account = selected.account()
    stacks = deployed_stacks(account, selected.name)
    with reviewable(names[0], progress) as target:
        return review_deployed(selected.name, account, stacks, target, progress)


@contextmanager
def reviewable(target: str, progress: Callable[[str], None]) -> Generator[Target]:
    """Yields the cloud assembly or the template of a target. An environment is synthesized, which needs no network.

    Args:
        target: The name or the file of an environment, the folder of a cloud assembly, or a template.
        progress: Called with a line about each step.

    Raises:
        CliError: The target does not exist, or cannot be synthesized.
    """
    path, environment = Path(target), file_of_environment(target)
    if environment is not None:
        source = _environment_file(environment)  # reports the issues of the file before the CDK CLI starts
        with synthesized(environment.resolve(), progress) as folder:
            yield Target(folder, "", expectations_of(source))
    elif path.is_dir() and not is_assembly(path):
        raise TemplateError(target, f"is not a cloud assembly: it has no {MANIFEST}", _REMEDY)
    else:
        yield Target(path, target)


def file_of_environment(target: str) -> Path | None:
    """Returns the file of an environment; None for an assembly or a template."""
    path = Path(target)
    if is_match(ENVIRONMENT_NAME, target) and not path.is_file() and not is_assembly(path):
        file = environment_file(target)
        if file.exists() or not path.is_dir():  # a folder can have the name of an environment
            return file
    if path.is_dir():
        return None
    return path if path.suffix == ".yaml" and path.exists() and _is_environment(path) else None


def source_of(targets: Sequence[str]) -> EnvironmentFile | None:
    """Returns the environment file of the only target; None for several targets, an assembly or a template.

    Raises:
        InvalidEnvironment: The file is invalid.
    """
    file = file_of_environment(targets[0]) if len(targets) == 1 else None
    return None if file is None else _environment_file(file)


def _environment_file(file: Path) -> EnvironmentFile:
    shown = file.resolve().relative_to(Path.cwd()) if file.resolve().is_relative_to(Path.cwd()) else file
    return EnvironmentFile(str(shown), load(file), SourcePositions.from_text(file.read_text(encoding="utf-8")))


def _is_environment(path: Path) -> bool:
    content = read_document(path, str(path)).content
    return "Resources" not in content and "name" in content
