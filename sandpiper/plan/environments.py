"""Selects the environment of a command: by its name, by its file, or by a cloud assembly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError

from sandpiper import deployment
from sandpiper.environment import find_cost_warnings, find_warnings, load
from sandpiper.environment.account import Quotas
from sandpiper.environment.options import ENVIRONMENT_NAME, REGION, is_match
from sandpiper.errors import CliError
from sandpiper.names import FLEET, NETWORK, STORAGE, stack_name
from sandpiper.plan import assembly
from sandpiper.plan.deployed import Account
from sandpiper.plan.target import DeploymentTarget

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sandpiper.environment.model import Environment
    from sandpiper.plan.assembly import Assembly

DEFAULT = "local"


@dataclass(frozen=True)
class SelectedEnvironment:
    """An environment; `environment` is the content of its file, or None for an assembly without its file."""

    name: str
    file: Path
    environment: Environment | None

    @property
    def quotas(self) -> Quotas:
        """The quotas of the account: those of the file, or AWS's defaults."""
        return self.environment.quotas if self.environment else Quotas()

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings about the file."""
        if self.environment is None:
            return ()
        found = (*find_warnings(self.environment), *find_cost_warnings(self.environment))
        return tuple(f"{one.at}: {one.text}" for one in found)

    def has_stack(self, name: str) -> bool:
        """Returns whether the file has a stack; True without a file."""
        if self.environment is None:
            return True
        parts = [*self.environment.all_tenants, FLEET]
        if self.environment.network:
            parts.append(NETWORK)
        if self.environment.has_storage:
            parts.append(STORAGE)
        return name in {stack_name(self.name, part) for part in parts}

    def synthesize(self, progress: Callable[[str], None]) -> Assembly:
        """Synthesizes the environment. Raises CliError when that fails."""
        with self.synthesized(progress) as folder:
            return assembly.read_assembly(folder)

    def synthesized(self, progress: Callable[[str], None]) -> AbstractContextManager[Path]:
        """Returns a context with the folder of the cloud assembly. Raises CliError when the synthesis fails."""
        # The CDK CLI runs in the project folder, where a relative path may name another file.
        return assembly.synthesized(self.file.resolve(), progress)

    def account(self, target: DeploymentTarget | None = None) -> Account:
        """Returns the account that the environment is deployed to.

        The region is that of the target. Without a target it is that of the file, and without a file that of the shell.

        Raises:
            CliError: There are no credentials or no region, or the credentials belong to another account.
        """
        if target is None and self.environment is not None:
            target = DeploymentTarget(self.environment.account, self.environment.region)
        if target is None or not is_match(REGION, target.region):
            session = deployment.session_for(self.name)
        else:
            session = _session(target.region)
        deployment.require_intended_endpoint(session, self.name)
        return Account(session, target)


def select_environment(option: str | None, provided: Assembly | None = None) -> SelectedEnvironment:
    """Returns the environment that a command works on.

    Args:
        option: the value of `--environment`, if any.
        provided: the cloud assembly of `--assembly`, if any.

    Raises:
        CliError: The environment does not exist or is invalid, or it is not the one of the assembly.
    """
    name = option or (provided.environment if provided else DEFAULT)
    file = deployment.environment_file(name)
    if provided is not None and file.stem != provided.environment:
        raise CliError(
            f"--environment is {name!r}, but the assembly is of {provided.environment}: use only one of them"
        )
    if not name.endswith(".yaml") and not is_match(ENVIRONMENT_NAME, name):
        raise CliError(
            f"--environment is {name!r}; allowed: at most 20 of a-z 0-9, starting with a letter, or a .yaml file"
        )
    if provided is not None and not file.exists():
        return SelectedEnvironment(file.stem, file, None)
    return SelectedEnvironment(file.stem, file, load(file))


def _session(region: str) -> boto3.Session:
    try:
        return boto3.Session(region_name=region)
    except BotoCoreError as error:  # for example a profile that does not exist
        raise CliError(f"no AWS session can be created: {error}") from None
