"""Which environment a command is about: by its name, its file, or the assembly that is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError

from sandpiper import deployment
from sandpiper.environment import InvalidEnvironment, find_warnings, load
from sandpiper.environment.model import Environment, Quotas
from sandpiper.environment.options import ENVIRONMENT_NAME, REGION, is_match
from sandpiper.errors import CliError
from sandpiper.plan import assembly
from sandpiper.plan.deployed import Account
from sandpiper.plan.template import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandpiper.plan.assembly import Assembly

DEFAULT = "local"


@dataclass(frozen=True)
class Chosen:
    """An environment by its name; `environment` is what its file says, where there is one."""

    name: str
    file: Path
    environment: Environment | None

    @property
    def quotas(self) -> Quotas:
        """What the account has been granted: AWS's own without a file."""
        return self.environment.quotas if self.environment else Quotas()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should know of its file."""
        return tuple(f"{one.at}: {one.text}" for one in find_warnings(self.environment)) if self.environment else ()

    def synthesise(self, progress: Callable[[str], None]) -> Assembly:
        """Its cloud assembly. Raises CliError."""
        # The CDK runs in the project's folder, where another file may have the name.
        return assembly.synthesise(self.file.resolve(), progress)

    def account(self, place: Place | None = None) -> Account:
        """Where it is deployed: an assembly's place, or its file's, or the shell's. Raises CliError."""
        if place is None and self.environment is not None:
            place = Place(self.environment.account, self.environment.region)
        if place is None or not is_match(REGION, place.region):
            session = deployment.session_for(self.name)
        else:
            session = _session(place.region)
        deployment.require_meant(session, self.name)
        return Account(session, place)


def choose(given: str | None, made: Assembly | None = None) -> Chosen:
    """The environment that is meant. Raises CliError for one that is unknown, or not the assembly's."""
    name = given or (made.environment if made else DEFAULT)
    file = deployment.file_of(name)
    if made is not None and file.stem != made.environment:
        raise CliError(
            f"--environment is {name!r}, and the assembly is that of {made.environment}: leave one of them out"
        )
    if not name.endswith(".yaml") and not is_match(ENVIRONMENT_NAME, name):
        raise CliError(f"--environment is {name!r}; allowed: at most 20 of a-z 0-9, a letter first, or a .yaml file")
    if made is not None and not file.exists():
        return Chosen(file.stem, file, None)
    try:
        return Chosen(file.stem, file, load(file))
    except InvalidEnvironment as error:
        raise CliError(str(error)) from None


def _session(region: str) -> boto3.Session:
    try:
        return boto3.Session(region_name=region)
    except BotoCoreError as error:  # a profile that does not exist
        raise CliError(f"AWS cannot be used: {error}") from None
