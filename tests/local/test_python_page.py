"""Runs each program of the page on sessions in Python unchanged."""

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
EXPECTED_OUTPUT = [
    ["42"],
    ["x   y", "5  5  25", "6  6  36", "7  7  49", "8  8  64", "9  9  81"],
    ["42"],
    ["figure-1.png image/png SIZE SIZE", "summary.csv text/csv 169 169", "[]"],
    [],
    ["s3://my-bucket/runs/2026-11-21/files/total.txt"],
    ["True 124", "True"],
    ["completed 0 ['score.txt']"],
]

pytestmark = pytest.mark.skipif(ON_AWS, reason="the page creates a bucket")


@pytest.mark.parametrize(("program", "printed"), list(zip(PROGRAMS, EXPECTED_OUTPUT, strict=True)))
def test_program_of_the_page_prints_the_expected_output(aws: RunningInstance, program: str, printed: list[str]) -> None:
    """The order of the programs matters: one creates the bucket of the next."""
    assert aws.agentcore_url
    process = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert [re.sub(r"(?<=png )\d{4,} \d{4,}", "SIZE SIZE", line) for line in process.stdout.splitlines()] == printed
    data: Any = boto3.client("bedrock-agentcore")
    assert (
        data.list_code_interpreter_sessions(codeInterpreterIdentifier=MANAGED_INTERPRETER, status="READY")["items"]
        == []
    )
