"""Creates the panels of widgets: asks the data source, and draws the charts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sandpiper.dashboards import geometry, model
from sandpiper.dashboards.alarms import AlarmState, alarm_name, thresholds_of
from sandpiper.dashboards.colors import series_color, series_dash
from sandpiper.dashboards.data import COMBINED, NoDataError, is_combined, metric_queries
from sandpiper.dashboards.describe import data_table, describe, latest_table
from sandpiper.dashboards.drawn import DrawnSeries, Mark
from sandpiper.dashboards.graph import Graph
from sandpiper.dashboards.numbers import as_text
from sandpiper.dashboards.panels import LegendEntry, Number, Panel, Table
from sandpiper.dashboards.shapes import draw_bars, draw_gauge, draw_pie, draw_sparkline
from sandpiper.dashboards.text import as_blocks, as_html

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandpiper.dashboards.alarms import Alarm
    from sandpiper.dashboards.charts import Chart
    from sandpiper.dashboards.data import DataSource
    from sandpiper.dashboards.times import Window

NO_DATA = "No data in this time range."
LEVELS = ("ALARM", "INSUFFICIENT_DATA", "UNKNOWN", "OK")
"""The order of alarms: the most urgent first."""
MAX_SPARKLINES = 4


@dataclass(frozen=True)
class Drawing:
    """Draws the widgets of one dashboard.

    Attributes:
        alarms: the alarms of the cloud assembly by name.
    """

    source: DataSource
    alarms: Mapping[str, Alarm]
    window: Window

    def panel(self, name: str, widget: model.Widget) -> Panel:
        """Returns the panel of a widget. `name` is unique on the page."""
        panel = Panel(name, widget.place, "message", "")
        try:
            match widget.content:
                case model.MetricWidget() as content:
                    return self._metrics(replace(panel, title=_title(content, self.alarms)), content)
                case model.AlarmWidget() as content:
                    return replace(panel, kind="alarms", title=content.title or "Alarms", alarms=self._states(content))
                case model.TextWidget(markdown):
                    return replace(panel, kind="text", markdown=as_html(markdown), blocks=as_blocks(markdown))
                case model.LogWidget() as content:
                    return self._logs(replace(panel, title=content.title or "Log query"), content)
                case model.UnsupportedWidget(title, reason):
                    return replace(panel, title=title or "Not drawn", message=reason)
        except NoDataError as error:
            return replace(panel, title=getattr(widget.content, "title", ""), message=str(error))

    def _states(self, content: model.AlarmWidget) -> tuple[AlarmState, ...]:
        names = [alarm_name(arn) for arn in content.alarms]
        found = self.source.alarm_states(names)
        states = [AlarmState(name, found.get(name, "UNKNOWN"), self.alarms.get(name)) for name in names]
        shown = [one for one in states if not content.states or one.state in content.states]
        return tuple(sorted(shown, key=lambda one: LEVELS.index(one.state)))

    def _logs(self, panel: Panel, content: model.LogWidget) -> Panel:
        result = self.source.log_rows(content, self.window)
        if not result.rows:
            return replace(panel, message=NO_DATA)
        return replace(panel, kind="table", data=Table(result.columns, result.rows))

    def _metrics(self, panel: Panel, content: model.MetricWidget) -> Panel:
        lines = content.lines or tuple(_alarm_lines(content.alarms, self.alarms))
        series = self._series(content, lines)
        thresholds = (*map(_mark, content.thresholds), *_alarm_marks(lines, self.alarms, content.thresholds))
        if not any(one.values for one in series):
            is_graph = content.view == "timeSeries"
            drawn = self._graph(panel, content, (), thresholds, has_legend=False) if is_graph else None
            return replace(
                panel, kind="chart" if drawn else "message", chart=drawn, message=NO_DATA, description=NO_DATA
            )
        if content.view == "table":
            return replace(panel, kind="table", data=latest_table(series))
        box = geometry.content_box(panel.place)
        width, height = round(box.width), round(box.height)
        legend = tuple(_legend_entry(one) for one in series)
        described = replace(
            panel,
            kind="chart",
            legend=legend,
            data=data_table(series),
            description=describe(content.view, series, thresholds),
        )
        match content.view:
            case "singleValue":
                return replace(described, kind="numbers", numbers=self._numbers(described, content, series))
            case "bar":
                return replace(described, legend=(), chart=draw_bars(series, width, height, panel.name))
            case "pie":
                chart = draw_pie(series, width, height - _legend_height(legend, width, height), panel.name)
                return replace(described, chart=chart)
            case "gauge":
                chart = draw_gauge(series[0], content.left, thresholds, width, height - geometry.LINE, panel.name)
                return replace(described, legend=legend[:1], chart=chart)
            case _:
                return replace(described, chart=self._graph(described, content, series, thresholds, has_legend=True))

    def _series(self, content: model.MetricWidget, lines: Sequence[model.Line]) -> list[DrawnSeries]:
        if not lines:
            return []
        by_id = {line.id: line for line in lines}
        found = self.source.series(metric_queries(lines, self.window, whole_range=content.whole_range), self.window)
        has_lines = content.view == "timeSeries" and not content.stacked
        drawn: list[DrawnSeries] = []
        used: set[str] = set()
        for index, one in enumerate(found):
            line = by_id[one.id]
            shade = line.color if line.color and one.id not in used else series_color(index)
            used.add(one.id)
            label = one.label or line.label or line.id
            dash = series_dash(index) if has_lines else ()
            # A period that began before the time range is drawn at its start.
            values = {max(time, self.window.start): value for time, value in one.values.items()}
            if values and content.whole_range and is_combined(line):
                values = {self.window.end: COMBINED[line.stat](values.values())}
            drawn.append(DrawnSeries(label, values, line.period, line.axis, shade, dash))
        return drawn

    def _graph(
        self,
        panel: Panel,
        content: model.MetricWidget,
        series: Sequence[DrawnSeries],
        thresholds: Sequence[Mark],
        *,
        has_legend: bool,
    ) -> Chart:
        box = geometry.content_box(panel.place)
        width, height = round(box.width), round(box.height)
        reserved = _legend_height(panel.legend, width, height) if has_legend else 0
        graph = Graph(
            series=series,
            window=self.window,
            stacked=content.stacked,
            thresholds=thresholds,
            events=tuple(Mark(event.time, event.label) for event in content.events),
            left=content.left,
            right=content.right,
        )
        return graph.draw(width, height - reserved, panel.name)

    def _numbers(self, panel: Panel, content: model.MetricWidget, series: Sequence[DrawnSeries]) -> tuple[Number, ...]:
        has_course = content.sparkline and not content.whole_range and len(series) <= MAX_SPARKLINES
        box = geometry.content_box(panel.place)
        width, height = round(box.width / len(series)) - geometry.GAP, max(20, round(box.height * 0.4))
        numbers: list[Number] = []
        for index, one in enumerate(series):
            is_drawn = has_course and len(one.values) > 1
            chart = draw_sparkline(one, width, height, f"{panel.name}-{index}") if is_drawn else None
            numbers.append(Number(one.label, "–" if one.latest is None else as_text(one.latest), chart))
        return tuple(numbers)


def _title(content: model.MetricWidget, alarms: Mapping[str, Alarm]) -> str:
    """Returns the title, or what stands for it: the name of the first metric or alarm."""
    if content.title:
        return content.title
    names = [line.label or (line.metric.name if line.metric else "") for line in content.lines]
    return next(filter(None, [*names, *(alarm_name(arn) for arn in content.alarms if alarms)]), "Untitled")


def _mark(threshold: model.Threshold) -> Mark:
    label = f"{threshold.label} {as_text(threshold.value)}".strip()
    return Mark(threshold.value, label, threshold.axis, label)


def _alarm_lines(arns: Iterable[str], alarms: Mapping[str, Alarm]) -> Iterable[model.Line]:
    """Yields the metrics of alarms, for a widget that shows alarms instead of metrics."""
    for number, arn in enumerate(arns):
        alarm = alarms.get(alarm_name(arn))
        if alarm and alarm.metric:
            period = alarm.period or model.DEFAULT_PERIOD
            yield model.Line(f"alarm{number}", alarm.metric, "", "", alarm.stat, period, True, "left", "")


def _alarm_marks(
    lines: Iterable[model.Line], alarms: Mapping[str, Alarm], shown: Sequence[model.Threshold]
) -> Iterable[Mark]:
    """Yields the thresholds of the alarms on the lines, without those that the dashboard marks itself."""
    values = {threshold.value for threshold in shown}
    for line in lines:
        if line.metric and line.visible:
            for alarm in thresholds_of(line.metric, line.stat, alarms.values()):
                if alarm.threshold is not None and alarm.threshold not in values:
                    yield Mark(alarm.threshold, alarm.threshold_label, line.axis, f"{alarm.name} {alarm.condition}")


def _legend_entry(series: DrawnSeries) -> LegendEntry:
    latest = "no data" if series.latest is None else as_text(series.latest)
    return LegendEntry(series.label, series.color, series.dash, latest)


def _legend_height(legend: Sequence[LegendEntry], width: float, height: float) -> int:
    """Returns the height that a legend takes below its chart."""
    widths = [geometry.legend_width(entry.label) for entry in legend]
    rows = max((row for row, _ in geometry.flow(widths, width)), default=-1) + 1
    return min(rows, int(height * geometry.MAX_LEGEND_SHARE / geometry.LINE)) * geometry.LINE + geometry.GAP
