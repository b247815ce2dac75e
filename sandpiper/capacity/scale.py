"""The scenarios of docs/scale.md. Each is simulated, and the larger ones are extrapolated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandpiper.capacity.cost import Cost, cost_of
from sandpiper.capacity.estimate import estimate
from sandpiper.capacity.model import Job, Limits, Scenario

if TYPE_CHECKING:
    from sandpiper.capacity.figures import Figures

MILLION, TEN_MILLION = 1_000_000, 10_000_000
JOB = Job(program_seconds=1)
DEFAULT = Limits(reserved_concurrency=75)
RAISED = Limits(calls_per_second=300, reserved_concurrency=600, memory_mib=1_769)
SHARED = replace(JOB, items_per_session=10)
CHECKED_ITEMS = 100_000
"""The number of items with which the extrapolation is compared with a complete simulation."""
CONCURRENCIES = (10, 25, 50, 75, 100, 150, 200, 250, 300, 400)
PROGRAM_SECONDS = (1, 10, 60)
"""Durations of programs whose throughput is shown by concurrency."""


@dataclass(frozen=True)
class Row:
    """A simulated scenario with its name."""

    name: str
    scenario: Scenario
    figures: Figures
    cost: Cost


def row(name: str, items: int, job: Job = JOB, limits: Limits = DEFAULT) -> Row:
    """Returns a simulated scenario."""
    scenario = Scenario(items=items, job=job, limits=limits)
    figures = estimate(scenario)
    return Row(name, scenario, figures, cost_of(scenario, figures))


def volumes() -> list[Row]:
    """Returns batches of both sizes, with the default quotas and with raised ones."""
    return [
        row(f"{text}, {setting}", items, job, limits)
        for items, text in ((MILLION, "10^6"), (TEN_MILLION, "10^7"))
        for setting, job, limits in (
            ("default quotas", JOB, DEFAULT),
            ("default quotas, 10 items in a session", SHARED, DEFAULT),
            ("300 calls/s", JOB, RAISED),
            ("300 calls/s, 10 items in a session", SHARED, RAISED),
        )
    ]


def by_items_per_session() -> list[Row]:
    """Returns batches by the number of items that share a session."""
    return [row(f"{items:,}", MILLION, replace(JOB, items_per_session=items)) for items in (1, 2, 5, 10, 50)]


def by_files() -> list[Row]:
    """Returns batches by what the program writes."""
    return [
        row("`outputs.paths: []`", MILLION, replace(JOB, collects_files=False)),
        row("no file", MILLION, replace(JOB, files_per_item=0, bytes_per_item=0)),
        row("a file of 10 KB", MILLION),
        row("a file of 20 MB", MILLION, replace(JOB, bytes_per_item=20_000_000)),
    ]


def by_concurrency(program_seconds: float) -> list[Row]:
    """Returns batches by the reserved concurrency."""
    job = Job(program_seconds=program_seconds)
    return [row(f"{each:,}", MILLION, job, Limits(reserved_concurrency=each)) for each in CONCURRENCIES]


def extrapolation() -> tuple[Figures, Figures]:
    """Returns the same batch, simulated completely and extrapolated."""
    scenario = Scenario(items=CHECKED_ITEMS, job=JOB, limits=DEFAULT)
    return estimate(scenario, min_items=CHECKED_ITEMS), estimate(scenario)
