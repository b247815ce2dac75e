"""Prints the reserve of one claim. `sandpiper run --batch` runs it for each line of claims.jsonl."""

import json
from pathlib import Path

claim = json.loads(Path("item.json").read_text())
print(f"{claim['claim']}: reserve ${claim['amount'] * 1.15:,.0f}")
