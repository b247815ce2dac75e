"""Writes docs/metrics.md from the table of metrics in `sandpiper_contract.metric_table`."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

from sandpiper_contract.metric_table import ROWS, SESSION_FUNCTION, MetricRow
from sandpiper_contract.metrics import COST_METRICS

PROJECT = Path(__file__).resolve().parents[1]
_HEAD = """# Metrics

The dashboards and the [alarms](alarms.md) use these metrics. CloudWatch keeps a metric with other
dimensions as a separate series, so such a metric has several rows.

The session function writes its metrics to its log in CloudWatch's embedded metric format. Their
dimension `service` is the name of the tenant's stack, such as `sandpiper-prod-claims`. AWS services
publish all others.
"""
_TABLE = """
## {namespace}

| Metric | Dimensions | Unit | Statistic | Period | Meaning | Source |
|---|---|---|---|---|---|---|
"""
_TAIL = """
## Cost

AWS publishes the metrics of its services without charge. A custom metric with data costs $0.30 a
month: up to {own} of a tenant, one for each name of an error or of a reason that its runs had, and
{costs} for each interpreter and for each workflow that ran code. A tenant with two interpreters and
three workflows that ran code has {example}, which cost ${usd:.2f} a month. CloudWatch bills a metric only for
the hours in which it has data.

[Costs](costs.md) states the formula of `EstimatedUsd` and its assumptions.
"""
_PERIODS = {5: "5 minutes", 60: "1 hour", 1_440: "1 day"}


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/metrics.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "metrics.md"
    file.write_text(page())


def page() -> str:
    """Returns the page."""
    rows = sorted(ROWS, key=lambda row: (row.source != SESSION_FUNCTION, row.namespace))
    tables = "".join(_table(namespace, tuple(group)) for namespace, group in groupby(rows, lambda row: row.namespace))
    own = sum(len(row.dimensions) == 1 for row in ROWS if row.source == SESSION_FUNCTION)
    return (
        _HEAD
        + tables
        + _TAIL.format(
            own=own,
            costs=len(COST_METRICS),
            example=own + 5 * len(COST_METRICS),
            usd=(own + 5 * len(COST_METRICS)) * 0.3,
        )
    )


def _table(namespace: str, rows: tuple[MetricRow, ...]) -> str:
    return _TABLE.format(namespace=namespace) + "".join(map(_row, rows))


def _row(row: MetricRow) -> str:
    dimensions = ", ".join(f"`{name}`" for name in row.dimensions) or "none"
    source = row.source if row.source == SESSION_FUNCTION else f"[AWS]({row.source})"
    cells = (f"`{row.name}`", dimensions, row.unit, row.statistic, _PERIODS[row.period_minutes], row.meaning, source)
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
