"""A query: commands that each change the rows, and the fields that are returned.

Supported: `fields`, `display`, `filter`, `parse`, `stats`, `sort`, `limit` and `dedup`.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.logs_insights.aggregates import NAMES, Aggregate, aggregate
from local_aws.cloudwatch.logs_insights.expressions import compile_pattern, parse_expression
from local_aws.cloudwatch.logs_insights.expressions import field as field_of
from local_aws.cloudwatch.logs_insights.lambda_fields import lambda_fields
from local_aws.cloudwatch.logs_insights.tokens import Reader
from local_aws.cloudwatch.logs_insights.values import (
    OPERATORS,
    Expression,
    Row,
    Time,
    Value,
    boolean,
    flatten,
    number,
    text,
)

DEFAULT_LIMIT = 10_000
DEFAULT_FIELDS = ("@timestamp", "@message")
TIMES = ("@timestamp", "@ingestionTime")
Command = Callable[[list[Row]], list[Row]]


@dataclass
class Query:
    """A parsed query.

    Attributes:
        commands: What changes the rows, in order.
        columns: The fields that are returned, or None for the default ones.
        limit: The maximum number of rows, or None.
        is_sorted: Whether the query orders its rows.
    """

    commands: list[Command] = field(default_factory=list[Command])
    columns: list[str] | None = None
    limit: int | None = None
    is_sorted: bool = False

    def run(self, records: Sequence[Mapping[str, Any]], limit: int | None = None) -> tuple[list[dict[str, str]], int]:
        """Returns the rows of the result, and the number of records that match the filters.

        Args:
            records: Log events with their system fields; times in milliseconds.
            limit: A limit besides that of the query.
        """
        rows = [_row(record) for record in records]
        if not self.is_sorted:
            rows.sort(key=lambda row: number(row["@timestamp"]) or 0, reverse=True)
        for command in self.commands:
            rows = command(rows)
        limits = [each for each in (self.limit, limit) if each is not None]
        shown = rows[: min(limits, default=DEFAULT_LIMIT)]
        columns = self.columns or DEFAULT_FIELDS
        return [_shown(row, columns) for row in shown], len(rows)


def _shown(row: Row, columns: Sequence[str]) -> dict[str, str]:
    found = {name: row.get(name) for name in dict.fromkeys(columns)}
    return {name: text(value) or "" for name, value in found.items() if value is not None}


def _row(record: Mapping[str, Any]) -> Row:
    """Returns the fields of a log event: those of its JSON message, and the system fields."""
    row: Row = {}
    message = record["@message"]
    if message[message.find("{") :].startswith("{"):
        try:
            document = json.loads(message)
        except (ValueError, RecursionError):
            document = None
        row = flatten(document) if isinstance(document, dict) else {}  # pyright: ignore[reportUnknownArgumentType] - JSON
    times = {name: Time(record[name]) for name in TIMES}
    return row | lambda_fields(message) | dict(record) | times


def parse(text: str) -> Query:
    """Returns a parsed query.

    Raises:
        InvalidQueryError: The syntax is invalid, or a command is not supported.
    """
    reader, query = Reader(text), Query()
    while True:
        name = reader.expect_kind("field").text
        command = COMMANDS.get(name.lower())
        if command is None:
            raise InvalidQueryError(f"The command {name} is not supported; allowed: {' | '.join(COMMANDS)}")
        command(reader, query)
        if reader.next.kind == "end":
            return query
        reader.expect("|")
        if reader.next.kind == "end":
            reader.fail("a command")


def _fields(reader: Reader, query: Query) -> None:
    columns = _columns(reader, query)
    query.columns = [*(query.columns or ()), *columns]


def _display(reader: Reader, query: Query) -> None:
    query.columns = _columns(reader, query)


def _columns(reader: Reader, query: Query) -> list[str]:
    """Reads expressions with optional names, and adds their values to the rows. Returns their names."""
    named = _named(reader, parse_expression)

    def compute(rows: list[Row]) -> list[Row]:
        return [row | {name: expression(row) for name, expression in named} for row in rows]

    query.commands.append(compute)
    return [name for name, _ in named]


def _named(reader: Reader, parse_one: Callable[[Reader], Any]) -> list[tuple[str, Any]]:
    """Reads items that are separated by commas, each with its name: that after `as`, or its text."""
    items: list[tuple[str, Any]] = []
    while True:
        start = reader.next
        item = parse_one(reader)
        written = reader.text_since(start)
        name = reader.expect_kind("field").value if reader.accept("as") else written
        items.append((name, item))
        if not reader.accept(","):
            return items


def _filter(reader: Reader, query: Query) -> None:
    condition = parse_expression(reader)
    query.commands.append(lambda rows: [row for row in rows if boolean(condition(row))])


def _limit(reader: Reader, query: Query) -> None:
    limit = int(reader.expect_kind("number").text)
    query.limit = limit
    query.commands.append(lambda rows: rows[:limit])


def _sort(reader: Reader, query: Query) -> None:
    keys: list[tuple[Expression, bool]] = []
    while True:
        expression = parse_expression(reader)
        direction = reader.accept("asc", "desc")
        keys.append((expression, direction is not None and direction.text.lower() == "desc"))
        if not reader.accept(","):
            break
    query.is_sorted = True

    def sort(rows: list[Row]) -> list[Row]:
        for expression, is_descending in reversed(keys):
            rows = sorted(rows, key=lambda row: _sort_key(expression(row)), reverse=is_descending)
        return rows

    query.commands.append(sort)


def _sort_key(value: Value) -> tuple[int, float, str]:
    as_number = number(value)
    return (2, as_number, "") if as_number is not None else (0 if value is None else 1, 0, text(value) or "")


def _dedup(reader: Reader, query: Query) -> None:
    names = [name for name, _ in _named(reader, parse_expression)]

    def dedup(rows: list[Row]) -> list[Row]:
        kept: dict[tuple[str | None, ...], Row] = {}
        for row in rows:
            key = tuple(text(row.get(name)) for name in names)
            if None not in key:
                kept.setdefault(key, row)
        return list(kept.values())

    query.commands.append(dedup)


def _parse(reader: Reader, query: Query) -> None:
    token = reader.next
    source = field_of("@message") if token.kind in ("string", "regex") else parse_expression(reader)
    token = reader.expect_kind("string", "regex")
    if token.kind == "regex":
        pattern = compile_pattern(token.value)
        names = list(pattern.groupindex)
    else:
        pattern = compile_pattern("".join(map(_glob_part, re.split(r"(\*)", token.value))))
        reader.expect("as")
        names = [reader.expect_kind("field").value]
        while reader.accept(","):
            names.append(reader.expect_kind("field").value)
    if pattern.groups != len(names):
        raise InvalidQueryError(f"The pattern of parse has {pattern.groups} parts and {len(names)} names")

    def extract(rows: list[Row]) -> list[Row]:
        matches = ((row, pattern.search(text(source(row)) or "")) for row in rows)
        return [row if found is None else row | dict(zip(names, found.groups(), strict=True)) for row, found in matches]

    query.commands.append(extract)


def _glob_part(part: str) -> str:
    return "(.*?)" if part == "*" else re.escape(part) if part else ""


def _stats(reader: Reader, query: Query) -> None:
    aggregates = _named(reader, _aggregate)
    groups = _named(reader, parse_expression) if reader.accept("by") else []
    query.columns = [name for name, _ in (*groups, *aggregates)]
    query.is_sorted = True

    def compute(rows: list[Row]) -> list[Row]:
        grouped: defaultdict[tuple[Value, ...], list[Row]] = defaultdict(list)
        for row in rows:
            grouped[tuple(expression(row) for _, expression in groups)].append(row)
        names = [name for name, _ in groups]
        results = dict(aggregates)
        return [
            dict(zip(names, key, strict=True)) | {name: apply(members) for name, apply in results.items()}
            for key, members in grouped.items()
        ]

    query.commands.append(compute)


def _aggregate(reader: Reader) -> Aggregate:
    """Reads an aggregation, which arithmetic can combine with others and with numbers."""
    left = _term(reader)
    while operator := reader.accept("+", "-", "*", "/"):
        left = _combined(operator.text, left, _term(reader))
    return left


def _combined(operator: str, left: Aggregate, right: Aggregate) -> Aggregate:
    return lambda rows: OPERATORS[operator](left(rows), right(rows))


def _term(reader: Reader) -> Aggregate:
    if reader.next.kind == "number":
        value = float(reader.read().text)
        return lambda _: value
    if reader.accept("("):
        inner = _aggregate(reader)
        reader.expect(")")
        return inner
    name = reader.expect(*NAMES).text.lower()
    reader.expect("(")
    arguments: list[Expression] = []
    if reader.accept("*"):
        reader.expect(")")
    elif not reader.accept(")"):
        arguments.append(parse_expression(reader))
        while reader.expect(",", ")").text == ",":
            arguments.append(parse_expression(reader))
    return aggregate(name, arguments)


COMMANDS: dict[str, Callable[[Reader, Query], None]] = {
    "fields": _fields,
    "display": _display,
    "filter": _filter,
    "parse": _parse,
    "stats": _stats,
    "sort": _sort,
    "limit": _limit,
    "dedup": _dedup,
}
