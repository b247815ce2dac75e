"""The cloud assembly that `cdk synth` writes: the templates of one environment's stacks."""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sandpiper.cdk_cli import PROJECT, cdk
from sandpiper.environment.options import ENVIRONMENT_NAME
from sandpiper.errors import CliError
from sandpiper.plan.template import Place, Template, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OURS = re.compile(rf"sandpiper-({ENVIRONMENT_NAME})-([a-z0-9-]+)")
"""A stack's name: the environment's, which has no hyphen, and the part's."""
WHERE = re.compile(r"aws://([^/]+)/(.+)")
PARAMETER = re.compile(r"/cdk-bootstrap/[^/]+/version")
"""https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""


@dataclass(frozen=True)
class Stack:
    """A stack as it would be deployed."""

    name: str
    template: Template
    size: int
    """Of the template, in bytes."""
    is_protected: bool


@dataclass(frozen=True)
class Bootstrap:
    """What `cdk bootstrap` leaves and `cdk deploy` asks for: the SSM parameter of its version, and the least one."""

    parameter: str
    version: int

    @property
    def qualifier(self) -> str:
        """Which of an account's bootstraps it is."""
        return self.parameter.split("/")[2]


@dataclass(frozen=True)
class Assembly:
    """The stacks of one environment, in one account and region, and the bootstraps that they are deployed with."""

    environment: str
    place: Place
    stacks: Mapping[str, Stack]
    bootstraps: frozenset[Bootstrap]


def synthesise(file: Path, progress: Callable[[str], None]) -> Assembly:
    """Synthesises an environment, by its file's whole path, with the pinned CDK CLI.

    Raises CliError with what the CLI said.
    """
    with tempfile.TemporaryDirectory(prefix="sandpiper-plan-") as output:
        cdk(["synth", "--quiet", "-c", f"environment={file}", "--output", output], PROJECT, progress)
        return open_assembly(Path(output))


def open_assembly(directory: Path) -> Assembly:
    """Reads an assembly's folder. Raises CliError for what is none, or not one environment's."""
    manifest = _manifest(directory)
    stacks: dict[str, Stack] = {}
    where: set[tuple[str, str, str]] = set()
    bootstraps: set[Bootstrap] = set()
    for artifact_id, artifact in manifest.items():
        if artifact.get("type") != "aws:cloudformation:stack":
            continue
        options = artifact.get("properties", {})
        name = str(options.get("stackName", artifact_id))
        ours, at = OURS.fullmatch(name), WHERE.fullmatch(str(artifact.get("environment")))
        if ours is None or at is None:
            raise _not_one(directory, f"the stack {name} is not one of an environment of Sandpiper")
        where.add((ours[1], at[1], at[2]))
        text = _text(directory / str(options.get("templateFile")))
        template = read(name, text, Place(at[1], at[2]))
        stacks[name] = Stack(name, template, len(text.encode()), bool(options.get("terminationProtection")))
        if PARAMETER.fullmatch(parameter := str(options.get("bootstrapStackVersionSsmParameter"))):
            bootstraps.add(Bootstrap(parameter, int(options.get("requiresBootstrapStackVersion", 0))))
    if not stacks:
        raise _not_one(directory, "it has no stack")
    if len(where) > 1:
        names = ", ".join(sorted(" in ".join((one[0], f"{one[1]}/{one[2]}")) for one in where))
        raise _not_one(directory, f"it has stacks of more than one environment, account or region: {names}")
    ((environment, account, region),) = where
    return Assembly(environment, Place(account, region), stacks, frozenset(bootstraps))


def _manifest(directory: Path) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads(_text(directory / "manifest.json"))
    except ValueError as error:
        raise _not_one(directory, f"manifest.json is not JSON ({error})") from None
    artifacts = cast("dict[str, Any]", manifest).get("artifacts") if isinstance(manifest, dict) else None
    if not isinstance(artifacts, dict):
        raise _not_one(directory, "manifest.json has no artifacts")
    return cast("dict[str, dict[str, Any]]", artifacts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise _not_one(file.parent, f"{file.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _not_one(file.parent, f"{file.name} is not UTF-8") from None


def _not_one(directory: Path, why: str) -> CliError:
    make = "`cdk synth --quiet -c environment=NAME --output DIR`"
    return CliError(f"{directory} is not the cloud assembly of an environment: {why}; make one with {make}")
