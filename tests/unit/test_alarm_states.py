"""The evaluation of alarms of the embedded AWS, case by case from CloudWatch's documentation.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.cloudwatch.alarm import Alarm, reason
from local_aws.cloudwatch.alarm_state import Missing, Rule, State, next_state
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.series import Metric
from tests.support.metric_store import STORE_START, store_of

OK, ALARM, NO_DATA, CURRENT = "OK", "ALARM", "INSUFFICIENT_DATA", "retained"
TREATMENTS = (Missing.MISSING, Missing.IGNORE, Missing.BREACHING, Missing.NOT_BREACHING)
POINTS = {"0": False, "X": True, "-": None}
CASES = [
    # evaluation periods, data points to alarm, data, states by treatment in the order of TREATMENTS
    (3, 3, "0 - X - X", (OK, OK, OK, OK)),
    (3, 3, "0 - - - -", (OK, OK, OK, OK)),
    (3, 3, "- - - - 0", (OK, OK, OK, OK)),
    (3, 3, "- - - - -", (NO_DATA, CURRENT, ALARM, OK)),
    (3, 3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
    (3, 3, "- - X - -", (ALARM, CURRENT, ALARM, OK)),
    (3, 3, "- - - - X", (NO_DATA, CURRENT, ALARM, OK)),
    (3, 3, "X - - - -", (ALARM, CURRENT, ALARM, OK)),
    (3, 2, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
    (3, 2, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
    (3, 2, "0 - X - -", (OK, OK, ALARM, OK)),
    (3, 2, "- - - - 0", (OK, OK, ALARM, OK)),
    (3, 2, "- - - - X", (NO_DATA, CURRENT, ALARM, OK)),
    (3, 2, "- - - X -", (ALARM, CURRENT, ALARM, OK)),
    (1, 1, "- - X", (ALARM, ALARM, ALARM, ALARM)),
    (1, 1, "- X 0", (OK, OK, OK, OK)),
    (1, 1, "- X -", (ALARM, ALARM, ALARM, ALARM)),
    (1, 1, "- - -", (NO_DATA, CURRENT, ALARM, OK)),
]


@pytest.mark.parametrize("treatment", TREATMENTS)
@pytest.mark.parametrize(("periods", "needed", "data", "expected"), CASES)
def test_state_with_missing_data(
    periods: int, needed: int, data: str, expected: tuple[str, ...], treatment: Missing
) -> None:
    rule, points = Rule(periods, needed, treatment), [POINTS[point] for point in data.split()]
    wanted = expected[TREATMENTS.index(treatment)]
    for current in State:
        assert next_state(rule, points, current) == (current if wanted == CURRENT else State(wanted))


METRIC = Metric("Test", "m", {"service": "one"})
QUERY = {
    "Id": "m1",
    "MetricStat": {
        "Metric": {"Namespace": "Test", "MetricName": "m", "Dimensions": [{"Name": "service", "Value": "one"}]},
        "Period": 60,
        "Stat": "Sum",
    },
    "ReturnData": False,
}
ON_METRIC: dict[str, Any] = {
    "Namespace": "Test",
    "MetricName": "m",
    "Dimensions": [{"Name": "service", "Value": "one"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "Threshold": 3,
    "TreatMissingData": "notBreaching",
}
ON_EXPRESSION: dict[str, Any] = {
    **{name: ON_METRIC[name] for name in ("EvaluationPeriods", "ComparisonOperator", "Threshold", "TreatMissingData")},
    "Metrics": [QUERY, {"Id": "e1", "Expression": "m1 * 2"}],
}


def state_of(record: dict[str, Any], values: list[float | None], current: State = State.OK) -> State:
    """Returns the state of an alarm at the end of the last period."""
    store = store_of([(METRIC, values), (Metric("Test", "m"), [1000] * len(values))], 60)
    return Alarm.parse(record).evaluate(store, STORE_START + len(values) * 60 - 1, current).state


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanOrEqualToThreshold", [OK, ALARM, ALARM]),
        ("GreaterThanThreshold", [OK, OK, ALARM]),
        ("LessThanThreshold", [ALARM, OK, OK]),
        ("LessThanOrEqualToThreshold", [ALARM, ALARM, OK]),
    ],
)
def test_comparison_with_the_threshold(comparison: str, expected: list[str]) -> None:
    record = ON_METRIC | {"ComparisonOperator": comparison}
    assert [state_of(record, [0, value]) for value in (2, 3, 4)] == expected


def test_alarm_watches_exactly_the_dimensions_of_its_metric() -> None:
    assert state_of(ON_METRIC, [2]) is State.OK
    assert state_of({**ON_METRIC, "Dimensions": []}, [2]) is State.ALARM


def test_alarm_uses_the_latest_data_until_it_leaves_the_evaluation_range() -> None:
    states = [state_of(ON_METRIC, [5, *[None] * later]) for later in range(4)]
    assert states == [ALARM, ALARM, ALARM, OK]


def test_any_of_several_periods_triggers_an_alarm() -> None:
    record = ON_METRIC | {"EvaluationPeriods": 3, "DatapointsToAlarm": 1}
    assert [state_of(record, [5, *[0] * later]) for later in range(4)] == [ALARM, ALARM, ALARM, OK]


def test_alarm_on_a_percentile() -> None:
    record = {**ON_METRIC, "Statistic": None, "ExtendedStatistic": "p90"}
    assert [state_of(record, [value]) for value in (2, 3)] == [OK, ALARM]


def test_alarm_on_an_expression() -> None:
    assert [state_of(ON_EXPRESSION, [value]) for value in (1, 2)] == [OK, ALARM]


def test_alarm_on_a_query_with_groups_is_triggered_by_any_group() -> None:
    query = {"Id": "q1", "Expression": "SELECT SUM(m) FROM SCHEMA(Test, service) GROUP BY service", "Period": 60}
    record = ON_EXPRESSION | {"Metrics": [query]}
    assert [state_of(record, [value]) for value in (2, 3)] == [OK, ALARM]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ("GreaterThanUpperThreshold", [OK, ALARM, OK]),
        ("LessThanLowerThreshold", [OK, OK, ALARM]),
        ("LessThanLowerOrGreaterThanUpperThreshold", [OK, ALARM, ALARM]),
    ],
)
def test_alarm_on_a_band(comparison: str, expected: list[str]) -> None:
    record = {
        **ON_EXPRESSION,
        "ComparisonOperator": comparison,
        "ThresholdMetricId": "band",
        "Metrics": [{**QUERY, "ReturnData": True}, {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1)"}],
    }
    earlier: list[float | None] = [10, 12, 8, 10, 11, 9]
    assert [state_of(record, [*earlier, value]) for value in (10, 100, -100)] == expected


def test_reason_has_the_data_and_the_transition() -> None:
    store = store_of([(METRIC, [5.0])], 60)
    evaluation = Alarm.parse(ON_METRIC).evaluate(store, STORE_START + 59, State.OK)
    assert reason(evaluation, "OK").startswith("Threshold Crossed: 1 out of the last 1 datapoints [5.0 (")
    assert reason(evaluation, "OK").endswith(
        "was greater than or equal to the threshold (3.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )


def test_reason_of_missing_data() -> None:
    record = ON_METRIC | {"TreatMissingData": "missing"}
    evaluation = Alarm.parse(record).evaluate(store_of([], 60), STORE_START, State.OK)
    assert evaluation.state is State.INSUFFICIENT_DATA
    assert reason(evaluation, "OK") == "Insufficient Data: no datapoints were received in the evaluation range."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ComparisonOperator": "Above"}, "The comparison operator is Above; allowed: GreaterThanOrEqual"),
        ({"ThresholdMetricId": "e1"}, "allowed: GreaterThanUpperThreshold"),
        ({"Metrics": [QUERY, {"Id": "e1", "Expression": "SEARCH('x', 'Sum', 60)"}]}, "SEARCH is not allowed in alarms"),
        ({"Metrics": [QUERY]}, "0 metrics of the alarm return data; allowed: 1"),
        ({"Metrics": [QUERY, {"Id": "e1", "Expression": "m1 +"}]}, "Unexpected the end"),
    ],
)
def test_invalid_alarm_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        Alarm.parse(ON_EXPRESSION | changes)
