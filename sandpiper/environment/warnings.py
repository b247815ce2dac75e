"""What somebody should know of an environment that can be used: what ends soon, and what this version does not know."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.errors import path_of
from sandpiper.environment.interpreter import PublicInterpreter
from sandpiper.environment.regions import INTERPRETER_REGIONS
from sandpiper.environment.traversal import interpreters_of
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import Place
    from sandpiper.environment.model import Environment

SOON = datetime.timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Caution:
    """A warning: where in the file, and what about it."""

    at: str
    text: str


def cautions(environment: Environment, *, today: datetime.date | None = None) -> tuple[Caution, ...]:
    """Every warning, in the order of the file. `today` is by default the day in UTC."""
    day = today or datetime.datetime.now(datetime.UTC).date()
    return tuple(Caution(path_of(place), text) for place, text in (*_unknown(environment), *_ending(environment, day)))


def _unknown(environment: Environment) -> Iterator[tuple[Place, str]]:
    region = environment.region
    if region not in INTERPRETER_REGIONS:
        yield ("region",), f"{region} was not known to offer code interpreters when this version was made"
    if environment.availability_zones and region not in SUPPORTED_ZONES:
        yield ("availability_zones",), f"which zones of {region} AgentCore supports was not known when this was made"


def _ending(environment: Environment, today: datetime.date) -> Iterator[tuple[Place, str]]:
    for place, last_day in _last_days(environment):
        if last_day is not None and last_day <= today + SOON:
            yield place, f"ends on {last_day}: the day after, nothing is synthesised until somebody has decided again"


def _last_days(environment: Environment) -> Iterator[tuple[Place, datetime.date | None]]:
    for place, interpreter in interpreters_of(environment):
        if isinstance(interpreter, PublicInterpreter):
            yield (*place, "expires"), interpreter.expires
    for index, finding in enumerate(environment.accepted_findings):
        yield ("accepted_findings", index, "expires"), finding.expires
