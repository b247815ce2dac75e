"""The JSON of dashboard bodies, checked field by field. Unknown fields are ignored, as CloudWatch does.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

Color = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{3}([0-9a-fA-F]{3})?$")]
Text = Annotated[str, StringConstraints(max_length=50_000)]


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)


class AxisBody(_Part):
    """One axis of a graph."""

    label: Text = ""
    min: float | None = None
    max: float | None = None


class AxesBody(_Part):
    """The axes of a graph."""

    left: AxisBody = AxisBody()
    right: AxisBody = AxisBody()


class HorizontalBody(_Part):
    """A horizontal line."""

    value: float
    label: Text = ""
    y_axis: Literal["left", "right"] = "left"
    visible: bool = True


class VerticalBody(_Part):
    """A vertical line."""

    value: str
    label: Text = ""
    visible: bool = True


class AnnotationsBody(_Part):
    """The lines of a graph that are not data. A list of two lines is a band between them."""

    horizontal: tuple[HorizontalBody | Annotated[list[HorizontalBody], Field(max_length=2)], ...] = Field(
        default=(), strict=False
    )
    vertical: tuple[VerticalBody | Annotated[list[VerticalBody], Field(max_length=2)], ...] = Field(
        default=(), strict=False
    )
    alarms: tuple[str, ...] = Field(default=(), strict=False)


class LineOptionsBody(_Part):
    """The options of a line: the last item of an entry of `metrics`."""

    id: str = ""
    expression: Text = ""
    label: Text = ""
    stat: str = ""
    period: Annotated[int, Field(ge=1)] | None = None
    visible: bool = True
    y_axis: Literal["left", "right"] = "left"
    color: Color | None = None


class MetricBody(_Part):
    """The properties of a metric widget."""

    title: Text = ""
    view: str = "timeSeries"
    stacked: bool = False
    stat: str = "Average"
    period: Annotated[int, Field(ge=1)] | None = None
    metrics: tuple[list[Any], ...] = Field(default=(), strict=False)
    y_axis: AxesBody = AxesBody()
    annotations: AnnotationsBody = AnnotationsBody()
    sparkline: bool = True
    set_period_to_time_range: bool = False


class AlarmBody(_Part):
    """The properties of an alarm status widget."""

    title: Text = ""
    alarms: tuple[str, ...] = Field(strict=False)
    states: tuple[Literal["ALARM", "OK", "INSUFFICIENT_DATA"], ...] = Field(default=(), strict=False)


class TextBody(_Part):
    """The properties of a text widget."""

    markdown: Text


class LogBody(_Part):
    """The properties of a log widget."""

    title: Text = ""
    query: Text
    view: str = "table"


class WidgetBody(_Part):
    """A widget. Its properties are checked by its type."""

    type: str
    x: Annotated[int, Field(ge=0, le=23)] | None = None
    y: Annotated[int, Field(ge=0, le=100_000)] | None = None
    width: Annotated[int, Field(ge=1, le=24)] = 6
    height: Annotated[int, Field(ge=1, le=1_000)] = 6
    properties: dict[str, Any] = Field(default_factory=dict[str, Any])


class DashboardBody(_Part):
    """A dashboard."""

    start: datetime.timedelta = Field(default=datetime.timedelta(hours=-3), strict=False)
    widgets: tuple[WidgetBody, ...] = Field(strict=False)
