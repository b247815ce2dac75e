"""Writes docs/scale.md and its plots from simulations of batches (`sandpiper.capacity.scale`)."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import altair as alt

from sandpiper.capacity import scale
from sandpiper.capacity.charts import HEIGHT, WIDTH, save, styled, values
from sandpiper.capacity.gains import LIMIT_TEXTS, gains, limiting
from sandpiper.capacity.model import MIB_PER_VCPU, ServiceTimes, Span
from sandpiper.capacity.render import human_duration, human_usd
from sandpiper_contract.prices import LIST_PRICES
from sandpiper_contract.workflows import MAX_BATCH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.capacity.scale import Row

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = "images"
TEMPLATE = Path(__file__).with_suffix(".txt")


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/scale.md. With a file, writes no plots."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page())
        return
    docs = PROJECT / "docs"
    (docs / "scale.md").write_text(page())
    (docs / IMAGES).mkdir(exist_ok=True)
    for name, chart in charts().items():
        save(chart, docs / IMAGES / name)


def page() -> str:
    """Returns the page: the text of the template with the tables."""
    text = TEMPLATE.read_text()
    for name, content in _parts().items():
        text = text.replace(f"{{{{ {name} }}}}", content)
    return "\n\n".join(map(_wrapped, text.rstrip("\n").split("\n\n"))) + "\n"


def _wrapped(paragraph: str) -> str:
    """Wraps a paragraph, whose length depends on the values in it."""
    if paragraph.startswith(("|", "#", "```", "!", "- ", "1.")):
        return paragraph
    return textwrap.fill(paragraph, 100, break_on_hyphens=False, break_long_words=False)


def _parts() -> dict[str, str]:
    full, extrapolated = scale.extrapolation()
    difference = 100 * abs(extrapolated.seconds / full.seconds - 1)
    default, shared, raised, _, ten_default, _, ten_raised, _ = scale.volumes()
    return {
        "service times": _service_times(),
        "volumes": _volumes(scale.volumes()),
        "costs": _costs(scale.volumes()),
        "usage": _usage(scale.volumes()),
        "gains": _gains((default, shared, raised)),
        "items per session": _durations("Items in a session", scale.by_items_per_session()),
        "files": _durations("Program writes", scale.by_files()),
        "concurrency": _concurrency(),
        "full": human_duration(full.seconds),
        "extrapolated": human_duration(extrapolated.seconds),
        "difference": f"{difference:.1f}",
        "days": f"{MAX_BATCH_SECONDS // 86_400}",
        "ten million": human_duration(ten_default.figures.seconds),
        "ten million raised": human_duration(ten_raised.figures.seconds),
        "prices": LIST_PRICES.as_of,
        "finish": human_duration(ten_raised.figures.finish_seconds),
        "memory": f"{MIB_PER_VCPU:,}",
    }


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


_SOURCES = {
    "start": ("start of a session", "published"),
    "call": ("a call that runs a trivial program", "published"),
    "write": ("a call that writes the files of an item", "published"),
    "collect": ("a call that collects files", "as a trivial call"),
    "stop": ("stop of a session", "published"),
    "child": ("start of a child execution", "assumed"),
    "cold_start": ("cold start of the function", "assumed"),
    "invocation": ("an invocation apart from its items", "assumed"),
    "put": ("a write of a small object to S3", "assumed"),
    "item_cpu": ("the function's processor time for an item", "measured"),
    "prepare_cpu": ("processor time to prepare an item", "measured"),
    "finish_cpu": ("processor time to finish an item", "measured"),
}


def _service_times() -> str:
    times = ServiceTimes()
    rows = [(text, _span(getattr(times, name)), source) for name, (text, source) in _SOURCES.items()]
    return _table(("Step", "Time", "Source"), rows)


def _span(time: Span | float) -> str:
    low, high = (time.low, time.high) if isinstance(time, Span) else (time, time)
    return f"{low * 1000:g} ms" if low == high else f"{low * 1000:g} to {high * 1000:g} ms"


def _volumes(rows: Sequence[Row]) -> str:
    head = ("Batch", "Duration", "Items per second", "Sessions", "At a time", "Limited by", "Cost")
    return _table(
        head,
        [
            (
                row.name,
                human_duration(row.figures.seconds),
                f"{row.figures.throughput:.1f}",
                f"{row.figures.counts.starts:,}",
                f"{row.scenario.limits.workers:,}",
                LIMIT_TEXTS[limiting(row.scenario, row.figures)],
                human_usd(row.cost.total),
            )
            for row in rows
        ],
    )


def _usage(rows: Sequence[Row]) -> str:
    head = ("Batch", "Calls", "State transitions", "History events", "Lambda time", "S3 requests")
    return _table(
        head,
        [
            (
                row.name,
                f"{row.figures.counts.calls:,}",
                f"{row.figures.transitions:,}",
                f"{row.figures.events:,}",
                f"{row.figures.function_seconds / 3_600:,.0f} h",
                f"{row.figures.counts.s3_writes + row.figures.counts.s3_reads:,}",
            )
            for row in rows
        ],
    )


def _costs(rows: Sequence[Row]) -> str:
    head = ("Batch", "AgentCore", "Lambda", "Step Functions", "S3", "Total", "For 1,000 items")
    return _table(
        head,
        [
            (
                row.name,
                human_usd(row.cost.agentcore_cpu + row.cost.agentcore_memory),
                human_usd(row.cost.function),
                human_usd(row.cost.step_functions),
                human_usd(row.cost.s3),
                human_usd(row.cost.total),
                f"${row.cost.total / row.scenario.items * 1_000:.3f}",
            )
            for row in rows
        ],
    )


def _gains(rows: Sequence[Row]) -> str:
    found = [{gain.change.key: gain for gain in gains(row.scenario)} for row in rows]
    names = {gain.change.key: gain.change.text for each in found for gain in each.values()}
    body = [
        (text, *(f"{each[key].ratio:.2f} times" if key in each else "is set" for each in found))
        for key, text in names.items()
    ]
    return _table(("Change", *(row.name for row in rows)), body)


def _durations(name: str, rows: Sequence[Row]) -> str:
    head = (name, "Calls of an item", "Duration", "Items per second", "Cost")
    return _table(
        head,
        [
            (
                row.name,
                f"{row.figures.counts.calls / row.figures.counts.items:.0f}",
                human_duration(row.figures.seconds),
                f"{row.figures.throughput:.1f}",
                human_usd(row.cost.total),
            )
            for row in rows
        ],
    )


def _concurrency() -> str:
    head = ("Reserved concurrency", *(f"program of {seconds} s" for seconds in scale.PROGRAM_SECONDS))
    columns = [scale.by_concurrency(seconds) for seconds in scale.PROGRAM_SECONDS]
    return _table(
        head,
        [
            (
                rows[0].name,
                *(f"{row.figures.items_per_second:.2f}/s, {row.figures.throttled_percent:.1f} %" for row in rows),
            )
            for rows in zip(*columns, strict=True)
        ],
    )


def charts() -> dict[str, Any]:
    """Returns the plots by the names of their files."""
    return {"scale-concurrency.svg": _concurrency_chart(), "scale-costs.svg": _cost_chart()}


def _concurrency_chart() -> Any:
    rows = [
        {"concurrency": row.scenario.limits.reserved_concurrency, "program": f"{seconds} s", **_rates(row)}
        for seconds in scale.PROGRAM_SECONDS
        for row in scale.by_concurrency(seconds)
    ]
    x = alt.X("concurrency:Q", title="reserved concurrency")
    color = alt.Color("program:N", title="program", sort=[f"{seconds} s" for seconds in scale.PROGRAM_SECONDS])
    base = alt.Chart(values(rows)).mark_line(point=True).properties(width=WIDTH, height=HEIGHT)
    throughput = base.encode(x=x, y=alt.Y("rate:Q", title="items per second"), color=color)
    throttled = base.encode(x=x, y=alt.Y("throttled:Q", title="throttled calls in %"), color=color)
    return styled(alt.vconcat(throughput, throttled), "Throughput and throttled calls by reserved concurrency")


def _rates(row: Row) -> dict[str, float]:
    return {"rate": row.figures.items_per_second, "throttled": row.figures.throttled_percent}


def _cost_chart() -> Any:
    services = ("AgentCore", "Lambda", "Step Functions", "S3")
    rows = [
        {"batch": row.name, "service": service, "usd": usd / row.scenario.items * 1_000}
        for row in scale.volumes()
        if row.scenario.items == scale.MILLION
        for service, usd in zip(
            services,
            (
                row.cost.agentcore_cpu + row.cost.agentcore_memory,
                row.cost.function,
                row.cost.step_functions,
                row.cost.s3,
            ),
            strict=True,
        )
    ]
    chart = (
        alt.Chart(values(rows))
        .mark_bar()
        .encode(
            x=alt.X("usd:Q", title="US dollars for 1,000 items"),
            y=alt.Y("batch:N", title=None, sort=None),
            color=alt.Color("service:N", title=None, sort=list(services)),
            order=alt.Order("service:N"),
        )
        .properties(width=WIDTH, height=HEIGHT / 2)
    )
    return styled(chart, "Cost by service")


if __name__ == "__main__":
    main()
