"""Generates docs/contract from sandpiper_contract: JSON Schemas, and tables of fields and errors."""

from __future__ import annotations

import inspect
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper_contract.errors import APPROVAL_ERRORS, ERRORS, RunError
from sandpiper_contract.records import fields_of
from sandpiper_contract.schemas import all_records, schemas

if TYPE_CHECKING:
    from sandpiper_contract.records import Field, Record

PROJECT = Path(__file__).resolve().parents[1]
ERRORS_HEAD = """# Errors

A run without a result fails with one of these errors. A workflow matches their names in `Retry` and
`Catch`.

The message states the problem, its location and the allowed values. It never contains code or data.
Messages of the session function end with the last two columns of this table.

| Error | Cause | Retryable | Remedy |
|---|---|---|---|
"""

APPROVALS_HEAD = """
## Errors of `run-session`

An execution of `run-session` can also fail with these. Their cause is JSON with the results so far.
They trigger no [alarm](../alarms.md#faults-of-authors).

| Error | Cause |
|---|---|
"""
FIELDS_HEAD = """# Fields

The JSON objects of the contract. Unknown fields and null are rejected: omit a field to use its
default.

An integer can be written as `300` or `300.0`. JSON numbers above 2^53 lose precision.
"""


def main() -> None:
    """Writes the pages to the folder in the first argument. Default: docs/contract."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "contract"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


def pages() -> dict[str, str]:
    """Returns the text of every page by file name."""
    files = {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas().items()}
    rows = [" | ".join(_row(name, error)) for name, error in ERRORS.items()]
    records = {record.__name__: record for record in all_records()}
    fields = FIELDS_HEAD + "".join(map(_fields, records.values()))
    errors = ERRORS_HEAD + "".join(f"| {row} |\n" for row in rows)
    approvals = APPROVALS_HEAD + "".join(f"| `{name}` | {cause} |\n" for name, cause in APPROVAL_ERRORS.items())
    return files | {"fields.md": fields, "errors.md": errors + approvals}


def _fields(record: type[Record]) -> str:
    rows = [
        f"| `{field.name}` | {'required' if field.required else _default(field)} | {field.description} |"
        for field in fields_of(record)
    ]
    paragraphs = inspect.cleandoc(record.__doc__ or "").split("\n\n")
    description = "\n\n".join(
        textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False) for paragraph in paragraphs
    )
    table = ["", "| Field | Default | Description |", "|---|---|---|", *rows] if rows else []
    return "\n".join([f"\n## {record.__name__}\n", description, *table, ""])


def _default(field: Field) -> str:
    return "" if field.default is None else f"`{json.dumps(field.field_type.serialize(field.default))}`"


def _row(name: str, error: type[RunError]) -> tuple[str, ...]:
    cause = " ".join((error.__doc__ or "").split())
    return f"`{name}`", cause, error.retryable_text(), error.remedy


if __name__ == "__main__":
    main()
