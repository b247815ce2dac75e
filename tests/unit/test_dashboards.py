"""Dashboards of a cloud assembly: their bodies, what a page and a picture show, and one clear error for bad input."""

from __future__ import annotations

import datetime
import json
import struct
from typing import TYPE_CHECKING, Any

import altair
import pytest

from sandpiper.dashboards import charts, model
from sandpiper.dashboards.colors import THEMES
from sandpiper.dashboards.data import metric_queries
from sandpiper.dashboards.embedded_data import log_sources
from sandpiper.dashboards.parse import MAX_BYTES, parse_dashboard
from sandpiper.dashboards.picture import picture_svg
from sandpiper.dashboards.preview import PAGE
from sandpiper.dashboards.reading import planned_ids, read_dashboards
from sandpiper.dashboards.synthetic_data import NOW, SyntheticData
from sandpiper.dashboards.text import as_blocks, as_html
from sandpiper.dashboards.times import Window
from sandpiper.errors import CliError
from sandpiper.plan.assembly import read_assembly
from tests.support.cli import sandpiper
from tests.support.dashboards import (
    ALARM_ARN,
    ALL_WIDGETS,
    SCRIPT,
    STACK,
    count,
    metric_widget,
    synthetic_preview,
    write_assembly,
)

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.dashboards.preview import Preview

HOUR = Window.until(NOW, datetime.timedelta(hours=1))


def body_of(*widgets: dict[str, Any], **fields: object) -> str:
    return json.dumps({"widgets": widgets, **fields})


def parse(*widgets: dict[str, Any], **fields: object) -> model.Dashboard:
    return parse_dashboard("d", STACK, "us-east-1", body_of(*widgets, **fields))


@pytest.fixture(scope="module")
def all_widgets(tmp_path_factory: pytest.TempPathFactory) -> Preview:
    return synthetic_preview(write_assembly(tmp_path_factory.mktemp("assembly"), body_of(*ALL_WIDGETS)))


def synthetic_series(folder: Path, *metrics: list[Any]) -> dict[str, dict[int, float]]:
    """Returns the series of a widget by label."""
    assembly = read_assembly(write_assembly(folder, body_of(metric_widget(*metrics))))
    read = read_dashboards(assembly, planned_ids)
    content = read.dashboards[0].widgets[0].content
    assert isinstance(content, model.MetricWidget)
    found = SyntheticData(read).series(metric_queries(content.lines, HOUR), HOUR)
    return {one.label: dict(one.values) for one in found}


def test_shorthand_repeats_the_values_of_the_previous_metric() -> None:
    entries = [
        ["AWS/Lambda", "Errors", "FunctionName", "a", "Resource", "a:1", {"stat": "Sum"}],
        [".", "Throttles", ".", "b", "..."],
        ["...", "c"],
        ["Other", "Name"],
    ]
    (widget,) = parse(metric_widget(*entries, period=60)).widgets
    assert isinstance(widget.content, model.MetricWidget)
    assert [line.metric for line in widget.content.lines] == [
        model.Metric("AWS/Lambda", "Errors", (("FunctionName", "a"), ("Resource", "a:1"))),
        model.Metric("AWS/Lambda", "Throttles", (("FunctionName", "b"), ("Resource", "a:1"))),
        model.Metric("AWS/Lambda", "Throttles", (("FunctionName", "b"), ("Resource", "c"))),
        model.Metric("Other", "Name"),
    ]
    assert [(line.stat, line.period) for line in widget.content.lines] == [("Sum", 60), *[("Average", 60)] * 3]


def test_widgets_without_a_position_fill_rows() -> None:
    text = {"type": "text", "properties": {"markdown": ""}}
    widgets = [{**text, "width": 12, "height": 3}, {**text, "width": 12}, {**text, "width": 24}]
    places = [(one.place.x, one.place.y) for one in parse(*widgets).widgets]
    assert places == [(0, 0), (12, 0), (0, 6)]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ("{}", "widgets: Field required"),
        (body_of(start="yesterday"), "start: "),
        (body_of({"type": "text", "width": 25}), "widgets.0.width: "),
        (body_of({"type": "text"}), "widget 1 (text): markdown: Field required"),
        (body_of({"type": "alarm", "properties": {}}), "widget 1 (alarm): alarms: "),
        (body_of(metric_widget(["Namespace"])), "is not a namespace, a name and dimensions"),
        (body_of(metric_widget(["Namespace", "Name", "Dimension"])), "is not a namespace, a name and dimensions"),
        (body_of(metric_widget(["Namespace", 1])), "are text"),
        (body_of(metric_widget(count("Runs", id="X"))), "the id 'X' of a metric is not valid"),
        (body_of(metric_widget(count("Runs", id="a"), count("Errors", id="a"))), "two metrics have the id 'a'"),
        (body_of(metric_widget(count("Runs", color="red;}"))), "color: "),
        (body_of(metric_widget(count("Runs"), period=0)), "period: "),
        (body_of(metric_widget(annotations={"vertical": [{"value": "now"}]})), "'now' is not a time"),
        (body_of(*[metric_widget()] * 501), "it has 501 widgets; allowed: at most 500"),
        (body_of(metric_widget(*[count("Runs")] * 501)), "it has 501 metrics; allowed: at most 500"),
        (body_of(*[metric_widget(*[count("Runs")] * 500)] * 6), "it has 3,000 metrics; allowed: at most 2,500"),
        (body_of() + " " * MAX_BYTES, f"allowed: at most {MAX_BYTES:,}"),
    ],
)
def test_a_body_that_is_not_valid_is_one_error(tmp_path: Path, body: str, problem: str) -> None:
    with pytest.raises(CliError) as raised:
        synthetic_preview(write_assembly(tmp_path, body))
    assert str(raised.value).startswith("dashboard all-widgets cannot be drawn: ")
    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)


def test_references_in_a_body_become_names_and_arns(tmp_path: Path) -> None:
    parts = ['{"widgets":[{"type":"alarm","properties":{"alarms":["', {"Fn::GetAtt": ["Alarm0", "Arn"]}, '"]}},']
    text = '{"type":"text","properties":{"markdown":"${AWS::Region} ${Alarm0}"}},'
    last = ['{"type":"text","properties":{"markdown":"', {"Fn::ImportValue": 'a "name"'}, '"}}]}']
    assembly = write_assembly(tmp_path, {"Fn::Join": ["", [*parts, {"Fn::Sub": text}, *last]]})
    (dashboard,) = read_dashboards(read_assembly(assembly), planned_ids).dashboards
    alarms, known, unknown = (widget.content for widget in dashboard.widgets)
    assert isinstance(alarms, model.AlarmWidget)
    assert alarms.alarms == (ALARM_ARN,)
    assert known == model.TextWidget(f"us-east-1 {STACK}-errors")
    assert unknown == model.TextWidget('<ImportValue "a \\"name\\"">')


def test_the_page_and_the_picture_escape_the_text_of_dashboards(all_widgets: Preview, tmp_path: Path) -> None:
    files = all_widgets.write(tmp_path, "light")
    page = files[0].read_text()
    picture = picture_svg(all_widgets.dashboards[0], all_widgets.source)
    for text in (page, picture):
        assert "&lt;script&gt;" in text
        assert "<script" not in text
        assert "<img" not in text
    assert "javascript:" not in page.replace("[bad](javascript:alert(1))", "")
    assert page.count("http") == page.count("http-equiv") + page.count('href="https://example.com')


def test_a_picture_is_as_wide_as_the_grid_and_has_the_rows_of_the_dashboard(
    all_widgets: Preview, tmp_path: Path
) -> None:
    _, picture = all_widgets.write(tmp_path, "dark")
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1_472, 37 * 50 + 72)


def test_synthetic_data_is_labeled_and_always_the_same(tmp_path: Path) -> None:
    assembly = write_assembly(
        tmp_path / "assembly", body_of(metric_widget(count("Runs")), metric_widget(count("Errors")))
    )
    first, second = (synthetic_preview(assembly).write(tmp_path / name, "light") for name in ("first", "second"))
    assert [one.read_bytes() for one in first] == [one.read_bytes() for one in second]
    assert "<strong>Synthetic data.</strong>" in first[0].read_text()
    preview = synthetic_preview(assembly)
    assert ">Synthetic data</text>" in picture_svg(preview.dashboards[0], preview.source)


def test_metric_math_and_searches_are_evaluated_with_synthetic_data(tmp_path: Path) -> None:
    found = synthetic_series(
        tmp_path,
        count("Runs", id="m1", label="runs"),
        count("Runs", "other", id="m2", label="other runs"),
        [{"expression": "100 * m1 / (m1 + m2)", "label": "share", "id": "e1"}],
        [{"expression": "SEARCH('{Sandpiper,service} MetricName=\"Runs\"', 'Sum', 300)", "id": "e2", "label": ""}],
        [{"expression": "SEARCH('{Other,place} MetricName=\"Depth\"', 'Sum', 300)", "id": "e3", "label": "depth"}],
    )
    assert set(found) == {"runs", "other runs", "share", STACK, "other", *(f"depth place {n}" for n in (1, 2, 3))}
    assert found["runs"] == found[STACK]
    assert len(found["runs"]) == 12
    for time, share in found["share"].items():
        assert share == pytest.approx(100 * found["runs"][time] / (found["runs"][time] + found["other runs"][time]))


def test_a_number_of_the_whole_range_combines_its_periods(tmp_path: Path) -> None:
    widgets = (
        metric_widget(count("Runs")),
        metric_widget(count("Runs"), view="singleValue", setPeriodToTimeRange=True),
    )
    (dashboard,) = synthetic_preview(write_assembly(tmp_path, body_of(*widgets)), minutes=50).dashboards
    graph, number = dashboard.panels
    assert graph.data is not None
    assert number.numbers[0].value == str(sum(int(row[1]) for row in graph.data.rows))


def test_the_state_of_an_alarm_agrees_with_the_data_of_its_graph(tmp_path: Path) -> None:
    alarm_names = (f"{STACK}-errors",)
    widgets = (metric_widget(count("Errors")), {"type": "alarm", "properties": {"alarms": [ALARM_ARN]}})
    for threshold in (0, 1_000):
        assembly = write_assembly(tmp_path, body_of(*widgets), alarms=alarm_names)
        template = json.loads((assembly / "template.json").read_text())
        template["Resources"]["Alarm0"]["Properties"] |= {"Threshold": threshold, "MetricName": "Runs"}
        (assembly / "template.json").write_text(json.dumps(template))
        (dashboard,) = synthetic_preview(assembly).dashboards
        assert dashboard.states == {"ALARM" if threshold == 0 else "OK": 1}


def test_a_graph_shows_the_thresholds_of_the_alarms_on_its_metrics(all_widgets: Preview) -> None:
    (dashboard,) = all_widgets.dashboards
    panels = {panel.title: panel for panel in dashboard.panels}
    assert "Threshold: sandpiper-test-a-errors ≥ 4 in 5 minutes." in panels["Two axes"].description
    assert "Threshold: second 82." in panels["Two axes"].description
    assert "Threshold: sandpiper-test-a-errors ≥ 4" in panels["Metric of an alarm"].description


def test_a_widget_that_cannot_be_drawn_states_the_reason(all_widgets: Preview, tmp_path: Path) -> None:
    (dashboard,) = all_widgets.dashboards
    messages = {panel.title: panel.message for panel in dashboard.panels if panel.message}
    assert messages == {
        "Explorer": "The preview does not draw widgets of type 'explorer'.",
        "Invalid expression": messages["Invalid expression"],
    }
    assert messages["Invalid expression"].startswith(
        "The query cannot be evaluated: The function NOPE is not supported"
    )
    assembly = write_assembly(
        tmp_path,
        body_of({"type": "other"}, metric_widget(count("Runs"), view="other"), metric_widget(title="Nothing")),
    )
    (dashboard,) = synthetic_preview(assembly).dashboards
    assert [panel.message for panel in dashboard.panels] == [
        "CloudWatch has no widget type 'other'.",
        "The preview does not draw the view 'other'.",
        "No data in this time range.",
    ]


def test_every_chart_matches_the_schema_of_vega_lite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Vega-Lite ignores names that it does not know. Altair's schema rejects them."""
    specifications: list[dict[str, Any]] = []
    complete = charts.complete

    def record(*arguments: Any) -> dict[str, Any]:
        specifications.append(complete(*arguments))
        return specifications[-1]

    monkeypatch.setattr(charts, "complete", record)
    synthetic_preview(write_assembly(tmp_path, body_of(*ALL_WIDGETS)))
    assert len(specifications) == 8
    for one in specifications:
        altair.Chart.from_dict(json.loads(json.dumps(one)))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_lines_have_enough_contrast(theme: Any) -> None:
    colors = THEMES[theme]
    for name in ("text", "muted", "link", "threshold", "event", "ok", "alarm", "unknown"):
        assert contrast(colors[name], colors["card"]) >= 4.5, name
        assert contrast(colors[name], colors["page"]) >= 4.5, name
    assert contrast(colors["text"], colors["notice"]) >= 4.5
    for name in colors:
        if name.startswith("series-"):
            assert contrast(colors[name], colors["card"]) >= 3, name


def contrast(one: str, other: str) -> float:
    """Returns the contrast ratio of two colors (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    dark, light = sorted(luminance(color) for color in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_markdown_has_no_html_no_images_and_headings_without_gaps() -> None:
    html = as_html(f"# Title {SCRIPT}\n\n#### Part\n\n![a](https://example.com/a.png) [button:Go](https://example.com)")
    assert "<h3>Title &lt;script&gt;" in html
    assert "<h4>Part</h4>" in html
    assert "<img" not in html
    assert '<a href="https://example.com">Go</a>' in html
    lines = [block.text for block in as_blocks("# Title\n\n* one\n* two\n\n| a | b |\n|---|---|\n| 1 | 2 |")]
    assert lines == ["Title", "• one", "• two", "a  |  b", "1  |  2"]


def test_the_query_of_a_log_widget_is_split_into_groups_and_query() -> None:
    assert log_sources("SOURCE '/a' | SOURCE '/b' | fields @message | limit 5") == (
        ["/a", "/b"],
        "fields @message | limit 5",
    )


def test_the_command_writes_one_page_and_one_picture_each(tmp_path: Path) -> None:
    assembly = write_assembly(tmp_path / "assembly", *[body_of(metric_widget(count("Runs")))] * 2)
    completed = sandpiper("dashboards", "preview", "--assembly", assembly, "--out", tmp_path / "out", "--json")
    assert (completed.returncode, completed.stderr) == (0, "")
    printed = json.loads(completed.stdout)
    assert (printed["environment"], printed["data"]) == ("test", "synthetic")
    assert [(one["name"], one["widgets"], one["empty"]) for one in printed["dashboards"]] == [
        ("all-widgets", 1, []),
        ("all-widgets1", 1, []),
    ]
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {PAGE, "all-widgets.png", "all-widgets1.png"}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--assembly", "missing"], "missing is not the cloud assembly of an environment"),
        (["--assembly", "empty"], "the cloud assembly of test has no dashboard in its stacks sandpiper-test-a"),
        (["--assembly", "invalid"], "dashboard all-widgets cannot be drawn: Invalid JSON"),
        (["--assembly", "names"], "has a dashboard with the name '../x'; allowed: 1 to 255 of A-Z a-z 0-9 - _"),
        (["--assembly", "valid", "--out", "file"], "file cannot be written: File exists; choose another folder"),
        (["--assembly", "valid", "--data", "embedded"], "--data embedded would read https://monitoring."),
        (["--assembly", "valid", "--data", "other"], "'other' is not one of 'embedded', 'synthetic'"),
        (["--assembly", "valid", "--minutes", "1"], "Input should be greater than or equal to 5"),
    ],
)
def test_the_command_reports_one_error_and_writes_nothing(tmp_path: Path, options: list[str], error: str) -> None:
    write_assembly(tmp_path / "empty")
    write_assembly(tmp_path / "invalid", "{")
    write_assembly(tmp_path / "names", body_of(), name="../x")
    write_assembly(tmp_path / "valid", body_of(metric_widget(count("Runs"))))
    (tmp_path / "file").write_text("")
    variables = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    completed = sandpiper("dashboards", "preview", *options, cwd=tmp_path, variables=variables)
    assert (completed.returncode, completed.stdout) == (2, "")
    assert error in completed.stderr
    assert "Traceback" not in completed.stderr
    assert not (tmp_path / "out").exists()
