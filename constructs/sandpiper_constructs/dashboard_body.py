"""The body of a CloudWatch dashboard as data: rows of widgets on its grid, and its limits.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_cloudwatch as cloudwatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from constructs import Construct

GRID_COLUMNS = 24
MAX_WIDGETS, MAX_GRAPH_METRICS, MAX_METRICS = 500, 500, 2_500
"""Quotas of a dashboard. https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"""
MAX_ALARMS = 100
"""Maximum number of alarms in an alarm widget."""
MAX_BODY_BYTES = 1_000_000
"""AWS documents no maximum size of a body. A template, which contains the body, has at most this size.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""


@dataclass(frozen=True, kw_only=True)
class Widget:
    """A widget without its position.

    Attributes:
        kind: the type: `alarm`, `log`, `metric` or `text`.
        properties: the properties of the type, which may contain tokens in strings.
        width: the width in columns of the grid.
        height: the height in rows of the grid.
    """

    kind: str
    properties: Mapping[str, Any]
    width: int
    height: int = 6


Row = tuple[Widget, ...]


def widths(count: int) -> int:
    """Returns the equal width of the widgets of a row with this many widgets.

    Example:
        >>> widths(3)
        8
    """
    return GRID_COLUMNS // count


def place(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Yields the widgets with their positions. A row begins below the highest widget of the row above.

    Raises:
        ValueError: a row is wider than the grid.
    """
    y = 0
    for row in rows:
        x = 0
        for widget in row:
            yield {
                "type": widget.kind,
                "x": x,
                "y": y,
                "width": widget.width,
                "height": widget.height,
                "properties": widget.properties,
            }
            x += widget.width
        if x > GRID_COLUMNS:
            raise ValueError(f"a row of widgets is {x} columns wide; allowed: at most {GRID_COLUMNS}")
        y += max((widget.height for widget in row), default=0)


def create_dashboard(scope: Construct, name: str, rows: Sequence[Row]) -> cloudwatch.CfnDashboard:
    """Creates a dashboard below a construct, with the logical id that `cloudwatch.Dashboard` would have.

    The body is one string, so that a widget and a metric cost no call to the CDK's process.

    Args:
        scope: parent construct.
        name: the dashboard's name.
        rows: the widgets.

    Raises:
        ValueError: the dashboard exceeds a limit of CloudWatch.
    """
    widgets = list(place(rows))
    # The periods of metrics are kept for all time ranges, because expressions contain their number of seconds.
    body = json.dumps({"periodOverride": "inherit", "widgets": widgets}, separators=(",", ":"))
    require_within_limits(name, widgets, body)
    return cloudwatch.CfnDashboard(scope, "Resource", dashboard_name=name, dashboard_body=body)


def require_within_limits(name: str, widgets: Sequence[Mapping[str, Any]], body: str) -> None:
    """Raises ValueError if a dashboard exceeds a limit of CloudWatch."""
    metrics = [len(widget["properties"].get("metrics", ())) for widget in widgets]
    alarms = [len(widget["properties"].get("alarms", ())) for widget in widgets]
    for what, number, limit in (
        ("widgets", len(widgets), MAX_WIDGETS),
        ("metrics in one graph", max(metrics, default=0), MAX_GRAPH_METRICS),
        ("metrics", sum(metrics), MAX_METRICS),
        ("alarms in one widget", max(alarms, default=0), MAX_ALARMS),
        ("bytes", len(body.encode()), MAX_BODY_BYTES),
    ):
        if number > limit:
            raise ValueError(
                f"dashboard {name} has {number:,} {what}; allowed: at most {limit:,}; divide the environment, so that "
                "fewer tenants or interpreters are on one dashboard"
            )
