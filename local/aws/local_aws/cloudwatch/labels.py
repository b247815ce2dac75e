"""Labels of time series, with the dynamic values of a graph's legend.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/graph-dynamic-labels.html
"""

from __future__ import annotations

import re
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local_aws.cloudwatch.series import Series

DYNAMIC = re.compile(r"\$\{(?:PROP\('([^']+)'\)|(\w+))\}")
VALUES: dict[str, Callable[[list[float]], float]] = {
    "AVG": statistics.fmean,
    "DATAPOINT_COUNT": len,
    "FIRST": lambda values: values[0],
    "LAST": lambda values: values[-1],
    "MAX": max,
    "MIN": min,
    "SUM": sum,
}


def labelled(results: Sequence[Series], label: str | None, default: str) -> list[Series]:
    """Returns the series of one query with their final labels.

    Args:
        results: The series.
        label: The label of the query. It precedes the label of each series if there are several.
        default: The label of a single series without a label.
    """
    if len(results) == 1 and results[0].metric is None:
        return [replace(results[0], label=_expand(default if label is None else label, results[0]))]
    return [replace(series, label=_label(series, label, is_single=len(results) == 1)) for series in results]


def _label(series: Series, label: str | None, *, is_single: bool) -> str:
    if label is None or (is_single and not label):
        return series.label
    expanded = _expand(label, series)
    if is_single or "${" in label or not expanded:
        return expanded or series.label
    return f"{expanded} {series.label}"


def _expand(label: str, series: Series) -> str:
    def value(match: re.Match[str]) -> str:
        prop, name = match.groups()
        if prop is not None:
            return _property(series, prop)
        if name == "LABEL":
            return series.label
        values = list(series.values.values())
        return f"{VALUES[name](values):.10g}" if name in VALUES and values else match[0] if name not in VALUES else ""

    return DYNAMIC.sub(value, label)


def _property(series: Series, name: str) -> str:
    if series.metric is None:
        return ""
    if name.startswith("Dim."):
        return series.metric.dimensions.get(name.removeprefix("Dim."), "")
    return {
        "MetricName": series.metric.name,
        "Namespace": series.metric.namespace,
        "Period": str(series.period),
    }.get(name, "")


def with_distinct_labels(results: Sequence[Series]) -> list[Series]:
    """Returns the series of a search. Their labels are the values of the dimensions, and the names, that differ."""
    metrics = [series.metric for series in results if series.metric is not None]
    if len(metrics) < 2:
        return list(results)
    names = {metric.name for metric in metrics}
    keys = dict.fromkeys(key for metric in metrics for key in metric.dimensions)
    differing = [key for key in keys if len({metric.dimensions.get(key) for metric in metrics}) > 1]

    def label(series: Series) -> str:
        metric = series.metric
        assert metric is not None  # noqa: S101 - narrows the type
        parts = [metric.dimensions[key] for key in differing if key in metric.dimensions]
        return " ".join([*parts, *([metric.name] if len(names) > 1 or not parts else [])])

    return [replace(series, label=label(series)) for series in results]
