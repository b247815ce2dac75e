"""What somebody should know of an environment that can be used: what ends soon, and what this version does not know."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.errors import format_key_path
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
    """A warning: where in the file, and what about it."""

    at: str
    text: str


def find_warnings(environment: Environment, *, today: datetime.date | None = None) -> tuple[EnvironmentWarning, ...]:
    """Every warning, in the order of the file. `today` is by default the day in UTC."""
    day = today or datetime.datetime.now(datetime.UTC).date()
    return tuple(
        EnvironmentWarning(format_key_path(key_path), text)
        for key_path, text in (*_unknown(environment), *_ending(environment, day))
    )


def _unknown(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    region = environment.region
    if region not in INTERPRETER_REGIONS:
        yield ("region",), f"{region} was not known to offer code interpreters when this version was made"
    if environment.availability_zones and region not in SUPPORTED_ZONES:
        yield ("availability_zones",), f"which zones of {region} AgentCore supports was not known when this was made"


def _ending(environment: Environment, today: datetime.date) -> Iterator[tuple[KeyPath, str]]:
    for key_path, last_day in _last_days(environment):
        if last_day is not None and last_day <= today + EXPIRY_NOTICE:
            yield (
                key_path,
                f"ends on {last_day}: the day after, nothing is synthesised until somebody has decided again",
            )


def _last_days(environment: Environment) -> Iterator[tuple[KeyPath, datetime.date | None]]:
    for key_path, interpreter in iter_interpreters(environment):
        if isinstance(interpreter, PublicInterpreter):
            yield (*key_path, "expires"), interpreter.expires
    for index, finding in enumerate(environment.accepted_findings):
        yield ("accepted_findings", index, "expires"), finding.expires
