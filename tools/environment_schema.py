"""Writes docs/environment.schema.json, for editors, from the types of `sandpiper.environment`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sandpiper.environment.schema import schema

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Writes the schema to the file in the first argument, or to docs/environment.schema.json."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "environment.schema.json"
    file.write_text(json.dumps(schema(), indent=2) + "\n")


if __name__ == "__main__":
    main()
