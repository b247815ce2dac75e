"""Invents the metrics that a search finds: every combination of the values of its dimensions."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from local_aws.cloudwatch.series import Metric
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, Throttled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SCHEMA = re.compile(r"""\{([^}]*)\}|SCHEMA\s*\(([^)]*)\)""", re.IGNORECASE)
PAIR = re.compile(r"""([\w.]+)\s*=\s*(?:\(([^)]*)\)|["']([^"']*)["']|(\w+))""")
SELECTED = re.compile(r"SELECT\s+\w+\(\s*\"?([^\")]+)\"?\s*\)", re.IGNORECASE)
QUOTED = re.compile(r"""["']([^"']+)["']""")
METRIC_NAME = "MetricName"
MAX_VALUES = 3
"""Values of one dimension that a search finds."""
SAMPLES: Mapping[str, tuple[str, ...]] = {
    "error": tuple(error.__name__ for error in (DeadlineExceeded, InvalidRequest, Throttled)),
    "Operation": ("InvokeCodeInterpreter", "StartCodeInterpreterSession", "StopCodeInterpreterSession"),
}
"""Values of dimensions that no other metric of the dashboards has."""


def invented_metrics(expression: str, known: Mapping[str, Sequence[str]]) -> Iterator[Metric]:
    """Yields the metrics that a SEARCH or a Metrics Insights query finds; none for another expression.

    Args:
        expression: the expression.
        known: values by dimension, from the other metrics of the dashboards.
    """
    text = expression.replace('\\"', '"')
    for schema in SCHEMA.finditer(text):
        namespace, *dimensions = [part.strip(" \"'") for part in (schema[1] or schema[2]).split(",")]
        given = {name: _values(match) for match in PAIR.finditer(text) for name in (match[1],)}
        names = given.get(METRIC_NAME) or SELECTED.findall(text) or ["Events"]
        choices = [given.get(one) or _samples(one, known) for one in dimensions]
        for name, *values in itertools.product(names, *choices):
            yield Metric(namespace, name, dict(zip(dimensions, values, strict=True)))


def _values(match: re.Match[str]) -> list[str]:
    return QUOTED.findall(match[2]) if match[2] else [match[3] or match[4]]


def _samples(dimension: str, known: Mapping[str, Sequence[str]]) -> list[str]:
    values = known.get(dimension) or SAMPLES.get(dimension) or [f"{dimension} {number}" for number in (1, 2, 3)]
    return [str(value) for value in values[:MAX_VALUES]]
