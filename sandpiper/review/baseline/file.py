"""The file of an approval: JSON in a stable order with one grant per line, so that its changes can be read in git."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.review.baseline.entries import Entry, entries_of
from sandpiper.review.reading.document import read_limited
from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.json_text import parse_json
from sandpiper.review.reading.values import as_list, as_mapping, as_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from sandpiper.review.result import Review

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
_REMEDY = "name a file that `sandpiper review --approve` has written"


@dataclass(frozen=True)
class Baseline:
    """What a reviewer has approved.

    Attributes:
        name: The name of the review.
        approved_by: The name of the reviewer.
        approved_on: The day of the approval.
        entries: The grants and limits by key.
        findings: The findings by key, each with its rule and its resource.
    """

    name: str
    approved_by: str
    approved_on: datetime.date
    entries: Mapping[str, Entry]
    findings: Mapping[str, str]


def approve(review: Review, name: str) -> Baseline:
    """Returns the approval of everything in a review by a person or a team."""
    findings = {one.key: f"{one.severity.word} {one.rule_id} {one.resource}".strip() for one in review.findings}
    return Baseline(review.model.name, name, review.date, entries_of(review.model), findings)


def to_text(baseline: Baseline) -> str:
    """Returns the content of the file."""
    entries = baseline.entries.values()
    grants = [_row(key=one.key, holder=one.holder, text=one.sentence) for one in entries if one.is_grant]
    limits = [_row(key=one.key, holder=one.holder, text=one.sentence) for one in entries if not one.is_grant]
    findings = sorted(baseline.findings.items(), key=lambda one: (one[1], one[0]))
    lines = [
        f'  "version": {VERSION}',
        f'  "name": {json.dumps(baseline.name)}',
        f'  "approvedBy": {json.dumps(baseline.approved_by)}',
        f'  "approvedOn": "{baseline.approved_on}"',
        _section("grants", grants),
        _section("limits", limits),
        _section("findings", [_row(key=key, text=text) for key, text in findings]),
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _row(**fields: str) -> str:
    return f"    {json.dumps(fields)}"


def _section(name: str, rows: Iterable[str]) -> str:
    content = ",\n".join(rows)
    return f'  "{name}": [\n{content}\n  ]' if content else f'  "{name}": []'


def read_baseline(path: Path) -> Baseline:
    """Reads the file of an approval.

    Raises:
        TemplateError: The file cannot be read, or is not an approval.
    """
    name = str(path)
    try:
        text = read_limited(path, name, MAX_BYTES).decode()
    except UnicodeDecodeError:
        raise TemplateError(name, "is not UTF-8", _REMEDY) from None
    content = as_mapping(parse_json(text, name, limited=False))
    if content.get("version") != VERSION:
        raise TemplateError(name, f"is not an approval of version {VERSION}", _REMEDY)
    try:
        approved_on = datetime.date.fromisoformat(as_text(content.get("approvedOn")))
    except ValueError:
        raise TemplateError(name, "has no date in approvedOn (YYYY-MM-DD)", _REMEDY) from None
    entries = [*_entries(name, content, "grants"), *_entries(name, content, "limits")]
    return Baseline(
        name=as_text(content.get("name")),
        approved_by=as_text(content.get("approvedBy")),
        approved_on=approved_on,
        entries={one.key: one for one in entries},
        findings={row["key"]: row["text"] for row in _rows(name, content, "findings", ("key", "text"))},
    )


def _entries(name: str, content: Mapping[str, Any], section: str) -> Iterator[Entry]:
    for row in _rows(name, content, section, ("key", "holder", "text")):
        yield Entry(row["key"], row["holder"], row["text"], section == "grants")


def _rows(name: str, content: Mapping[str, Any], section: str, fields: tuple[str, ...]) -> Iterator[dict[str, str]]:
    if not isinstance(content.get(section), list):
        raise TemplateError(name, f"has no list {section}", _REMEDY)
    for number, item in enumerate(as_list(content[section]), start=1):
        row = as_mapping(item)
        if set(row) != set(fields) or not all(isinstance(value, str) for value in row.values()):
            raise TemplateError(name, f"item {number} of {section} does not have exactly {', '.join(fields)}", _REMEDY)
        yield {key: as_text(value) for key, value in row.items()}
