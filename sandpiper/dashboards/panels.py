"""What a page and a picture show of one widget: charts, numbers, legends, tables and text alternatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sandpiper.dashboards.alarms import AlarmState
    from sandpiper.dashboards.charts import Chart
    from sandpiper.dashboards.model import Place
    from sandpiper.dashboards.text import Block

Kind = Literal["chart", "numbers", "alarms", "text", "table", "message"]


@dataclass(frozen=True)
class LegendEntry:
    """The name of a series with its color, pattern and latest value."""

    label: str
    color: str
    dash: tuple[int, ...]
    latest: str


@dataclass(frozen=True)
class Table:
    """A table. Its first column names the rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Number:
    """A number with its name and its trend."""

    label: str
    value: str
    sparkline: Chart | None


@dataclass(frozen=True)
class Panel:
    """One widget.

    Attributes:
        name: unique on the page, for the ids of its elements.
        description: the text alternative of its chart or numbers.
        message: the reason why it is empty.
        data: the values of its chart.
        markdown: the text of a text widget as HTML.
        blocks: the text of a text widget as lines.
    """

    name: str
    place: Place
    kind: Kind
    title: str
    description: str = ""
    message: str = ""
    chart: Chart | None = None
    legend: tuple[LegendEntry, ...] = ()
    numbers: tuple[Number, ...] = ()
    data: Table | None = None
    alarms: tuple[AlarmState, ...] = ()
    markdown: str = ""
    blocks: tuple[Block, ...] = ()
