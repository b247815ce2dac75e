"""Reads the cloud assembly that `cdk synth` writes: the templates of one environment's stacks."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sandpiper.cdk_cli import PROJECT, cdk
from sandpiper.environment.options import ENVIRONMENT_NAME
from sandpiper.errors import CliError
from sandpiper.names import FLEET, NETWORK, STORAGE
from sandpiper.plan.target import DeploymentTarget
from sandpiper.plan.template import Template, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

STACK_NAME = re.compile(rf"sandpiper-({ENVIRONMENT_NAME})-([a-z0-9-]+)")
"""The name of a stack: the name of the environment, which has no hyphen, and the name of the part."""
CDK_ENVIRONMENT = re.compile(r"aws://([^/]+)/(.+)")
BOOTSTRAP_PARAMETER = re.compile(r"/cdk-bootstrap/[^/]+/version")
"""https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""


@dataclass(frozen=True)
class Stack:
    """A stack of the assembly.

    Attributes:
        size: The size of its template in bytes.
        errors: The reasons why it cannot be deployed.
    """

    name: str
    template: Template
    size: int
    is_protected: bool
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bootstrap:
    """A bootstrap stack that the assembly requires: the SSM parameter with its version, and the minimum version."""

    parameter: str
    version: int

    @property
    def qualifier(self) -> str:
        """The qualifier of the bootstrap stack, which identifies it in its account."""
        return self.parameter.split("/")[2]


@dataclass(frozen=True)
class Assembly:
    """The stacks of one environment, which share an account and a region, and the bootstrap stacks they require."""

    environment: str
    target: DeploymentTarget
    stacks: Mapping[str, Stack]
    bootstraps: frozenset[Bootstrap]


def tenant_of(stack: str) -> str | None:
    """Returns the tenant of a stack by its name; None for the environment's own stacks."""
    match = STACK_NAME.fullmatch(stack)
    part = match[2] if match else None
    return None if part in (STORAGE, NETWORK, FLEET) else part


@contextmanager
def synthesized(file: Path, progress: Callable[[str], None]) -> Generator[Path]:
    """Synthesizes an environment, and yields the folder of the cloud assembly while the block runs.

    Args:
        file: the absolute path of the environment file.
        progress: called with each line that the CDK CLI prints.

    Raises:
        CliError: The synthesis fails; the message contains the output of the CDK CLI.
    """
    with tempfile.TemporaryDirectory(prefix="sandpiper-plan-") as output:
        # Stacks that cannot be deployed are synthesized too. `Stack.errors` has the reasons.
        options = ["--quiet", "--ignore-errors", "-c", f"environment={file}", "--output", output]
        cdk(["synth", *options], PROJECT, progress)
        yield Path(output)


def read_assembly(directory: Path) -> Assembly:
    """Reads the folder of an assembly.

    Raises:
        CliError: The folder is not an assembly, or not the assembly of exactly one environment.
    """
    stacks: dict[str, Stack] = {}
    environments: set[tuple[str, str, str]] = set()
    bootstraps: set[Bootstrap] = set()
    for artifact_id, artifact in _artifacts(directory).items():
        if artifact.get("type") != "aws:cloudformation:stack":
            continue
        options = artifact.get("properties", {})
        name = str(options.get("stackName", artifact_id))
        parts, account_and_region = (
            STACK_NAME.fullmatch(name),
            CDK_ENVIRONMENT.fullmatch(str(artifact.get("environment"))),
        )
        if parts is None or account_and_region is None:
            raise _invalid(directory, f"stack {name} does not belong to a Sandpiper environment")
        environments.add((parts[1], account_and_region[1], account_and_region[2]))
        text = _read(directory / str(options.get("templateFile")))
        template = parse_template(name, text, DeploymentTarget(account_and_region[1], account_and_region[2]))
        protected, errors = bool(options.get("terminationProtection")), tuple(_errors(directory, artifact))
        stacks[name] = Stack(name, template, len(text.encode()), protected, errors)
        if BOOTSTRAP_PARAMETER.fullmatch(parameter := str(options.get("bootstrapStackVersionSsmParameter"))):
            bootstraps.add(Bootstrap(parameter, int(options.get("requiresBootstrapStackVersion", 0))))
    if not stacks:
        raise _invalid(directory, "it has no stack")
    if len(environments) > 1:
        names = ", ".join(f"{name} in {account}/{region}" for name, account, region in sorted(environments))
        raise _invalid(directory, f"it has stacks of more than one environment, account or region: {names}")
    ((environment, account, region),) = environments
    return Assembly(environment, DeploymentTarget(account, region), stacks, frozenset(bootstraps))


def _errors(directory: Path, artifact: dict[str, Any]) -> Iterator[str]:
    """Yields the error annotations of a stack, with which the CDK CLI refuses to deploy it."""
    metadata: dict[str, Any] = artifact.get("metadata", {})
    if additional := artifact.get("additionalMetadataFile"):
        metadata = {**metadata, **json.loads(_read(directory / str(additional)))}
    for path, entries in metadata.items():
        yield from (f"{path}: {entry['data']}" for entry in entries if entry.get("type") == "aws:cdk:error")


def _artifacts(directory: Path) -> dict[str, dict[str, Any]]:
    try:
        manifest = json.loads(_read(directory / "manifest.json"))
    except ValueError as error:
        raise _invalid(directory, f"manifest.json is not JSON ({error})") from None
    artifacts = cast("dict[str, Any]", manifest).get("artifacts") if isinstance(manifest, dict) else None
    if not isinstance(artifacts, dict):
        raise _invalid(directory, "manifest.json has no artifacts")
    return cast("dict[str, dict[str, Any]]", artifacts)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise _invalid(file.parent, f"{file.name}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _invalid(file.parent, f"{file.name} is not UTF-8") from None


def _invalid(directory: Path, problem: str) -> CliError:
    command = "`cdk synth --quiet -c environment=NAME --output DIR`"
    return CliError(f"{directory} is not the cloud assembly of an environment: {problem}; create one with {command}")
