"""Parses dashboard bodies, with CloudWatch's shorthand for metrics and its placement of widgets without a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from sandpiper.dashboards import body, model
from sandpiper.dashboards.metric_entries import parse_lines
from sandpiper.dashboards.times import parse_time
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAX_WIDGETS = 500
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html"""
MAX_WIDGET_METRICS = 500
MAX_DASHBOARD_METRICS = 2_500
MAX_BYTES = 1_000_000
"""Size of the largest body that is drawn. CloudWatch publishes no limit; a template that CloudFormation accepts has at
most 1 MB (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html)."""
Part = TypeVar("Part", bound=BaseModel)


def parse_dashboard(name: str, stack: str, region: str, text: str) -> model.Dashboard:
    """Parses the body of a dashboard.

    Args:
        name: the dashboard's name.
        stack: the stack that contains it.
        region: the region of the stack.
        text: the body, with values in place of references.

    Raises:
        CliError: The body is not valid, or is larger than CloudWatch allows.
    """
    size = len(text.encode())
    if size > MAX_BYTES:
        raise _invalid(name, f"its body has {size:,} bytes; allowed: at most {MAX_BYTES:,}", "split the dashboard")
    try:
        parsed = body.DashboardBody.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(name, _first_problem(error)) from None
    if len(parsed.widgets) > MAX_WIDGETS:
        problem = f"it has {len(parsed.widgets):,} widgets; allowed: at most {MAX_WIDGETS}"
        raise _invalid(name, problem, "split the dashboard")
    contents: list[model.Content] = []
    for number, widget in enumerate(parsed.widgets, start=1):
        try:
            contents.append(_CONTENTS.get(widget.type, _unsupported)(widget))
        except ValidationError as error:
            raise _invalid(name, f"widget {number} ({widget.type}): {_first_problem(error)}") from None
        except ValueError as error:
            raise _invalid(name, f"widget {number} ({widget.type}): {error}") from None
    lines = sum(len(one.lines) for one in contents if isinstance(one, model.MetricWidget))
    if lines > MAX_DASHBOARD_METRICS:
        problem = f"it has {lines:,} metrics; allowed: at most {MAX_DASHBOARD_METRICS:,}"
        raise _invalid(name, problem, "split the dashboard")
    widgets = map(model.Widget, _placed(parsed.widgets), contents)
    return model.Dashboard(name, stack, region, size, abs(parsed.start), tuple(widgets))


def _invalid(name: str, problem: str, remedy: str = "correct the dashboard in its stack") -> CliError:
    return CliError(f"dashboard {name} cannot be drawn: {problem}; {remedy}")


def _first_problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else f"{first['msg']}"


def _placed(widgets: Iterable[body.WidgetBody]) -> Iterator[model.Place]:
    """Yields the place of each widget. One without a position follows the previous one, in a new row if it is too wide.

    `x` without `y`, and the reverse, is treated as no position.
    """
    x = y = row_height = 0
    for widget in widgets:
        if widget.x is not None and widget.y is not None:
            width = min(widget.width, model.COLUMNS - widget.x)
            place = model.Place(widget.x, widget.y, width, widget.height)
        else:
            if x + widget.width > model.COLUMNS:
                x, y, row_height = 0, y + row_height, 0
            place = model.Place(x, y, widget.width, widget.height)
        row_height = max(row_height, place.height) if place.y == y else place.height
        x, y = place.x + place.width, place.y
        yield place


def _metric(widget: body.WidgetBody) -> model.Content:
    properties = _checked(body.MetricBody, widget)
    if len(properties.metrics) > MAX_WIDGET_METRICS:
        raise ValueError(f"it has {len(properties.metrics):,} metrics; allowed: at most {MAX_WIDGET_METRICS}")
    if properties.view not in VIEWS:
        return model.UnsupportedWidget(properties.title, f"The preview does not draw the view {properties.view!r}.")
    period = properties.period or model.DEFAULT_PERIOD
    left, right = properties.y_axis.left, properties.y_axis.right
    return model.MetricWidget(
        title=properties.title,
        view=properties.view,
        stacked=properties.stacked,
        lines=parse_lines(properties.metrics, properties.stat, period),
        left=model.Axis(left.label, left.min, left.max),
        right=model.Axis(right.label, right.min, right.max),
        thresholds=tuple(
            model.Threshold(one.value, one.label, one.y_axis)
            for one in _flat(properties.annotations.horizontal)
            if one.visible
        ),
        events=tuple(
            model.Event(parse_time(one.value), one.label)
            for one in _flat(properties.annotations.vertical)
            if one.visible
        ),
        alarms=properties.annotations.alarms,
        sparkline=properties.sparkline,
        whole_range=properties.set_period_to_time_range,
    )


def _flat(annotations: Sequence[Any]) -> Iterator[Any]:
    for one in annotations:
        yield from one if isinstance(one, list) else (one,)


def _alarm(widget: body.WidgetBody) -> model.Content:
    properties = _checked(body.AlarmBody, widget)
    return model.AlarmWidget(properties.title, properties.alarms, properties.states)


def _text(widget: body.WidgetBody) -> model.Content:
    return model.TextWidget(_checked(body.TextBody, widget).markdown)


def _log(widget: body.WidgetBody) -> model.Content:
    properties = _checked(body.LogBody, widget)
    return model.LogWidget(properties.title, properties.query, properties.view)


def _unsupported(widget: body.WidgetBody) -> model.Content:
    title = widget.properties.get("title")
    known = "The preview does not draw widgets of type" if widget.type in NOT_DRAWN else "CloudWatch has no widget type"
    return model.UnsupportedWidget(title if isinstance(title, str) else "", f"{known} {widget.type!r}.")


def _checked(kind: type[Part], widget: body.WidgetBody) -> Part:
    return kind.model_validate(widget.properties)


_CONTENTS: dict[str, Callable[[body.WidgetBody], model.Content]] = {
    "alarm": _alarm,
    "log": _log,
    "metric": _metric,
    "text": _text,
}
NOT_DRAWN = ("chart", "custom", "explorer")
VIEWS = ("bar", "gauge", "pie", "singleValue", "table", "timeSeries")
