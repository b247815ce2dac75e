"""Metrics Insights queries: `SELECT SUM(name) FROM SCHEMA("namespace", dimension) WHERE … GROUP BY …`.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-metrics-insights-querylanguage.html
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from local_aws.cloudwatch.functions import AGGREGATES
from local_aws.cloudwatch.series import Metric, metric_series
from local_aws.cloudwatch.tokens import TokenReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_aws.cloudwatch.series import Series, Window
    from local_aws.cloudwatch.store import MetricStore

STATISTICS = {"AVG": "Average", "COUNT": "SampleCount", "MAX": "Maximum", "MIN": "Minimum", "SUM": "Sum"}
MAX_SERIES = 500
OTHER = "Other"
"""The group of metrics without a dimension that groups."""
SELECT = re.compile(r"\s*SELECT\b", re.IGNORECASE)
Predicate = Callable[[Metric], bool]


@dataclass(frozen=True)
class InsightsQuery:
    """A parsed query.

    Attributes:
        function: The aggregation.
        metric_name: The metric.
        namespace: Its namespace.
        dimensions: The exact dimensions of the schema. None: any dimensions.
        condition: The WHERE clause.
        group_by: The dimensions with one series for each value.
        order_by: The aggregation whose result orders the series, or None.
        is_descending: The order.
        limit: The maximum number of series.
    """

    function: str
    metric_name: str
    namespace: str
    dimensions: frozenset[str] | None
    condition: Predicate
    group_by: tuple[str, ...]
    order_by: str | None
    is_descending: bool
    limit: int

    def matches(self, metric: Metric) -> bool:
        """Returns whether a metric is selected."""
        return (
            (metric.namespace, metric.name) == (self.namespace, self.metric_name)
            and (self.dimensions is None or self.dimensions == frozenset(metric.dimensions))
            and self.condition(metric)
        )


def is_query(expression: str) -> bool:
    """Returns whether an expression is a Metrics Insights query."""
    return SELECT.match(expression) is not None


def run(query: InsightsQuery, store: MetricStore, window: Window, period: int) -> list[Series]:
    """Returns the series of a query: one, or one for each group."""
    groups: defaultdict[tuple[str, ...], list[Metric]] = defaultdict(list)
    for metric in store.metrics():
        if query.matches(metric):
            groups[tuple(metric.dimensions.get(name, OTHER) for name in query.group_by)].append(metric)
    found: list[Series] = []
    for group in sorted(groups):
        data = [datum for metric in groups[group] for datum in store.data(metric)]
        metric = Metric(query.namespace, query.metric_name, dict(zip(query.group_by, group, strict=True)))
        series = metric_series(metric, data, window, period=period, stat=STATISTICS[query.function])
        found.append(replace(series, label=" ".join(group) or query.metric_name))
    if query.order_by is not None:
        found.sort(key=lambda series: _order(query.order_by or "", series), reverse=query.is_descending)
    return found[: query.limit]


def _order(function: str, series: Series) -> float:
    values = list(series.values.values())
    return len(values) if function == "COUNT" else AGGREGATES[function](values) if values else float("-inf")


def parse_query(text: str) -> InsightsQuery:
    """Returns a parsed query.

    Raises:
        InvalidQueryError: The syntax is invalid.
    """
    tokens = TokenReader(text)
    tokens.expect("SELECT", keyword=True)
    function = tokens.expect(*STATISTICS, keyword=True).text.upper()
    tokens.expect("(")
    metric_name = _identifier(tokens)
    tokens.expect(")")
    tokens.expect("FROM", keyword=True)
    namespace, dimensions = _source(tokens)
    condition = _any(tokens) if tokens.accept("WHERE", keyword=True) else _accept_all
    group_by: list[str] = []
    if tokens.accept("GROUP", keyword=True):
        tokens.expect("BY", keyword=True)
        group_by.append(_identifier(tokens))
        while tokens.accept(","):
            group_by.append(_identifier(tokens))
    order_by, is_descending = _order_by(tokens)
    limit = int(tokens.expect_kind("number").text) if tokens.accept("LIMIT", keyword=True) else MAX_SERIES
    tokens.end()
    return InsightsQuery(
        function, metric_name, namespace, dimensions, condition, tuple(group_by), order_by, is_descending, limit
    )


def _accept_all(_: Metric) -> bool:
    return True


def _identifier(tokens: TokenReader) -> str:
    return tokens.expect_kind("name", "double").string


def _source(tokens: TokenReader) -> tuple[str, frozenset[str] | None]:
    if not tokens.accept("SCHEMA", keyword=True):
        return _identifier(tokens), None
    tokens.expect("(")
    namespace, dimensions = _identifier(tokens), list[str]()
    while tokens.accept(","):
        dimensions.append(_identifier(tokens))
    tokens.expect(")")
    return namespace, frozenset(dimensions)


def _any(tokens: TokenReader) -> Predicate:
    alternatives = [_all(tokens)]
    while tokens.accept("OR", keyword=True):
        alternatives.append(_all(tokens))
    return lambda metric: any(predicate(metric) for predicate in alternatives)


def _all(tokens: TokenReader) -> Predicate:
    predicates = [_comparison(tokens)]
    while tokens.accept("AND", keyword=True):
        predicates.append(_comparison(tokens))
    return lambda metric: all(predicate(metric) for predicate in predicates)


def _comparison(tokens: TokenReader) -> Predicate:
    if tokens.accept("("):
        predicate = _any(tokens)
        tokens.expect(")")
        return predicate
    name = _identifier(tokens)
    if tokens.accept("IN", keyword=True):
        return _is_in(name, _values(tokens))
    if tokens.accept("NOT", keyword=True):
        tokens.expect("IN", keyword=True)
        is_in = _is_in(name, _values(tokens))
        return lambda metric: not is_in(metric)
    operator = tokens.expect("=", "!=").text
    value = tokens.expect_kind("single").string
    return lambda metric: (metric.dimensions.get(name) == value) == (operator == "=")


def _is_in(name: str, values: Sequence[str]) -> Predicate:
    return lambda metric: metric.dimensions.get(name) in values


def _values(tokens: TokenReader) -> list[str]:
    tokens.expect("(")
    values = [tokens.expect_kind("single").string]
    while tokens.expect(",", ")").text == ",":
        values.append(tokens.expect_kind("single").string)
    return values


def _order_by(tokens: TokenReader) -> tuple[str | None, bool]:
    if not tokens.accept("ORDER", keyword=True):
        return None, False
    tokens.expect("BY", keyword=True)
    function = tokens.expect(*STATISTICS, keyword=True).text.upper()
    tokens.expect("(")
    tokens.expect(")")
    direction = tokens.accept("ASC", "DESC", keyword=True)
    return function, direction is not None and direction.text.upper() == "DESC"
