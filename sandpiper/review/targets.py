"""Finds what a command reviews: the names of environments, environment files, cloud assemblies and templates."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.deployment import environment_file
from sandpiper.environment import load
from sandpiper.environment.options import ENVIRONMENT_NAME, is_match
from sandpiper.environment.source_positions import SourcePositions
from sandpiper.plan.assembly import synthesized
from sandpiper.review.access.expectations import expectations_of
from sandpiper.review.reading.assembly import MANIFEST, is_assembly
from sandpiper.review.reading.document import read_document
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.report import EnvironmentFile
from sandpiper.review.review import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

_REMEDY = "name an environment, a cloud assembly or a CloudFormation template"


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
    if path.is_dir():
        return None
    if is_match(ENVIRONMENT_NAME, target) and not path.exists():
        return environment_file(target)
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
