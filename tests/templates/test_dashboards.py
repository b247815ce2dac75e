"""Every dashboard is within the limits of CloudWatch, readable, and made from the table of metrics alone."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest

from sandpiper_constructs.dashboard_body import (
    GRID_COLUMNS,
    MAX_ALARMS,
    MAX_GRAPH_METRICS,
    MAX_METRICS,
    MAX_WIDGETS,
    Widget,
    create_dashboard,
)
from sandpiper_constructs.log_queries import MAX_MEMORY, QUERIES
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.metric_table import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.assemblies import Assembly, Template

SERIES = {(row.namespace, row.name, row.dimensions) for row in ROWS}
FUNCTIONS = {"IF", "SEARCH", "SUM", "SELECT", "FILL"}
UNITS = ("count", "ms", "USD", "seconds", "bytes", "MB", "percent", "hour", "average", "maximum", "sessions")
"""Words of a title that state a unit, or what is counted."""
COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
Widgets = list[dict[str, Any]]


def dashboards(templates: Mapping[str, Template]) -> Iterator[tuple[str, Widgets]]:
    """Yields the stack and the widgets of every dashboard."""
    for name, template in templates.items():
        for dashboard in template.resources("AWS::CloudWatch::Dashboard").values():
            yield name, json.loads(template_text(dashboard["DashboardBody"]))["widgets"]


@pytest.fixture(scope="session")
def bodies(assemblies: dict[str, Assembly], rich: Assembly) -> dict[str, Widgets]:
    """The widgets of all dashboards by their stack."""
    templates = [each.templates for each in (*assemblies.values(), rich)]
    return {name: widgets for each in templates for name, widgets in dashboards(each)}


def lines(widgets: Widgets) -> Iterator[tuple[list[str], dict[str, Any], dict[str, Any]]]:
    """Yields the metric with its dimensions, the options and the widget of each line."""
    for widget in widgets:
        for *metric, options in widget["properties"].get("metrics", ()):
            yield metric, options, widget


def test_every_environment_has_a_dashboard_of_the_fleet_and_of_each_tenant(bodies: dict[str, Widgets]) -> None:
    assert {name.rpartition("-")[2] for name in bodies} == {"fleet", "demo", "claims", "analytics"}


def test_widgets_do_not_overlap_and_fit_on_the_grid(bodies: dict[str, Widgets]) -> None:
    for widgets in bodies.values():
        for widget in widgets:
            assert widget["x"] >= 0
            assert widget["x"] + widget["width"] <= GRID_COLUMNS
            assert min(widget["width"], widget["height"]) >= 1
        for one, two in combinations(widgets, 2):
            apart_x = one["x"] + one["width"] <= two["x"] or two["x"] + two["width"] <= one["x"]
            apart_y = one["y"] + one["height"] <= two["y"] or two["y"] + two["height"] <= one["y"]
            assert apart_x or apart_y, (one["properties"], two["properties"])


def test_every_metric_is_in_the_table(bodies: dict[str, Widgets]) -> None:
    found = 0
    for widgets in bodies.values():
        for metric, _, _ in lines(widgets):
            if metric:
                namespace, name, *dimensions = metric
                assert (namespace, name, tuple(dimensions[::2])) in SERIES
                found += 1
    assert found > 100


def test_every_search_and_query_reads_a_metric_of_the_table(bodies: dict[str, Widgets]) -> None:
    found = 0
    for _, options, _ in (line for widgets in bodies.values() for line in lines(widgets)):
        expression = options.get("expression", "")
        search = re.match(r"SEARCH\('\{([^}]+)\} MetricName=\"(\w+)\"", expression)
        query = re.match(r'SELECT SUM\((\w+)\) FROM SCHEMA\("([^"]+)", ([^)]+)\)', expression)
        if search:
            namespace, *dimensions = search[1].split(",")
            assert (namespace, search[2], tuple(dimensions)) in SERIES
        if query:
            assert (query[2], query[1], tuple(sorted(query[3].split(", "), reverse=True))) in SERIES
        found += bool(search or query)
    assert found >= 2 * len(bodies)


def test_every_id_of_an_expression_is_defined_once(bodies: dict[str, Widgets]) -> None:
    for widgets in bodies.values():
        for widget in widgets:
            options = [each for _, each, _ in lines([widget])]
            ids = [each["id"] for each in options if "id" in each]
            assert len(set(ids)) == len(ids)
            assert all(re.fullmatch(r"[a-z]\w*", each) for each in ids)
            for each in options:
                expression = each.get("expression", "")
                if expression.startswith(("SEARCH", "SELECT")):
                    continue
                assert set(re.findall(r"[A-Za-z_]\w*", expression)) - FUNCTIONS <= set(ids), expression


def test_a_hidden_line_is_used_by_an_expression(bodies: dict[str, Widgets]) -> None:
    for widgets in bodies.values():
        for widget in widgets:
            options = [each for _, each, _ in lines([widget])]
            used = " ".join(each.get("expression", "") for each in options)
            assert all(re.search(rf"\b{each['id']}\b", used) for each in options if each.get("visible") is False)


def test_titles_state_what_a_number_means_with_its_unit(bodies: dict[str, Widgets]) -> None:
    for widgets in bodies.values():
        titles = [each["properties"]["title"] for each in widgets if each["type"] in ("metric", "log")]
        without = [
            title for title in titles if not any(unit in title for unit in UNITS) and "selected time" not in title
        ]
        assert [title for title in without if "duration" not in title] == []


def test_dashboards_name_the_next_command_and_the_runbooks(bodies: dict[str, Widgets]) -> None:
    for name, widgets in bodies.items():
        notes = widgets[0]["properties"]["markdown"]
        assert "`sandpiper runs list -e" in notes, name
        assert "docs/runbooks" in notes, name


def test_every_dashboard_is_within_the_limits_of_cloudwatch(bodies: dict[str, Widgets]) -> None:
    for widgets in bodies.values():
        counts = [len(each["properties"].get("metrics", ())) for each in widgets]
        assert len(widgets) <= MAX_WIDGETS
        assert max(counts) <= MAX_GRAPH_METRICS
        assert sum(counts) <= MAX_METRICS
        assert max(len(each["properties"].get("alarms", ())) for each in widgets) <= MAX_ALARMS


def alarms_of(template: Template) -> dict[str, dict[str, Any]]:
    """Returns the alarms of a template, also the composite ones."""
    return template.resources("AWS::CloudWatch::Alarm") | template.resources("AWS::CloudWatch::CompositeAlarm")


def test_the_fleet_shows_every_alarm_of_the_environment(assemblies: dict[str, Assembly], rich: Assembly) -> None:
    for assembly in (*assemblies.values(), rich):
        ((_, widgets),) = (each for each in dashboards(assembly.templates) if each[0].endswith("-fleet"))
        shown = [arn for widget in widgets for arn in widget["properties"].get("alarms", ())]
        for name, template in assembly.templates.items():
            for logical_id, alarm in alarms_of(template).items():
                arn = f":alarm:{alarm['AlarmName']}"
                is_own = name.endswith("-fleet") and f"<{logical_id}.Arn>" in shown
                assert is_own or [each for each in shown if each.endswith(arn)], alarm["AlarmName"]
        others = [arn for arn in shown if arn.startswith("arn:")]
        alarms = {
            alarm["AlarmName"] for template in assembly.templates.values() for alarm in alarms_of(template).values()
        }
        assert {arn.rpartition(":")[2] for arn in others} <= alarms


def test_saved_queries_are_in_the_folder_of_the_tenant_and_read_its_log(rich: Assembly) -> None:
    stack = "sandpiper-one-claims"
    saved = rich[stack].resources("AWS::Logs::QueryDefinition").values()
    assert {each["Name"] for each in saved} == {f"{stack}/{query.name}" for query in QUERIES}
    assert {json.dumps(each["LogGroupNames"]) for each in saved} == {'[{"Ref": "SessionFunctionLogs2DA0B243"}]'}


@pytest.mark.parametrize("query", [*QUERIES, MAX_MEMORY], ids=lambda query: query.name)
def test_queries_use_commands_of_logs_insights(query: Any) -> None:
    commands = [part.split()[0] for part in query.line.split(" | ")]
    assert set(commands) <= COMMANDS
    assert commands[-1] == "limit"


TOO_LARGE = [
    ("widgets", [(Widget(kind="text", properties={"markdown": "a"}, width=1),)] * (MAX_WIDGETS + 1)),
    (
        "metrics in one graph",
        [(Widget(kind="metric", properties={"metrics": [["a", "b", {}]] * (MAX_GRAPH_METRICS + 1)}, width=1),)],
    ),
    ("metrics", [(Widget(kind="metric", properties={"metrics": [["a", "b", {}]] * 500}, width=1),)] * 6),
    ("alarms in one widget", [(Widget(kind="alarm", properties={"alarms": ["a"] * (MAX_ALARMS + 1)}, width=1),)]),
    ("bytes", [(Widget(kind="text", properties={"markdown": "a" * 1_000_000}, width=1),)]),
]


@pytest.mark.parametrize(("what", "rows"), TOO_LARGE, ids=[what for what, _ in TOO_LARGE])
def test_a_dashboard_over_a_limit_is_one_error_at_synthesis(what: str, rows: Any) -> None:
    stack = cdk.Stack()
    with pytest.raises(ValueError, match=rf"^dashboard big has [\d,]+ {what}; allowed: at most [\d,]+; divide"):
        create_dashboard(stack, "big", rows)
    assert not stack.node.children


def test_a_row_that_is_too_wide_is_an_error() -> None:
    row = (Widget(kind="text", properties={}, width=13),) * 2
    with pytest.raises(ValueError, match="26 columns wide; allowed: at most 24"):
        create_dashboard(cdk.Stack(), "wide", [row])
