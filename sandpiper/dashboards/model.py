"""Dashboards as typed values. Only `parse` creates them, from the JSON of a dashboard body.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import datetime

COLUMNS = 24
"""Width of a dashboard in grid units."""
DEFAULT_PERIOD = 300
"""Seconds between two data points of a line without a period."""
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Place:
    """The position and size of a widget in grid units."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Metric:
    """The identity of a metric. Dimensions are pairs of name and value, in the order of the body."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Line:
    """One entry of a metric widget: a metric, or an expression.

    Attributes:
        id: the id in expressions, unique in its widget.
        label: the name in the legend; "" for the default.
        period: seconds between two data points.
        visible: whether the widget shows it; a hidden line is used only in expressions.
        color: a color such as `#d62728`; "" for the next one of the palette.
    """

    id: str
    metric: Metric | None
    expression: str
    label: str
    stat: str
    period: int
    visible: bool
    axis: Side
    color: str


@dataclass(frozen=True)
class Axis:
    """A vertical axis; None for a limit that the data determines."""

    label: str = ""
    min: float | None = None
    max: float | None = None


AUTOMATIC = Axis()
"""An axis whose limits the data determines."""


@dataclass(frozen=True)
class Threshold:
    """A horizontal line, with its name and axis."""

    value: float
    label: str
    axis: Side = "left"


@dataclass(frozen=True)
class Event:
    """A vertical line at a time in seconds since the epoch."""

    time: int
    label: str


@dataclass(frozen=True)
class MetricWidget:
    """A graph or numbers. `alarms` are the ARNs of alarms whose metric and threshold it shows."""

    title: str
    view: str
    stacked: bool
    lines: tuple[Line, ...]
    left: Axis = AUTOMATIC
    right: Axis = AUTOMATIC
    thresholds: tuple[Threshold, ...] = ()
    events: tuple[Event, ...] = ()
    alarms: tuple[str, ...] = ()
    sparkline: bool = True
    whole_range: bool = False
    """Whether a number is the statistic of the whole time range instead of its last period."""


@dataclass(frozen=True)
class AlarmWidget:
    """The states of alarms, given by ARN; `states` limits them to these states."""

    title: str
    alarms: tuple[str, ...]
    states: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextWidget:
    """Text in Markdown."""

    markdown: str


@dataclass(frozen=True)
class LogWidget:
    """The result of a CloudWatch Logs Insights query."""

    title: str
    query: str
    view: str = "table"


@dataclass(frozen=True)
class UnsupportedWidget:
    """A widget that the preview does not draw."""

    title: str
    reason: str


Content = MetricWidget | AlarmWidget | TextWidget | LogWidget | UnsupportedWidget


@dataclass(frozen=True)
class Widget:
    """A widget on the grid."""

    place: Place
    content: Content


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        stack: the stack that contains it.
        region: the region of its stack.
        size: the size of its body in bytes.
        range: the time range that it shows when it is opened.
    """

    name: str
    stack: str
    region: str
    size: int
    range: datetime.timedelta
    widgets: tuple[Widget, ...]
