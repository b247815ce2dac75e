"""The options of `sandpiper run` that its kinds of runs share: where a run starts, and what the command does then."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.cli.output import notes, print_note
from sandpiper.cli.run_flags import in_flags, location_as_flag
from sandpiper.cli.runs.reconnection import interrupted, reconnection
from sandpiper.errors import CliError, InvalidOptionsError, NoResultError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options that programs, batches and sessions share. Each attribute is the option with its name."""

    environment: str | None
    tenant: str | None
    interpreter: str | None
    out: Path
    overwrite: bool
    detach: bool
    follow: bool
    as_json: bool

    def session(self) -> boto3.Session:
        """Returns the credentials of the environment. Raises CliError if they are for another endpoint."""
        from sandpiper import deployment  # here, so that --help does not import boto3

        session = deployment.session_for(self._name)
        deployment.require_intended_endpoint(session, self._name)
        return session

    def connect(self) -> tuple[boto3.Session, Deployment]:
        """Returns the credentials and the tenant, and prints its account. Raises CliError."""
        session = self.session()
        return session, self.find_tenant(session)

    def find_tenant(self, session: boto3.Session) -> Deployment:
        """Returns the deployed tenant, and prints its account. Raises CliError, also for an unknown interpreter."""
        from sandpiper import deployment

        target = deployment.find(session, self._name, self.tenant or deployment.only_tenant(self._name))
        notes.print(f"account {target.account} at {target.endpoint}", soft_wrap=True)
        if self.interpreter is not None and self.interpreter not in target.interpreters:
            raise CliError(f"--interpreter is {self.interpreter!r}; allowed: {' | '.join(target.interpreters)}")
        return target

    @property
    def _name(self) -> str:
        return self.environment or "local"

    def print_started(self, execution: str) -> None:
        """Prints the ARN of an execution that continues without the command, and the commands for it."""
        print(json.dumps({"arn": execution}, indent=2) if self.as_json else execution)
        print_note(reconnection(execution, self.environment, self.tenant))

    @property
    def on_interrupt(self) -> Callable[[str], str] | None:
        """Returns the message after Ctrl-C; None if the execution is to be stopped then."""
        return (lambda execution: interrupted(execution, self.environment, self.tenant)) if self.detach else None


def print_execution(execution: str) -> None:
    """Prints the ARN of the execution to stderr."""
    print_note(f"execution {execution}")


def without_none(**fields: object) -> dict[str, object]:
    """Returns the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


@contextmanager
def fields_as_flags() -> Generator[None]:
    """Replaces the fields in the message of an invalid request or of a failed run with the flags for them."""
    try:
        yield
    except InvalidOptionsError as invalid:
        raise CliError(in_flags(str(invalid))) from None
    except NoResultError as failed:
        raise CliError(location_as_flag(str(failed))) from None
