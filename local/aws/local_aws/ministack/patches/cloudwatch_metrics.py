"""Metrics of CloudWatch: statistics, expressions, searches and Metrics Insights queries.

MiniStack evaluates no expressions, and treats a request without dimensions as a request for all metrics of a name.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.services import cloudwatch

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.queries import QueryScope, parse_queries
from local_aws.cloudwatch.series import Metric, Window, metric_series
from local_aws.cloudwatch.statistics import STATISTICS, Datum
from local_aws.ministack.patches import s3_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
EVICTION_SECONDS = 3600
_get_metric_data, _get_metric_statistics = cloudwatch._get_metric_data, cloudwatch._get_metric_statistics
_evict_old_metrics = cloudwatch._evict_old_metrics
_writing = threading.RLock()
"""Held while points are added or removed: functions and executions publish from their own threads."""


class Store:
    """MiniStack's metrics."""

    def metrics(self) -> list[Metric]:
        """Returns all metrics that have data."""
        with _writing:
            items = [(key, points[0]["Dimensions"]) for key, points in cloudwatch._metrics.items() if points]
        return [Metric(key[0], key[1], dimensions) for key, dimensions in items]

    def data(self, metric: Metric, unit: str | None = None) -> list[Datum]:
        """Returns the data of a metric with exactly these dimensions, of one unit or of all."""
        if metric.namespace == s3_metrics.NAMESPACE:
            return s3_metrics.bucket_data(metric)
        key = (metric.namespace, metric.name, cloudwatch._dims_key(dict(metric.dimensions)))
        with _writing:
            points = list(cloudwatch._metrics.get(key) or ())
        return [_datum(point) for point in points if unit is None or point["Unit"] == unit]


STORE = Store()


def _datum(point: Mapping[str, Any]) -> Datum:
    count, total, minimum, maximum = cloudwatch._point_stats(point)
    return Datum(point["Timestamp"], count, total, minimum, maximum, point["Unit"])


def install() -> None:
    """Replaces MiniStack's handling of metrics."""
    cloudwatch._get_metric_data = get_metric_data
    cloudwatch._get_metric_statistics = get_metric_statistics
    cloudwatch.record_metric = record_metric
    cloudwatch._evict_old_metrics = evict_old_metrics


def record_metric(
    namespace: str,
    metric_name: str,
    value: float,
    unit: str = "None",
    dimensions: Mapping[str, str] | None = None,
    *,
    timestamp: float | None = None,
    count: float = 1,
) -> None:
    """Records a data point. Lambda also publishes the metrics of all functions together, without dimensions."""
    found: list[Mapping[str, str]] = [dimensions or {}]
    if namespace == "AWS/Lambda" and dimensions:
        found.append({})
    for each in found:
        key = (namespace, metric_name, cloudwatch._dims_key(dict(each)))
        point = {"Timestamp": timestamp or time.time(), "Value": float(value), "Unit": unit, "Dimensions": dict(each)}
        with _writing:
            cloudwatch._metric_bucket(key).append({**point, "Count": float(count)})


_evicted = [0.0]


def evict_old_metrics() -> None:
    """Removes data that is older than two weeks, once an hour instead of at each request."""
    if time.monotonic() - _evicted[0] > EVICTION_SECONDS:
        _evicted[0] = time.monotonic()
        with _writing:
            _evict_old_metrics()


def make_older(seconds: float) -> None:
    """Makes all data older, as if this time had passed."""
    with _writing:
        for points in cloudwatch._metrics.values():
            for point in points:
                point["Timestamp"] -= seconds


def get_metric_data(parameters: Any, request: Mapping[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    """GetMetricData."""
    if not is_cbor and not is_json:
        return _get_metric_data(parameters, request, is_cbor, is_json)
    try:
        scope = QueryScope(parse_queries(request.get("MetricDataQueries") or []), STORE, _window(request))
        results = scope.results()
    except InvalidQueryError as error:
        return _invalid(error, is_cbor, is_json)
    descending = request.get("ScanBy") != "TimestampAscending"
    items: list[dict[str, Any]] = []
    for identifier, series in results:
        points = sorted(series.values.items(), reverse=descending)
        items.append(
            {
                "Id": identifier,
                "Label": series.label,
                "Timestamps": [_time(timestamp) for timestamp, _ in points],
                "Values": [value for _, value in points],
                "StatusCode": "Complete",
            }
        )
    if is_cbor:
        return cloudwatch._cbor_ok({"MetricDataResults": [cloudwatch._cbor_metric_data_result(item) for item in items]})
    return cloudwatch._json_ok({"MetricDataResults": items})


def get_metric_statistics(parameters: Any, request: Mapping[str, Any], is_cbor: bool, is_json: bool = False) -> Any:
    """GetMetricStatistics."""
    if not is_cbor and not is_json:
        return _get_metric_statistics(parameters, request, is_cbor, is_json)
    dimensions = cloudwatch._dims_from_list(request.get("Dimensions") or [])
    metric = Metric(request["Namespace"], request["MetricName"], dimensions)
    data, period = STORE.data(metric, request.get("Unit")), int(request["Period"])
    names = [*request.get("Statistics", ()), *request.get("ExtendedStatistics", ())]
    try:
        window = _window(request)
        found = {name: metric_series(metric, data, window, period=period, stat=name) for name in names}
    except InvalidQueryError as error:
        return _invalid(error, is_cbor, is_json)
    unit = data[-1].unit if data else "None"
    points: list[dict[str, Any]] = []
    for timestamp in sorted({each for series in found.values() for each in series.values}):
        values = {name: series.values[timestamp] for name, series in found.items() if timestamp in series.values}
        basic = {name: value for name, value in values.items() if name in STATISTICS}
        extended = {name: value for name, value in values.items() if name not in STATISTICS}
        point = {"Timestamp": _time(timestamp), "Unit": unit, **basic}
        points.append(point | ({"ExtendedStatistics": extended} if extended else {}))
    body = {"Label": metric.name, "Datapoints": points}
    if is_cbor:
        return cloudwatch._cbor_ok(body | {"Datapoints": [cloudwatch._cbor_datapoint(point) for point in points]})
    return cloudwatch._json_ok(body)


def _window(request: Mapping[str, Any]) -> Window:
    """Returns the time range of a request. Raises InvalidQueryError if the end is not after the start."""
    start, end = cloudwatch._parse_ts(request["StartTime"]), cloudwatch._parse_ts(request["EndTime"])
    if start >= end:
        raise InvalidQueryError("The parameter StartTime must be less than the parameter EndTime.")
    return Window(start, end)


def _time(timestamp: float) -> str:
    return cloudwatch._ts_iso(timestamp)


def _invalid(error: InvalidQueryError, is_cbor: bool, is_json: bool) -> Any:
    return cloudwatch._error("ValidationError", str(error), 400, use_json=is_json, use_cbor=is_cbor)
