"""Charts of simulated batches, as SVG, PNG or HTML. Their white background is readable in dark mode, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from sandpiper.capacity.cost import COST_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.capacity.plan import CapacityPlan

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""The palette of Okabe and Ito, which people with a color vision deficiency can distinguish."""
WIDTH, HEIGHT, PNG_SCALE = 560, 300, 2


def values(rows: list[dict[str, Any]]) -> alt.InlineData:
    """Returns the data of a chart."""
    return alt.InlineData(values=rows)


def styled(chart: alt.Chart | alt.VConcatChart | alt.LayerChart, title: str) -> Any:
    """Returns a chart with a title, a white background and the palette."""
    return (
        chart.properties(title=alt.TitleParams(text=title, subtitle="simulated", anchor="start"), background="white")
        .configure_range(category=list(COLORS))
        .configure_axis(labelFontSize=12, titleFontSize=12, labelLimit=400)
        .configure_title(fontSize=14, subtitleFontSize=12)
    )


def plan_chart(plan: CapacityPlan) -> Any:
    """Returns the chart of a plan: its cost by service, and how much faster it is after each change."""
    costs = [{"service": text, "usd": getattr(plan.cost, name)} for name, text in COST_NAMES.items()]
    faster = [{"change": gain.change.text, "ratio": gain.ratio} for gain in plan.gains]
    cost = (
        alt.Chart(values(costs))
        .mark_bar(color=COLORS[0])
        .encode(
            x=alt.X("usd:Q", title="cost in US dollars"),
            y=alt.Y("service:N", title=None, sort=list(COST_NAMES.values())),
        )
        .properties(width=WIDTH)
    )
    gain = (
        alt.Chart(values(faster))
        .mark_bar(color=COLORS[2])
        .encode(
            x=alt.X("ratio:Q", title="times as fast"),
            y=alt.Y("change:N", title=None, sort=[gain.change.text for gain in plan.gains]),
        )
        .properties(width=WIDTH)
    )
    return styled(alt.vconcat(cost, gain), f"Batch of {plan.scenario.items:,} items")


def save(chart: Any, file: Path) -> None:
    """Writes a chart. The suffix of the file is its format. HTML files contain all scripts and load nothing."""
    match file.suffix:
        case ".html":
            chart.save(str(file), inline=True)
        case ".png":
            chart.save(str(file), scale_factor=PNG_SCALE)
        case _:
            chart.save(str(file))
