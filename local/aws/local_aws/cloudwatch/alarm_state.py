"""The state of a metric alarm, from the data points of its evaluation range.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTRA_PERIODS = 2
"""CloudWatch retrieves more data points than an alarm evaluates. In its examples, there are two more."""


class State(StrEnum):
    """The state of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """How an alarm treats missing data points."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True)
class Rule:
    """How many data points trigger an alarm.

    Attributes:
        evaluation_periods: The number of the latest data points that are evaluated.
        datapoints_to_alarm: How many of them must breach the threshold.
        missing: How missing data points are treated.
    """

    evaluation_periods: int
    datapoints_to_alarm: int
    missing: Missing

    @property
    def range(self) -> int:
        """Returns the number of periods of the evaluation range."""
        return self.evaluation_periods + EXTRA_PERIODS


def next_state(rule: Rule, points: Sequence[bool | None], current: State) -> State:
    """Returns the state that an evaluation results in.

    Args:
        rule: The rule of the alarm.
        points: For each period of the evaluation range, oldest first: whether it is breaching. None: it has no data.
        current: The state before.
    """
    existing = [point for point in points if point is not None]
    missing = rule.evaluation_periods - len(existing)
    if missing <= 0:
        breaching = sum(existing[-rule.evaluation_periods :])
        return State.ALARM if breaching >= rule.datapoints_to_alarm else State.OK
    breaching = sum(existing)
    if rule.missing is Missing.BREACHING:
        breaching += missing
    if breaching >= rule.datapoints_to_alarm:
        return State.ALARM
    if rule.missing in (Missing.BREACHING, Missing.NOT_BREACHING) or False in existing:
        return State.OK
    if rule.missing is Missing.IGNORE:
        return current
    return State.ALARM if _is_overdue(rule, points) else State.INSUFFICIENT_DATA


def _is_overdue(rule: Rule, points: Sequence[bool | None]) -> bool:
    """Returns whether only breaching data exists and the oldest is as old as the number of data points to alarm."""
    ages = [len(points) - index for index, point in enumerate(points) if point is not None]
    return bool(ages) and max(ages) >= rule.datapoints_to_alarm
