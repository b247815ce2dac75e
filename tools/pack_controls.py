"""Writes the controls that the rule packs of cdk-nag assign to the requirements of the review.

    python tools/pack_controls.py [FILE]

FILE is `sandpiper/review/controls/pack_controls.json` by default.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sandpiper.review.controls.requirements import REQUIREMENTS
from sandpiper.review.controls.standards import CIS, STANDARDS
from tests.support.rules.pack_rules import pack_rules, without_enhancements

PROJECT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Writes the file."""
    target = PROJECT / "sandpiper" / "review" / "controls" / "pack_controls.json"
    (Path(sys.argv[1]) if len(sys.argv) > 1 else target).write_text(content())


def content() -> str:
    """Returns the JSON: the controls by the name of the requirement and the name of the pack."""
    names = {one.name for one in REQUIREMENTS}
    found: dict[str, dict[str, list[str]]] = {}
    for pack in STANDARDS.keys() - {CIS}:
        for rule in pack_rules(pack):
            if rule.name in names:
                found.setdefault(rule.name, {})[pack] = list(without_enhancements(rule.controls))
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
