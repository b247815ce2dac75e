"""Creates the widgets of dashboards from rows of the table of metrics, queries of logs, and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper_constructs.dashboard_body import GRID_COLUMNS, MAX_ALARMS, Row, Widget
from sandpiper_constructs.metrics import MetricData, MetricQuery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PERCENTILES = ("p50", "p90", "p99")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a graph.

    Attributes:
        metric: a metric, a Metrics Insights query, or an expression with the ids of other lines.
        label: the name of the line. Default: chosen by CloudWatch.
        statistic: the statistic. Default: that of the row.
        id: the name by which expressions refer to it. Default: none.
        is_visible: whether it is drawn. A line that only expressions use is not.
        is_on_the_right: whether it belongs to the right axis.
        period_seconds: the period. Default: that of the row.
    """

    metric: MetricData | MetricQuery | str
    label: str | None = None
    statistic: str | None = None
    id: str | None = None
    is_visible: bool = True
    is_on_the_right: bool = False
    period_seconds: int | None = None

    def to_json(self) -> list[Any]:
        """Returns the metric as the body of a dashboard contains it."""
        options = {
            "label": self.label,
            "id": self.id,
            "visible": None if self.is_visible else False,
            "yAxis": "right" if self.is_on_the_right else None,
        }
        own: dict[str, Any]
        match self.metric:
            case MetricData(row=row, dimensions=dimensions):
                own = {
                    "stat": self.statistic or row.statistic,
                    "period": self.period_seconds or row.period_minutes * 60,
                }
                names = [part for name in row.dimensions for part in (name, dimensions[name])]
                head: list[Any] = [row.namespace, row.name, *names]
            case MetricQuery(expression=expression, period_minutes=minutes):
                head, own = [], {"expression": expression, "period": minutes * 60}
            case str(expression):
                head, own = [], {"expression": expression}
        return [*head, own | {name: value for name, value in options.items() if value is not None}]


def graph(
    title: str,
    lines: Sequence[Line],
    *,
    region: str,
    width: int,
    unit: str,
    right_unit: str | None = None,
    marks: Mapping[str, float] | None = None,
    stacked: bool = False,
) -> Widget:
    """Returns a graph over time.

    Args:
        title: what the number means, with its unit.
        lines: the lines.
        region: the Region of the metrics.
        width: the width in columns.
        unit: the label of the left axis.
        right_unit: the label of the right axis. Default: no line belongs to it.
        marks: horizontal lines by label. Default: none.
        stacked: whether the lines are areas on top of each other.
    """
    properties: dict[str, Any] = {
        "view": "timeSeries",
        "stacked": stacked,
        "title": title,
        "region": region,
        "metrics": [line.to_json() for line in lines],
        "yAxis": {"left": {"label": unit, "min": 0, "showUnits": False}},
    }
    if right_unit is not None:
        properties["yAxis"]["right"] = {"label": right_unit, "min": 0, "showUnits": False}
    if marks:
        properties["annotations"] = {"horizontal": [{"label": label, "value": value} for label, value in marks.items()]}
    return Widget(kind="metric", properties=properties, width=width)


def numbers(title: str, lines: Sequence[Line], *, region: str, width: int, view: str = "singleValue") -> Widget:
    """Returns numbers over the whole time range of the dashboard: `singleValue`, or a `bar` for each line."""
    properties: dict[str, Any] = {
        "view": view,
        "title": title,
        "region": region,
        "metrics": [line.to_json() for line in lines],
        "setPeriodToTimeRange": True,
        "stat": "Sum",
    }
    return Widget(kind="metric", properties=properties, width=width, height=4 if view == "singleValue" else 6)


def percentiles(metric: MetricData) -> list[Line]:
    """Returns a line for each of the percentiles 50, 90 and 99 of a metric."""
    return [Line(metric=metric, statistic=statistic, label=statistic) for statistic in PERCENTILES]


def alarm_rows(title: str, arns: Sequence[str]) -> list[Row]:
    """Returns the states of alarms in as many widgets as they need, each in its own row."""
    chunks = [arns[start : start + MAX_ALARMS] for start in range(0, len(arns), MAX_ALARMS)]
    return [
        (
            Widget(
                kind="alarm",
                properties={
                    "title": title if len(chunks) == 1 else f"{title} ({number} of {len(chunks)})",
                    "alarms": list(chunk),
                    "sortBy": "stateUpdatedTimestamp",
                },
                width=GRID_COLUMNS,
                height=2 + min(4, -(-len(chunk) // 6)),
            ),
        )
        for number, chunk in enumerate(chunks, 1)
    ]


def log_table(title: str, query: str, log_group: str, *, region: str, width: int) -> Widget:
    """Returns a table with the result of a Logs Insights query on one log group."""
    properties = {"view": "table", "title": title, "region": region, "query": f"SOURCE '{log_group}' | {query}"}
    return Widget(kind="log", properties=properties, width=width)


def text(markdown: str) -> Row:
    """Returns a row of text, as high as its lines."""
    height = max(1, len([line for line in markdown.splitlines() if line.strip()]))
    return (Widget(kind="text", properties={"markdown": markdown}, width=GRID_COLUMNS, height=height),)


def heading(title: str) -> Row:
    """Returns the heading of a section."""
    properties = {"markdown": f"## {title}", "background": "transparent"}
    return (Widget(kind="text", properties=properties, width=GRID_COLUMNS, height=1),)
