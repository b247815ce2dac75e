"""The embedded metric format: lines of JSON in logs, from which CloudWatch extracts metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from local_aws.cloudwatch.series import Metric
from local_aws.cloudwatch.statistics import Datum

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_METRICS, MAX_VALUES, MAX_DIMENSIONS = 100, 100, 30
MARK = '"CloudWatchMetrics"'
Json = Mapping[str, Any]


@dataclass(frozen=True)
class Sample:
    """One data point with its metric."""

    metric: Metric
    datum: Datum


def extract(message: str) -> list[Sample]:
    """Returns the data points of a log line. A line that is not valid EMF has none.

    A directive without a namespace is ignored, as are metrics without a number and dimension sets without a string.
    """
    if MARK not in message:
        return []
    try:
        line = json.loads(message)
    except (ValueError, RecursionError):
        return []
    metadata = _object(_object(line).get("_aws"))
    milliseconds = metadata.get("Timestamp")
    if not _is_number(milliseconds):
        return []
    timestamp = float(str(milliseconds)) / 1000
    directives = _items(metadata.get("CloudWatchMetrics"))
    return [sample for directive in directives for sample in _samples(_object(directive), line, timestamp)]


def _samples(directive: Json, line: Json, timestamp: float) -> Iterator[Sample]:
    namespace = directive.get("Namespace")
    if not isinstance(namespace, str) or not namespace:
        return
    sets = _dimension_sets(directive, line)
    for definition in _items(directive.get("Metrics"))[:MAX_METRICS]:
        name = _object(definition).get("Name")
        for datum in _data(_object(definition), line, timestamp):
            yield from (Sample(Metric(namespace, str(name), dimensions), datum) for dimensions in sets)


def _dimension_sets(directive: Json, line: Json) -> list[dict[str, str]]:
    """Returns the dimensions of each set whose targets are all strings. A directive without sets has no dimensions."""
    sets = _items(directive.get("Dimensions")) or [[]]
    found = (_dimensions([str(name) for name in _items(names)], line) for names in sets)
    return [dimensions for dimensions in found if dimensions is not None]


def _dimensions(names: list[str], line: Json) -> dict[str, str] | None:
    found = {name: value for name in names if isinstance(value := line.get(name), str) and value}
    return found if len(found) == len(names) <= MAX_DIMENSIONS else None


def _data(definition: Json, line: Json, timestamp: float) -> Iterator[Datum]:
    """Yields the data of a metric: one for each distinct value."""
    target = line.get(definition.get("Name", ""))
    values = _items(target) or [target]
    numbers = [float(value) for value in values[:MAX_VALUES] if _is_number(value)]
    for value, count in Counter(numbers).items():
        yield Datum(timestamp, count, value * count, value, value, str(definition.get("Unit", "None")))


def _object(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
