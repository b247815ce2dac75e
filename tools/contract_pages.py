"""Writes docs/contract from sandpiper_contract: JSON Schemas, and tables of the fields and of the errors."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper_contract.errors import ERRORS, RunError
from sandpiper_contract.records import fields_of
from sandpiper_contract.schemas import all_records, schemas

if TYPE_CHECKING:
    from sandpiper_contract.records import Field, Record

PROJECT = Path(__file__).resolve().parents[1]
ERRORS_HEAD = """# Errors

A run without a result ends with one of these names, and with no other of the product's; a workflow matches them in
`Retry` and `Catch`. The message says what happened, to what, and what is allowed; the session function's ends with what
the last two columns say. It repeats no code and no data.

| Error | What happened | Send again as it is | What to do |
|---|---|---|---|
"""

FIELDS_HEAD = """# Fields

Every record of the contract, as its JSON has it. A field that is not named here is refused, and so is null: leave out
what is not meant. A whole number may be written `300` or `300.0`; above 2^53 JSON's numbers are not exact.
"""


def main() -> None:
    """Writes the pages into the folder that is named, or into docs/contract."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "contract"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


def pages() -> dict[str, str]:
    """Every page by its file's name."""
    found = {f"{name}.json": json.dumps(schema, indent=2) + "\n" for name, schema in schemas().items()}
    rows = [" | ".join(_row(name, error)) for name, error in ERRORS.items()]
    records = {record.__name__: record for record in all_records()}
    fields = FIELDS_HEAD + "".join(map(_fields, records.values()))
    return found | {"fields.md": fields, "errors.md": ERRORS_HEAD + "".join(f"| {row} |\n" for row in rows)}


def _fields(record: type[Record]) -> str:
    rows = [
        f"| `{field.name}` | {'required' if field.required else _default(field)} | {field.description} |"
        for field in fields_of(record)
    ]
    about = inspect.cleandoc(record.__doc__ or "")
    return (
        f"\n## {record.__name__}\n\n{about}\n\n| Field | Default | What it is |\n|---|---|---|\n"
        + "\n".join(rows)
        + "\n"
    )


def _default(field: Field) -> str:
    return "" if field.default is None else f"`{json.dumps(field.field_type.serialize(field.default))}`"


def _row(name: str, error: type[RunError]) -> tuple[str, ...]:
    happened = " ".join((error.__doc__ or "").split())
    return f"`{name}`", happened, "yes" if error.retryable else "no", error.remedy


if __name__ == "__main__":
    main()
