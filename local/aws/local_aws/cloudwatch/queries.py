"""GetMetricData: the results of metrics, expressions and queries that refer to each other.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDataQuery.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from local_aws.cloudwatch import expression, metrics_insights
from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.evaluator import DEFAULT_PERIOD, evaluate
from local_aws.cloudwatch.labels import labelled, with_distinct_labels
from local_aws.cloudwatch.search import parse_search
from local_aws.cloudwatch.series import Metric, Series, Window, metric_series

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloudwatch.arithmetic import Value
    from local_aws.cloudwatch.store import MetricStore

IDENTIFIER = re.compile(r"[a-z][A-Za-z0-9_]*")
MAX_QUERIES = 500


@dataclass(frozen=True)
class MetricStat:
    """A statistic of a metric."""

    metric: Metric
    stat: str
    period: int
    unit: str | None = None


@dataclass(frozen=True)
class Query:
    """One metric or expression of a request.

    Attributes:
        identifier: The id by which expressions refer to it.
        source: A statistic of a metric, or the text of an expression.
        period: The period of an expression in seconds, or None.
        label: The label of its result, or None.
        returns_data: Whether its result is in the response.
    """

    identifier: str
    source: MetricStat | str
    period: int | None = None
    label: str | None = None
    returns_data: bool = True


def parse_queries(items: Sequence[Mapping[str, Any]]) -> list[Query]:
    """Returns the queries of a request's MetricDataQueries.

    Raises:
        InvalidQueryError: A query is invalid, or there are too many.
    """
    queries = [_query(item) for item in items]
    identifiers = [query.identifier for query in queries]
    for identifier in identifiers:
        if not IDENTIFIER.fullmatch(identifier):
            raise InvalidQueryError(f"The id {identifier!r} is invalid; allowed: a-z, then letters, digits and _")
    if len({*identifiers}) < len(identifiers) or not 1 <= len(identifiers) <= MAX_QUERIES:
        raise InvalidQueryError(f"The ids are not distinct, or their number is not 1 to {MAX_QUERIES}")
    return queries


def _query(item: Mapping[str, Any]) -> Query:
    source: MetricStat | str | None = item.get("Expression")
    if (stat := item.get("MetricStat")) is not None:
        metric = stat["Metric"]
        dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()}
        identity = Metric(metric.get("Namespace", ""), metric.get("MetricName", ""), dimensions)
        source = MetricStat(identity, stat["Stat"], _period(stat.get("Period")) or 0, stat.get("Unit"))
    if source is None:
        raise InvalidQueryError(f"The query {item.get('Id')!r} has neither MetricStat nor Expression")
    returns_data = str(item.get("ReturnData", True)).lower() != "false"
    return Query(str(item.get("Id", "")), source, _period(item.get("Period")), item.get("Label"), returns_data)


def _period(value: object) -> int | None:
    if value is None:
        return None
    period = int(str(value))
    if period not in (1, 5, 10, 20, 30) and (period < 60 or period % 60):
        raise InvalidQueryError(f"The period is {period} s; allowed: 1 | 5 | 10 | 20 | 30 | a multiple of 60")
    return period


class QueryScope:
    """The queries of one request in one window. Each is evaluated when something refers to it."""

    def __init__(self, queries: Sequence[Query], store: MetricStore, window: Window) -> None:
        self.window = window
        self._queries = {query.identifier: query for query in queries}
        self._store = store
        self._values: dict[str, Value] = {}
        self._evaluating: list[str] = []

    def value(self, identifier: str) -> Value:
        """Returns the value of a query.

        Raises:
            InvalidQueryError: There is no such query, it cannot be evaluated, or it refers to itself.
        """
        query = self._queries.get(identifier)
        if query is None:
            raise InvalidQueryError(f"No query has the id {identifier!r}; ids: {' | '.join(self._queries)}")
        if identifier in self._evaluating:
            raise InvalidQueryError(f"The query {identifier!r} refers to itself")
        if identifier not in self._values:
            self._evaluating.append(identifier)
            self._values[identifier] = self._evaluate(query)
            self._evaluating.pop()
        return self._values[identifier]

    def _evaluate(self, query: Query) -> Value:
        source = query.source
        if isinstance(source, MetricStat):
            return replace(self._series(source), label=source.metric.name)
        if metrics_insights.is_query(source):
            parsed = metrics_insights.parse_query(source)
            found = metrics_insights.run(parsed, self._store, self.window, query.period or DEFAULT_PERIOD)
            return found if parsed.group_by else found[0] if found else Series("", query.period or DEFAULT_PERIOD, {})
        value = evaluate(expression.parse(source), self)
        return replace(value, metric=None) if isinstance(value, Series) else value

    def _series(self, source: MetricStat) -> Series:
        data = self._store.data(source.metric, source.unit)
        return metric_series(source.metric, data, self.window, period=source.period, stat=source.stat)

    def metrics(self, text: str) -> list[Series]:
        """Returns the metrics of the request whose id contains a text. Searches and queries count as metrics."""
        found: list[Series] = []
        for query in self._queries.values():
            if isinstance(query.source, MetricStat) and text in query.identifier:
                value = self.value(query.identifier)
                found += [value] if isinstance(value, Series) else []
        return found

    def search(self, query: str, stat: str, period: int) -> list[Series]:
        """Returns the metrics that match the query of SEARCH, ordered by name and dimensions."""
        matches = parse_search(query)
        metrics = [metric for metric in self._store.metrics() if matches(metric)]
        metrics.sort(key=lambda metric: (metric.namespace, metric.name, sorted(metric.dimensions.items())))
        series = [self._series(MetricStat(metric, stat, period)) for metric in metrics]
        return with_distinct_labels([each for each in series if each.values])

    def before(self, seconds: float) -> QueryScope:
        """Returns the scope with a window that starts earlier."""
        window = replace(self.window, start=self.window.start - seconds)
        return QueryScope(list(self._queries.values()), self._store, window)

    def results(self) -> list[tuple[str, Series]]:
        """Returns the id and the series of each result that the request returns, with its label.

        Raises:
            InvalidQueryError: A query is invalid, or its result is a number.
        """
        found: list[tuple[str, Series]] = []
        for query in self._queries.values():
            if not query.returns_data:
                continue
            value = self.value(query.identifier)
            if not isinstance(value, (Series, list)):
                raise InvalidQueryError(f"The result of {query.identifier!r} is a number; allowed: time series")
            series = value if isinstance(value, list) else [value]
            found += [(query.identifier, each) for each in labelled(series, query.label, query.identifier)]
        return found
