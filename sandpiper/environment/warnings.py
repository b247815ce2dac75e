"""Finds warnings about a valid environment: expiring permissions, unknown regions, and resources of other owners."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.batch_limits import batch_warnings
from sandpiper.environment.errors import format_key_path
from sandpiper.environment.external_resources import external_resource_warnings
from sandpiper.environment.interpreter import PublicInterpreter
from sandpiper.environment.regions import INTERPRETER_REGIONS
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

EXPIRY_NOTICE = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class EnvironmentWarning:
    """A warning about an environment: the key path in the file, and the text."""

    at: str
    text: str


def find_warnings(environment: Environment, *, today: datetime.date | None = None) -> tuple[EnvironmentWarning, ...]:
    """Returns the warnings about an environment.

    Args:
        environment: A valid environment.
        today: The date that expiry is compared with. Defaults to the current date in UTC.

    Example:
        >>> [str(warning.text) for warning in find_warnings(environment)]
        ['expires on 2027-06-30; its stack cannot be deployed after that until you renew it']
    """
    day = today or datetime.datetime.now(datetime.UTC).date()
    found = (
        *_unknown_regions(environment),
        *_expiring(environment, day),
        *_application_logs(environment),
        *external_resource_warnings(environment),
        *batch_warnings(environment),
    )
    return tuple(EnvironmentWarning(format_key_path(key_path), text) for key_path, text in found)


def _unknown_regions(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    region = environment.region
    if region not in INTERPRETER_REGIONS:
        yield ("region",), f"{region} was not known to offer code interpreters when this version was released"
    if environment.availability_zones and region not in SUPPORTED_ZONES:
        yield (
            ("availability_zones",),
            f"the zones of {region} that AgentCore supports were not known when this version was released",
        )


def _application_logs(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.application_logs:
            yield (
                (*key_path, "application_logs"),
                "writes the code and the output of every call, with their data, to a log group: limit who can read "
                f"it, and set logs.retention_days ({environment.logs.retention_days} now) to what its data allows",
            )


def _expiring(environment: Environment, today: datetime.date) -> Iterator[tuple[KeyPath, str]]:
    for key_path, last_day in _last_days(environment):
        if last_day is not None and last_day <= today + EXPIRY_NOTICE:
            yield key_path, _expiry_text(last_day, today)


def _expiry_text(last_day: datetime.date, today: datetime.date) -> str:
    if last_day < today:
        return f"expired on {last_day}; its stack cannot be deployed until you renew it or remove what it permits"
    return f"expires on {last_day}; its stack cannot be deployed after that until you renew it"


def _last_days(environment: Environment) -> Iterator[tuple[KeyPath, datetime.date | None]]:
    for key_path, interpreter in iter_interpreters(environment):
        if isinstance(interpreter, PublicInterpreter):
            yield (*key_path, "expires"), interpreter.expires
    for index, finding in enumerate(environment.accepted_findings):
        yield ("accepted_findings", index, "expires"), finding.expires
