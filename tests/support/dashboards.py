"""Cloud assemblies with dashboards that tests define, and a dashboard with every kind of widget."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any

from sandpiper.dashboards.preview import create_preview
from sandpiper.dashboards.sources import with_data
from sandpiper.plan.assembly import read_assembly

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.dashboards.preview import Preview

STACK = "sandpiper-test-a"
ALARM_NAME = f"{STACK}-errors"
ALARM_ARN = f"arn:aws:cloudwatch:us-east-1:111111111111:alarm:{ALARM_NAME}"
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(1)>"
"""Text that would run in a page that does not escape it."""


def metric_widget(*metrics: list[Any], title: str = "Title", **properties: Any) -> dict[str, Any]:
    """Returns a metric widget without a position."""
    return {"type": "metric", "properties": {"title": title, "metrics": list(metrics), **properties}}


def count(name: str, service: str = STACK, **options: Any) -> list[Any]:
    """Returns a metric of runs as an entry of a metric widget."""
    return ["Sandpiper", name, "service", service, {"stat": "Sum", **options}]


def write_assembly(
    folder: Path, *bodies: object, alarms: tuple[str, ...] = (ALARM_NAME,), name: str = "all-widgets"
) -> Path:
    """Writes a cloud assembly with one stack, and returns its folder.

    Args:
        folder: the folder, which is created.
        bodies: the value of `DashboardBody` of each dashboard: text, or an intrinsic function.
        alarms: the names of alarms on failed runs.
        name: the name of the first dashboard. A number follows the names of the others.
    """
    resources: dict[str, Any] = {
        f"Dashboard{number}": {
            "Type": "AWS::CloudWatch::Dashboard",
            "Properties": {"DashboardName": f"{name}{number or ''}", "DashboardBody": body},
        }
        for number, body in enumerate(bodies)
    }
    for number, alarm in enumerate(alarms):
        properties = {
            "AlarmName": alarm,
            "Namespace": "Sandpiper",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "service", "Value": STACK}],
            "Statistic": "Sum",
            "Period": 300,
            "Threshold": 4,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": 1,
        }
        resources[f"Alarm{number}"] = {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}
    stack = {
        "type": "aws:cloudformation:stack",
        "environment": "aws://111111111111/us-east-1",
        "properties": {"templateFile": "template.json", "stackName": STACK},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "template.json").write_text(json.dumps({"Resources": resources}))
    (folder / "manifest.json").write_text(json.dumps({"artifacts": {STACK: stack}}))
    return folder


def synthetic_preview(assembly: Path, minutes: int = 60) -> Preview:
    """Creates a preview with synthetic data of some minutes."""
    read, source = with_data(read_assembly(assembly), "synthetic")
    return create_preview(read, source, lambda _: None, datetime.timedelta(minutes=minutes))


def placed(x: int, y: int, width: int, height: int, widget: dict[str, Any]) -> dict[str, Any]:
    """Returns a widget at a position."""
    return {**widget, "x": x, "y": y, "width": width, "height": height}


TENANTS = [count("Runs", f"tenant-{number}", label=f"tenant {number}") for number in range(5)]
MARKDOWN = f"""## Is anything wrong? {SCRIPT}

See the [runbook](https://example.com/runbook), [bad](javascript:alert(1)) and ![image](https://example.com/x.png).

* `sandpiper runs list -e prod`
* **bold**

#### Links

[button:primary:Open](https://example.com)

| a | b |
|---|---|
| 1 | 2 |
"""
ALL_WIDGETS: list[dict[str, Any]] = [
    placed(0, 0, 24, 5, {"type": "text", "properties": {"markdown": MARKDOWN}}),
    placed(
        0, 5, 24, 2, {"type": "alarm", "properties": {"title": "Alarms", "alarms": [ALARM_ARN, "arn:x:alarm:gone"]}}
    ),
    placed(0, 7, 6, 4, metric_widget(count("Runs"), count("Errors"), title="Now", view="singleValue")),
    placed(6, 7, 6, 4, metric_widget(count("Runs"), title="Today", view="singleValue", setPeriodToTimeRange=True)),
    placed(
        12,
        7,
        6,
        6,
        metric_widget(
            count("Share", stat="Maximum"),
            title="Share of the quota (%)",
            view="gauge",
            yAxis={"left": {"min": 0, "max": 100}},
            annotations={"horizontal": [{"value": 80, "label": "alarm"}]},
        ),
    ),
    placed(18, 7, 6, 6, metric_widget(*TENANTS, title="Shares", view="pie")),
    placed(0, 13, 12, 6, metric_widget(*TENANTS, title=f"Runs by tenant {SCRIPT}", stacked=True)),
    placed(12, 13, 12, 6, metric_widget(*TENANTS, title="Runs now", view="bar")),
    placed(
        0,
        19,
        12,
        6,
        metric_widget(
            count("Runs", id="m1", visible=False),
            count("Errors", id="m2", label=SCRIPT),
            [{"expression": "100 * FILL(m2, 0) / m1", "label": "Failed (%)", "id": "e1"}],
            count("Duration", stat="p90", yAxis="right", label="Duration p90 (ms)"),
            title="Two axes",
            yAxis={"left": {"label": "%", "min": 0}, "right": {"label": "ms"}},
            annotations={
                "horizontal": [{"value": 80, "label": SCRIPT}, {"value": 82, "label": "second"}],
                "vertical": [{"value": "2026-01-15T11:20:00Z", "label": "deployed"}],
            },
        ),
    ),
    placed(
        12,
        19,
        12,
        6,
        metric_widget(
            [{"expression": "SEARCH('{Sandpiper,service,error} MetricName=\"FailedRuns\"', 'Sum', 300)", "id": "e1"}],
            title="Failed runs by error",
        ),
    ),
    placed(
        0,
        25,
        12,
        6,
        {
            "type": "log",
            "properties": {
                "title": "Failures",
                "query": "SOURCE '/aws/lambda/a' | fields @timestamp | stats count(*) as runs by error",
            },
        },
    ),
    placed(12, 25, 6, 6, metric_widget(*TENANTS, title="Table", view="table")),
    placed(18, 25, 6, 6, {"type": "explorer", "properties": {"title": "Explorer"}}),
    placed(0, 31, 12, 6, metric_widget([{"expression": "NOPE(1)", "id": "e1"}], title="Invalid expression")),
    placed(12, 31, 12, 6, metric_widget(title="Metric of an alarm", annotations={"alarms": [ALARM_ARN]})),
]
