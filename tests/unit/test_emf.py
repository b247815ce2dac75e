"""The embedded metric format, case by case from its specification.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.cloudwatch.emf import extract

DIRECTIVE = {"Namespace": "Sandpiper", "Dimensions": [["service"]], "Metrics": [{"Name": "Runs", "Unit": "Count"}]}
TARGETS: dict[str, Any] = {
    "service": "one",
    "error": "CodeFailed",
    "Runs": 1,
    "Seconds": 2.5,
    "Bytes": [1, 2, 2],
    "a": "x",
}

INVALID: list[tuple[Any, dict[str, Any]]] = [
    ("not an object", {}),
    (DIRECTIVE | {"Namespace": ""}, {}),
    (DIRECTIVE | {"Dimensions": [["missing"]]}, {}),
    (DIRECTIVE | {"Dimensions": [["Runs"]]}, {}),
    (DIRECTIVE | {"Metrics": [{"Name": "a"}]}, {}),
    (DIRECTIVE | {"Metrics": [{"Name": "missing"}]}, {}),
    (DIRECTIVE | {"Metrics": [{}]}, {}),
    (DIRECTIVE, {"Runs": True}),
    (DIRECTIVE, {"Runs": "1"}),
    (DIRECTIVE, {"_aws": {"CloudWatchMetrics": [DIRECTIVE]}}),
]


def found(*directives: Any, **changes: Any) -> list[tuple[str, dict[str, str], float, float, str]]:
    """Returns name, dimensions, value, count and unit of each data point of a line."""
    line = {"_aws": {"Timestamp": 1_796_040_000_000, "CloudWatchMetrics": list(directives)}, **TARGETS, **changes}
    return [
        (each.metric.name, dict(each.metric.dimensions), each.datum.minimum, each.datum.count, each.datum.unit)
        for each in extract(json.dumps(line))
    ]


def test_metric_has_its_namespace_dimensions_value_unit_and_time() -> None:
    (sample,) = extract(
        json.dumps({"_aws": {"Timestamp": 1_796_040_000_500, "CloudWatchMetrics": [DIRECTIVE]}, **TARGETS})
    )
    assert (sample.metric.namespace, sample.metric.name) == ("Sandpiper", "Runs")
    assert sample.metric.dimensions == {"service": "one"}
    assert (sample.datum.timestamp, sample.datum.total, sample.datum.unit) == (1_796_040_000.5, 1, "Count")


def test_each_dimension_set_has_a_metric() -> None:
    directive = DIRECTIVE | {"Dimensions": [["service"], ["service", "error"], []]}
    assert [dimensions for _, dimensions, *_ in found(directive)] == [
        {"service": "one"},
        {"service": "one", "error": "CodeFailed"},
        {},
    ]


def test_array_of_values_has_a_count_for_each_value() -> None:
    directive = DIRECTIVE | {"Metrics": [{"Name": "Bytes", "Unit": "Bytes"}]}
    assert [(value, count, unit) for _, _, value, count, unit in found(directive)] == [
        (1, 1, "Bytes"),
        (2, 2, "Bytes"),
    ]


def test_line_can_have_several_directives_and_metrics() -> None:
    other: dict[str, Any] = {
        "Namespace": "Other",
        "Dimensions": [[]],
        "Metrics": [{"Name": "Runs"}, {"Name": "Seconds"}],
    }
    assert found(DIRECTIVE, other) == [
        ("Runs", {"service": "one"}, 1, 1, "Count"),
        ("Runs", {}, 1, 1, "None"),
        ("Seconds", {}, 2.5, 1, "None"),
    ]


@pytest.mark.parametrize(("directive", "changes"), INVALID)
def test_invalid_part_has_no_metric(directive: Any, changes: dict[str, Any]) -> None:
    assert found(directive, **changes) == []


@pytest.mark.parametrize(
    "message",
    ["", "START", '{"a": 1}', '"CloudWatchMetrics"', '{"CloudWatchMetrics" ', '"CloudWatchMetrics"' + "[" * 99_999],
)
def test_other_lines_have_no_metric(message: str) -> None:
    assert extract(message) == []
