"""The entries of a metric widget, each a list: namespace, name, dimensions and options, with shorthand for repetitions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandpiper.dashboards.body import LineOptionsBody
from sandpiper.dashboards.model import Line, Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

SAME, SAME_FROM_HERE = ".", "..."
"""Stands for the value of the previous entry at this position, and for its values from this position on."""
LINE_ID = re.compile(r"[a-z][A-Za-z0-9_]*")


def parse_lines(entries: Sequence[list[Any]], stat: str, period: int) -> tuple[Line, ...]:
    """Parses the entries of one widget.

    Args:
        entries: the value of `metrics`.
        stat: the statistic of entries without one.
        period: the period of entries without one, in seconds.

    Raises:
        ValueError: An entry is not valid, or two entries have the same id.
    """
    lines: list[Line] = []
    names: list[str] = []
    for number, entry in enumerate(entries):
        *values, last = entry or [{}]
        if not isinstance(last, dict):
            values, last = entry, {}
        options = LineOptionsBody.model_validate(last)
        metric = None
        if values or not options.expression:
            if not all(isinstance(value, str) for value in values):
                raise ValueError(f"metrics.{number}: the namespace, the name and the dimensions are text")
            names = _expanded(values, names)
            if len(names) < 2 or len(names) % 2:
                raise ValueError(f"metrics.{number}: {' '.join(names)!r} is not a namespace, a name and dimensions")
            metric = Metric(names[0], names[1], tuple(zip(names[2::2], names[3::2], strict=True)))
        lines.append(
            Line(
                id=options.id or f"sandpiper{number}",
                metric=metric,
                expression=options.expression,
                label=options.label,
                stat=options.stat or stat,
                period=options.period or period,
                visible=options.visible,
                axis=options.y_axis,
                color=options.color or "",
            )
        )
    _check_ids(lines)
    return tuple(lines)


def _expanded(values: Sequence[str], previous: Sequence[str]) -> list[str]:
    """Replaces shorthand. `...` takes as many previous values as make both entries equally long."""
    if SAME_FROM_HERE in values:
        position = values.index(SAME_FROM_HERE)
        after = values[position + 1 :]
        values = [*values[:position], *previous[position : len(previous) - len(after)], *after]
    padded = [*previous, *[SAME] * len(values)]
    return [old if value == SAME else value for value, old in zip(values, padded, strict=False)]


def _check_ids(lines: Sequence[Line]) -> None:
    ids = [line.id for line in lines]
    for one in ids:
        if not LINE_ID.fullmatch(one):
            raise ValueError(f"the id {one!r} of a metric is not valid; allowed: a-z first, then A-Z a-z 0-9 _")
        if ids.count(one) > 1:
            raise ValueError(f"two metrics have the id {one!r}")
