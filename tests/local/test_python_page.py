"""The page on sessions in Python: each of its programs runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from local_aws.running_instance import RunningInstance

PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
PRINTED = [
    ["42"],
    ["x   y", "5  5  25", "6  6  36", "7  7  49", "8  8  64", "9  9  81"],
    ["42"],
    ["figure-1.png image/png SIZE SIZE", "summary.csv text/csv 169 169", "[]"],
    [],
    ["s3://my-bucket/runs/2026-11-21/files/total.txt"],
    ["completed 0 ['score.txt']"],
]

pytestmark = pytest.mark.skipif(ON_AWS, reason="the page makes a bucket")


@pytest.mark.parametrize(("program", "printed"), list(zip(PROGRAMS, PRINTED, strict=True)))
def test_a_program_of_the_page_prints_what_it_is_for(aws: RunningInstance, program: str, printed: list[str]) -> None:
    """In their order: one of them makes the bucket of the next."""
    assert aws.agentcore_url
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [re.sub(r"(?<=png )\d{4,} \d{4,}", "SIZE SIZE", line) for line in done.stdout.splitlines()] == printed
    data: Any = boto3.client("bedrock-agentcore")
    assert (
        data.list_code_interpreter_sessions(codeInterpreterIdentifier=MANAGED_INTERPRETER, status="READY")["items"]
        == []
    )
