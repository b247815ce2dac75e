"""Counts the results of a batch, with bounded memory whatever their number."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sandpiper_contract.batches import BatchSummary, FailureCount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BUCKETS_PER_E = 100
"""Number of buckets for a factor of e, so that a value differs by at most 0.5 % from the middle of its bucket."""
MAX_FAILURE_NAMES = 100


@dataclass
class Percentiles:
    """Percentiles of positive numbers, within 1 %. Numbers below 0.001 count as 0."""

    buckets: Counter[int] = field(default_factory=Counter[int])
    zeros: int = 0

    def add(self, value: float) -> None:
        """Adds a number."""
        if value < 0.001:
            self.zeros += 1
        else:
            self.buckets[math.floor(math.log(value) * BUCKETS_PER_E)] += 1

    def at(self, percent: float) -> float | None:
        """Returns the smallest number that at least this percentage of the numbers do not exceed; None without any."""
        total = self.zeros + self.buckets.total()
        if total == 0:
            return None
        rank = max(math.ceil(total * percent / 100), 1) - self.zeros
        if rank <= 0:
            return 0.0
        buckets = sorted(self.buckets)
        below = accumulate(self.buckets[bucket] for bucket in buckets)
        bucket = next(bucket for bucket, number in zip(buckets, below, strict=True) if number >= rank)
        return round(math.exp((bucket + 0.5) / BUCKETS_PER_E), 3)


@dataclass
class SummaryCounter:
    """The counts of the items so far. It can be stored as JSON and continued."""

    succeeded: int = 0
    programs_failed: int = 0
    execution_seconds: float = 0.0
    calls: int = 0
    session_seconds: float = 0.0
    bytes: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    durations: Percentiles = field(default_factory=Percentiles)

    def add_result(self, result: Mapping[str, Any]) -> None:
        """Counts an item with a result."""
        self.succeeded += 1
        self.programs_failed += result["exitCode"] != 0
        self.bytes += sum(file["size"] for file in result["files"])
        self.durations.add(result["executionTimeMs"])
        self.execution_seconds += result["executionTimeMs"] / 1000

    def add_error(self, name: str) -> None:
        """Counts an item with an error."""
        self.failures[name] += 1

    def add_usage(self, usage: Mapping[str, Any]) -> None:
        """Adds what an item used."""
        self.calls += int(usage["calls"])
        self.session_seconds += usage["seconds"]

    def summary(self, estimated_usd: float | None = None) -> BatchSummary:
        """Returns the summary of the items so far."""
        failed = self.failures.total()
        return BatchSummary(
            count=self.succeeded + failed,
            succeeded=self.succeeded,
            failed=failed,
            programs_failed=self.programs_failed,
            failures=tuple(FailureCount(*each) for each in self.failures.most_common(MAX_FAILURE_NAMES)),
            p50_ms=self.durations.at(50),
            p95_ms=self.durations.at(95),
            calls=self.calls,
            session_seconds=round(self.session_seconds, 3),
            bytes=self.bytes,
            estimated_usd=estimated_usd,
        )

    def to_json(self) -> dict[str, object]:
        """Returns the counts as JSON."""
        return {
            **vars(self),
            "failures": dict(self.failures),
            "durations": {"zeros": self.durations.zeros, "buckets": list(_pairs(self.durations.buckets))},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> SummaryCounter:
        """Returns the counts that `to_json` returned."""
        durations = Percentiles(Counter(dict(raw["durations"]["buckets"])), raw["durations"]["zeros"])
        values: dict[str, Any] = {**raw, "failures": Counter(raw["failures"]), "durations": durations}
        return cls(**values)


def _pairs(buckets: Mapping[int, int]) -> Iterable[list[int]]:
    """JSON has no integer keys."""
    return ([bucket, count] for bucket, count in buckets.items())
