"""Metric math, SEARCH and Metrics Insights of the embedded AWS, case by case from CloudWatch's documentation.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
"""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.queries import QueryScope, parse_queries
from local_aws.cloudwatch.series import Metric, Series, Window
from local_aws.cloudwatch.statistics import Datum, statistic
from tests.support.metric_store import STORE_START, MetricStore, store_of

PERIOD = 60
MISSING = None
VALUES: dict[str, list[float | None]] = {
    # The time series of the documentation's examples, by the id of the metric.
    "metric1": [30, 20, 0, 0],
    "metric2": [20, MISSING, 20, MISSING],
    "condition": [1, 1, 0, 0, MISSING],
    "then": [30, MISSING, 0, 0, 30],
    "otherwise": [0, 0, 20, MISSING, 20],
    "m1": [1, 2, 3, 4],
    "m2": [10, MISSING, 30, MISSING],
    "m3": [0, 1, 0, 2],
    "gaps": [MISSING, 6, MISSING, 12, MISSING],
    "empty": [],
}
CASES: list[tuple[str, list[list[float | None]]]] = [
    ("m1 + m2", [[11, 2, 33, 4]]),
    ("m1 - m2", [[-9, 2, -27, 4]]),
    ("m1 * m2", [[10, 0, 90, 0]]),
    ("m1 / m3", [[MISSING, 2, MISSING, 2]]),
    ("m1 ^ 2", [[1, 4, 9, 16]]),
    ("-m1", [[-1, -2, -3, -4]]),
    ("5 * m1", [[5, 10, 15, 20]]),
    ("2 - m1 * 2 + 1", [[1, -1, -3, -5]]),
    ("(2 - m1) * 2", [[2, 0, -2, -4]]),
    ("[m1, m3] * 2", [[2, 4, 6, 8], [0, 2, 0, 4]]),
    ("[m1, m3] + [m3, m1]", [[1, 3, 3, 6], [1, 3, 3, 6]]),
    ("metric1 < metric2", [[0, 0, 1, 0]]),
    ("metric1 >= 30", [[1, 0, 0, 0]]),
    ("metric1 > 15 AND metric2 > 15", [[1, 0, 0, 0]]),
    ("metric1 > 15 && metric2 > 15", [[1, 0, 0, 0]]),
    ("metric1 > 15 OR metric2 > 15", [[1, 1, 1, 0]]),
    ("metric1 == 0 || metric1 != 20", [[1, 0, 1, 1]]),
    ("IF(condition, then, otherwise)", [[30, 0, 20, MISSING, MISSING]]),
    ("IF(condition, 5, otherwise)", [[5, 5, 20, MISSING, MISSING]]),
    ("IF(condition, then, 5)", [[30, 0, 5, 5, MISSING]]),
    ("IF(condition, then)", [[30, 0, MISSING, MISSING, MISSING]]),
    ("IF(metric1 < 25, metric1)", [[MISSING, 20, 0, 0]]),
    ("IF(metric1 < 25, 10, 2)", [[2, 10, 10, 10]]),
    ("IF(1, m1, m3)", [[1, 2, 3, 4]]),
    ("IF(0, m1, m3)", [[0, 1, 0, 2]]),
    ("ABS(-m1)", [[1, 2, 3, 4]]),
    ("CEIL(m1 / 2)", [[1, 1, 2, 2]]),
    ("FLOOR(m1 / 2)", [[0, 1, 1, 2]]),
    ("LOG10(m1 * 0 + 100)", [[2, 2, 2, 2]]),
    ("LOG(m3) * 0", [[MISSING, 0, MISSING, 0]]),
    ("DIFF(m1)", [[MISSING, 1, 1, 1]]),
    ("DIFF_TIME(m2)", [[MISSING, MISSING, 120, MISSING]]),
    ("RATE(m2)", [[MISSING, MISSING, 20 / 120, MISSING]]),
    ("RUNNING_SUM(m1)", [[1, 3, 6, 10]]),
    ("m1 - MIN(m1)", [[0, 1, 2, 3]]),
    ("m1 - AVG(m1)", [[-1.5, -0.5, 0.5, 1.5]]),
    ("m1 / SUM(m1)", [[0.1, 0.2, 0.3, 0.4]]),
    ("m1 * 0 + STDDEV(m3)", [[0.82915619758885] * 4]),
    ("m1 / PERIOD(m1) * 60", [[1, 2, 3, 4]]),
    ("m1 * 0 + DATAPOINT_COUNT(m2)", [[2, 2, 2, 2]]),
    ("m1 * 0 + METRIC_COUNT([m1, m2])", [[2, 2, 2, 2]]),
    ("SUM([m1, m2])", [[11, 2, 33, 4]]),
    ("AVG([m1, m2])", [[5.5, 1, 16.5, 2]]),
    ("MAX([m1, m3])", [[1, 2, 3, 4]]),
    ("MIN([m1, m2])", [[1, 2, 3, 4]]),
    ('SUM(METRICS("metric"))', [[50, 20, 20, 0]]),
    ("SUM([METRICS('metric1'), METRICS('metric2')])", [[50, 20, 20, 0]]),
    ("FILL(gaps, 3)", [[3, 6, 3, 12, 3, 3]]),
    ("FILL(gaps, REPEAT)", [[MISSING, 6, 6, 12, 12, 12]]),
    ("FILL(gaps, LINEAR)", [[MISSING, 6, 9, 12, MISSING]]),
    ("FILL(gaps, MIN(gaps))", [[6, 6, 6, 12, 6, 6]]),
    ("FILL(gaps, m1)", [[1, 6, 3, 12]]),
    ("FILL(empty, 0)", [[0, 0, 0, 0, 0, 0]]),
    ("FIRST([m1, m3])", [[1, 2, 3, 4]]),
    ("LAST([m1, m3])", [[0, 1, 0, 2]]),
    ("REMOVE_EMPTY([m1, empty])", [[1, 2, 3, 4]]),
    ("SLICE([m1, m2, m3], 1, 2)", [[10, MISSING, 30, MISSING]]),
    ("SLICE([m1, m2, m3], 2)", [[0, 1, 0, 2]]),
    ("SORT([m1, m2, m3], SUM, DESC, 1)", [[10, MISSING, 30, MISSING]]),
    ("SORT([m1, m3], MAX, ASC)", [[0, 1, 0, 2], [1, 2, 3, 4]]),
    ("MINUTE(m1)", [[0, 1, 2, 3, 4, 5]]),
    ("IF(MINUTE(m1) > 1, m1)", [[MISSING, MISSING, 3, 4, 0, 0]]),
]


@pytest.fixture(scope="module")
def store() -> MetricStore:
    return store_of([(Metric("Test", name), values) for name, values in VALUES.items()], PERIOD)


def evaluate(store: MetricStore, expression: str) -> list[Series]:
    """Returns the series of an expression, which can refer to the metrics of VALUES."""
    metrics = [
        {
            "Id": name,
            "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": name}, "Period": PERIOD, "Stat": "Sum"},
            "ReturnData": False,
        }
        for name in VALUES
    ]
    queries = parse_queries([*metrics, {"Id": "result", "Expression": expression, "Period": PERIOD}])
    window = Window(STORE_START, STORE_START + 6 * PERIOD)
    return [series for identifier, series in QueryScope(queries, store, window).results() if identifier == "result"]


def values_of(series: Series) -> list[float | None]:
    """Returns the values by period, without missing ones at the end."""
    last = max(series.values, default=STORE_START - PERIOD)
    count = round((last - STORE_START) / PERIOD) + 1
    return [series.values.get(STORE_START + index * PERIOD) for index in range(count)]


def without_end(values: list[float | None]) -> list[float | None]:
    return without_end(values[:-1]) if values and values[-1] is MISSING else values


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_expression(store: MetricStore, expression: str, expected: list[list[float | None]]) -> None:
    results = [values_of(series) for series in evaluate(store, expression)]
    assert len(results) == len(expected)
    for result, values in zip(results, expected, strict=True):
        assert result == pytest.approx(without_end(values))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("AVG(m1)", "is a number; allowed: time series"),
        ("1 + 2", "is a number; allowed: time series"),
        ("1 / 0 * m1", "1 / 0 has no result"),
        ("m1 +", "Unexpected the end at 4"),
        ("m1 m2", "Unexpected m2 at 3"),
        ("m1 # m2", "Unexpected character '#' at 3"),
        ("FOO(m1)", "The function FOO is not supported; allowed: ABS | .* | TIME_SERIES"),
        ("m9", "No query has the id 'm9'"),
        ("result", "refers to itself"),
        ("FILL(m1)", "FILL has 1 arguments; allowed: 2"),
        ("SORT(m1, SUM, DESC)", "An argument of SORT is a time series; allowed: an array"),
        ("METRICS(m1)", "argument of METRICS is not a string"),
        ("[m1, m2] + [m1, m2, m3]", "Arrays of 2 and 3 time series"),
        ("PERIOD(m1 + m2)", "PERIOD accepts metrics only"),
        ("-" * 60 + "m1", "nested more than 50 levels"),
        ("SELECT SUM(x) FROM", "Unexpected the end"),
        ("SELECT P90(x) FROM y", "expected: AVG | COUNT | MAX | MIN | SUM"),
        ("SEARCH('{Test', 'Sum', 60)", "has no end"),
        ("SEARCH('', 'Sum', 60)", "has no terms"),
        ("SEARCH('(a', 'Sum', 60)", "lacks a closing parenthesis"),
        ("SEARCH('{Test} m1', 'p200', 60)", "The statistic 'p200' is not supported"),
    ],
)
def test_invalid_expression_is_rejected(store: MetricStore, expression: str, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        evaluate(store, expression)


SEARCHED = (
    *(Metric("AWS/Lambda", "Errors", {"FunctionName": name}) for name in ("ProjectA-run", "ProjectB-run")),
    Metric("AWS/Lambda", "Invocations", {"FunctionName": "ProjectA-run"}),
    Metric("AWS/Lambda", "Errors", {}),
    Metric("My App", "CustomCount1", {"Dimension@Name": "x", "service": "one-claims"}),
    Metric("My App", "Network-Errors-2", {"service": "one-claims"}),
    Metric("Sandpiper", "FailedRuns", {"service": "one-claims", "error": "CodeFailed"}),
)
ALL = {f"{metric.namespace} {metric.name} {' '.join(metric.dimensions.values())}".strip() for metric in SEARCHED}
LAMBDA_ERRORS = {"AWS/Lambda Errors ProjectA-run", "AWS/Lambda Errors ProjectB-run"}
COUNT, NETWORK = "My App CustomCount1 x one-claims", "My App Network-Errors-2 one-claims"
FAILED = "Sandpiper FailedRuns one-claims CodeFailed"
SEARCHES: list[tuple[str, set[str]]] = [
    ('{AWS/Lambda,FunctionName} MetricName="Errors"', LAMBDA_ERRORS),
    ('{AWS/Lambda, FunctionName}, MetricName="Errors"', LAMBDA_ERRORS),
    ("{AWS/Lambda} Errors", {*LAMBDA_ERRORS, "AWS/Lambda Errors"}),
    ("Count", {COUNT}),
    ("COUNT", {COUNT}),
    ("couNT", set()),
    ("customcount", set()),
    ("CustomCount", {COUNT}),
    ("Count1", {COUNT}),
    ("count1", set()),
    ("customcount1", {COUNT}),
    ("network/errors", {NETWORK}),
    ("Network_Errors", {NETWORK}),
    ('"Network-Errors-2"', {NETWORK}),
    ('"Network_Errors_2"', set()),
    ('"Custom"', set()),
    ('{"My App", "Dimension@Name", service}', {COUNT}),
    ('"AWS/Lambda" MetricName="Invocations"', {"AWS/Lambda Invocations ProjectA-run"}),
    ("FunctionName=ProjectA Errors", {"AWS/Lambda Errors ProjectA-run"}),
    ("NOT Namespace=AWS", {COUNT, NETWORK, FAILED}),
    ('{AWS/Lambda,FunctionName} MetricName="Errors" NOT "ProjectA-run"', {"AWS/Lambda Errors ProjectB-run"}),
    (
        '{AWS/Lambda,FunctionName} MetricName="Errors" OR (MetricName="Invocations" AND (ProjectA OR ProjectB))',
        {*LAMBDA_ERRORS, "AWS/Lambda Invocations ProjectA-run"},
    ),
    ('MetricName=("Errors" OR "FailedRuns") service="one-claims"', {FAILED}),
    ('{Sandpiper,service,error} MetricName="FailedRuns" service="one-claims"', {FAILED}),
]


@pytest.mark.parametrize(("query", "expected"), SEARCHES)
def test_search(query: str, expected: set[str]) -> None:
    store = store_of([(metric, [1]) for metric in SEARCHED], PERIOD)
    queries = parse_queries([{"Id": "s1", "Expression": f"SEARCH('{query}', 'Sum', 60)"}])
    results = QueryScope(queries, store, Window(STORE_START, STORE_START + PERIOD)).results()
    found = [series.metric for _, series in results if series.metric is not None]
    assert {f"{each.namespace} {each.name} {' '.join(each.dimensions.values())}".strip() for each in found} == expected


THROTTLES: list[tuple[Metric, list[float | None]]] = [
    (Metric("AWS/Bedrock-AgentCore", "Throttles", {"Operation": "Start", "Resource": "a"}), [1, 2]),
    (Metric("AWS/Bedrock-AgentCore", "Throttles", {"Operation": "Start", "Resource": "b"}), [10, MISSING]),
    (Metric("AWS/Bedrock-AgentCore", "Throttles", {"Operation": "Invoke", "Resource": "a"}), [MISSING, 100]),
    (Metric("AWS/Bedrock-AgentCore", "Throttles", {"Operation": "Start"}), [1000, 1000]),
    (Metric("AWS/Bedrock-AgentCore", "Throttles"), [5000, 5000]),
]
SCHEMA = 'FROM SCHEMA("AWS/Bedrock-AgentCore", Operation, Resource)'
INSIGHTS: list[tuple[str, dict[str, list[float | None]]]] = [
    (f"SELECT SUM(Throttles) {SCHEMA}", {"Throttles": [11, 102]}),
    (f"select sum(Throttles) {SCHEMA}", {"Throttles": [11, 102]}),
    ('SELECT SUM("Throttles") FROM "AWS/Bedrock-AgentCore"', {"Throttles": [6011, 6102]}),
    ('SELECT MAX(Throttles) FROM SCHEMA("AWS/Bedrock-AgentCore")', {"Throttles": [5000, 5000]}),
    (f"SELECT AVG(Throttles) {SCHEMA}", {"Throttles": [5.5, 51]}),
    (f"SELECT COUNT(Throttles) {SCHEMA}", {"Throttles": [2, 2]}),
    (f"SELECT MIN(Throttles) {SCHEMA} WHERE Operation = 'Start'", {"Throttles": [1, 2]}),
    (f"SELECT SUM(Throttles) {SCHEMA} WHERE Operation != 'Start'", {"Throttles": [MISSING, 100]}),
    (f"SELECT SUM(Throttles) {SCHEMA} WHERE Operation = 'Start' AND Resource = 'b'", {"Throttles": [10]}),
    (f"SELECT SUM(Throttles) {SCHEMA} WHERE Resource IN ('b', 'c')", {"Throttles": [10]}),
    (f"SELECT SUM(Throttles) {SCHEMA} GROUP BY Resource", {"a": [1, 102], "b": [10]}),
    (f"SELECT SUM(Throttles) {SCHEMA} GROUP BY Operation, Resource",
     {"Invoke a": [MISSING, 100], "Start a": [1, 2], "Start b": [10]}),
    (f"SELECT SUM(Throttles) {SCHEMA} GROUP BY Resource ORDER BY MAX() DESC LIMIT 1", {"a": [1, 102]}),
    (f"SELECT SUM(Throttles) {SCHEMA} GROUP BY Resource ORDER BY SUM() ASC", {"b": [10], "a": [1, 102]}),
    ("SELECT SUM(Throttles) FROM \"AWS/Bedrock-AgentCore\" WHERE Operation = 'Start' GROUP BY Resource",
     {"Other": [1000, 1000], "a": [1, 2], "b": [10]}),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), INSIGHTS)
def test_metrics_insights_query(query: str, expected: dict[str, list[float | None]]) -> None:
    store = store_of(THROTTLES, PERIOD)
    queries = parse_queries([{"Id": "q1", "Expression": query, "Period": PERIOD, "Label": ""}])
    results = QueryScope(queries, store, Window(STORE_START, STORE_START + 2 * PERIOD)).results()
    assert [(series.label, values_of(series)) for _, series in results] == list(expected.items())


def test_band_is_the_mean_of_earlier_values_and_two_deviations(store: MetricStore) -> None:
    upper, lower = evaluate(store, "ANOMALY_DETECTION_BAND(m1)")
    assert values_of(upper)[3] == pytest.approx(2 + 2 * 0.816496580927726)
    assert values_of(lower)[3] == pytest.approx(2 - 2 * 0.816496580927726)
    assert values_of(upper)[:3] == [MISSING] * 3, "a band needs three earlier values"


def test_band_has_the_given_width_and_learns_from_data_before_the_window(store: MetricStore) -> None:
    window = Window(STORE_START + 3 * PERIOD, STORE_START + 4 * PERIOD)
    metric = {"Metric": {"Namespace": "Test", "MetricName": "m1"}, "Period": PERIOD, "Stat": "Sum"}
    queries = parse_queries(
        [
            {"Id": "m1", "MetricStat": metric, "ReturnData": False},
            {"Id": "band", "Expression": "ANOMALY_DETECTION_BAND(m1, 3)"},
        ]
    )
    (_, upper), (_, lower) = QueryScope(queries, store, window).results()
    assert [*upper.values.values()] == pytest.approx([2 + 3 * 0.816496580927726])
    assert [*lower.values.values()] == pytest.approx([2 - 3 * 0.816496580927726])


@pytest.mark.parametrize(
    ("expression", "label", "expected"),
    [
        ("m1 + m2", None, ["result"]),
        ("m1 + m2", "Total", ["Total"]),
        ("[m1, m2]", None, ["m1", "m2"]),
        ("FILL([m1, m2], 0)", "Filled:", ["Filled: m1", "Filled: m2"]),
        ("FILL([m1, m2], 0)", "", ["m1", "m2"]),
        ("m1 + 0", "max ${MAX}, last ${LAST}", ["max 4, last 4"]),
        ("[m1, m2]", "${LABEL} ${AVG}", ["m1 2.5", "m2 20"]),
        ("[m1, m2]", "${PROP('MetricName')} ${UNKNOWN}", ["m1 ${UNKNOWN}", "m2 ${UNKNOWN}"]),
    ],
)
def test_labels(store: MetricStore, expression: str, label: str | None, expected: list[str]) -> None:
    queries = parse_queries(
        [
            *(
                {"Id": name, "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": name}, "Period": 60,
                                            "Stat": "Sum"}, "ReturnData": False}
                for name in ("m1", "m2")
            ),
            {"Id": "result", "Expression": expression, **({} if label is None else {"Label": label})},
        ]
    )  # fmt: skip
    results = QueryScope(queries, store, Window(STORE_START, STORE_START + 240)).results()
    assert [series.label for _, series in results] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sum", 10), ("Average", 2.5), ("Minimum", 1), ("Maximum", 4), ("SampleCount", 4),
        ("p0", 1), ("p50", 2.5), ("p90", 3.7), ("p99.9", 3.997), ("p100", 4),
    ],
)  # fmt: skip
def test_statistics_of_a_period(name: str, expected: float) -> None:
    data = [Datum(0, 1, value, value, value) for value in (4.0, 1.0, 3.0, 2.0)]
    assert statistic(name, data) == pytest.approx(expected)


def test_statistics_of_a_statistic_set() -> None:
    data = [Datum(0, 3, 30, 5, 15), Datum(0, 1, 2, 2, 2)]
    found = [statistic(name, data) for name in ("Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50")]
    assert found == [32, 8, 2, 15, 4, None], "CloudWatch has no percentile of statistic sets"


def test_periods_are_aligned_to_the_epoch() -> None:
    metric = Metric("Test", "m")
    store = store_of([(metric, [1] * 10)], PERIOD)
    query = {
        "Id": "m",
        "MetricStat": {"Metric": {"Namespace": "Test", "MetricName": "m"}, "Period": 300, "Stat": "Sum"},
    }
    window = Window(STORE_START + 130, STORE_START + 600)
    ((_, series),) = QueryScope(parse_queries([query]), store, window).results()
    assert series.values == {STORE_START: 5, STORE_START + 300: 5}


@pytest.mark.parametrize(
    ("queries", "message"),
    [
        ([], "is not 1 to 500"),
        ([{"Id": "M1", "Expression": "1"}], "The id 'M1' is invalid"),
        ([{"Id": "a", "Expression": "1"}, {"Id": "a", "Expression": "1"}], "not distinct"),
        ([{"Id": "a"}], "neither MetricStat nor Expression"),
        ([{"Id": "a", "Expression": "1", "Period": 61}], "The period is 61 s"),
    ],
)
def test_invalid_request_is_rejected(queries: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        parse_queries(queries)
