"""Writes docs/contract from sandpiper_contract: a JSON Schema for every request and result, and the table of errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sandpiper_contract.errors import ERRORS, RunError
from sandpiper_contract.schemas import schemas

PROJECT = Path(__file__).resolve().parents[1]
ERRORS_HEAD = """# Errors

A run without a result ends with one of these names, and with no other of the product's; a workflow matches them in
`Retry` and `Catch`. The message says what happened, to what, and what is allowed. It repeats no code and no data.

| Error | What happened | Send again as it is | What to do |
|---|---|---|---|
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
    return found | {"errors.md": ERRORS_HEAD + "".join(f"| {row} |\n" for row in rows)}


def _row(name: str, error: type[RunError]) -> tuple[str, ...]:
    happened = " ".join((error.__doc__ or "").split())
    return f"`{name}`", happened, "yes" if error.retryable else "no", error.remedy


if __name__ == "__main__":
    main()
