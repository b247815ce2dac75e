"""The AWS facts of the contract match the data of botocore."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore
import pytest

from sandpiper_contract.aws import INTERPRETER_ID, dns_suffix_of, partition_of
from tests.support.project import PROJECT

DATA = json.loads((Path(botocore.__file__).parent / "data" / "partitions.json").read_text(encoding="utf-8"))
PARTITIONS: list[dict[str, Any]] = DATA["partitions"]
ONE_DEFINITION = {
    "bootstrap qualifier": "hnb659fds",
    "managed interpreter": "aws.codeinterpreter.v1",
    "tag": "sandpiper:environment",
    "type of the session stopper's resource": "Custom::SandpiperLiveSessions",
    "partition": "aws-us-gov",
}
SOURCES = ("app.py", "stacks", "sandpiper", "constructs", "contract", "lambda", "examples/charting_agent")


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda partition: partition["id"])
def test_each_region_is_in_its_partition(partition: dict[str, Any]) -> None:
    regions = [region for region in partition["regions"] if re.fullmatch(partition["regionRegex"], region)]
    assert regions
    assert {partition_of(region) for region in regions} == {partition["id"]}


@pytest.mark.parametrize("partition", PARTITIONS, ids=lambda partition: partition["id"])
def test_each_partition_has_its_dns_suffix(partition: dict[str, Any]) -> None:
    assert dns_suffix_of(partition["id"]) == partition["outputs"]["dnsSuffix"]


def test_an_interpreter_id_is_a_name_and_ten_characters() -> None:
    assert re.fullmatch(INTERPRETER_ID, "local__demo__sandbox_0a1b2c3d-AbCdEfGhIj")
    assert not re.fullmatch(INTERPRETER_ID, "local-demo-AbCdEfGhIj")


@pytest.mark.parametrize("fact", ONE_DEFINITION.values(), ids=ONE_DEFINITION)
def test_a_fact_has_one_definition(fact: str) -> None:
    files = (
        file for source in SOURCES for file in [PROJECT / source, *(PROJECT / source).rglob("*.py")] if file.is_file()
    )
    defined_in = [
        str(file.relative_to(PROJECT))
        for file in files
        if not {".venv", "build"} & set(file.parts)
        # Lines of doctests are examples.
        if re.search(rf'^(?!\s*(>>>|\.\.\.)).*[=:] "{re.escape(fact)}"', file.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert defined_in == ["contract/sandpiper_contract/aws.py"]
