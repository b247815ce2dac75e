"""Definitions of state machines in templates, and their validation."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

from sandpiper_constructs.template_text import template_text
from tests.support.account import ACCOUNT, REGION
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = PROJECT / "tests" / "templates" / "asl" / "node_modules" / ".bin" / "asl-validator"


def definition_of(machine: dict[str, Any]) -> dict[str, Any]:
    """Returns the definition of a state machine with an ARN in place of the function's attribute."""
    text = template_text(machine["DefinitionString"]).replace("<AWS::Partition>", "aws")
    return json.loads(re.sub("<[^<>]+[.]Arn>", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:session", text))


def validate(definition: dict[str, Any], file: Path) -> None:
    """Fails if `asl-validator` rejects a definition, which is written to the file."""
    file.write_text(json.dumps(definition))
    process = subprocess.run([VALIDATOR, "--json-path", file], capture_output=True, text=True)
    assert process.returncode == 0, process.stdout + process.stderr
