"""Tests the JSON Schema of environment files, which is generated from the types that read them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from sandpiper.environment import InvalidEnvironment, load
from sandpiper.environment.schema import schema
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((PROJECT / "environments").glob("*.yaml"))
GOOD = """\
name: dev
account: "111122223333"
region: eu-west-1
owner: platform team
network:
logs:
tenants:
  claims:
    interpreters:
      sandbox:
      web:
        network: PUBLIC
        reason: Packages from PyPI
        owner: platform team
        expires: "2999-06-30"
      inside:
        network: VPC
        read: [s3://bucket/a/, {uri: s3://bucket/b/, account: "444455556666"}]
availability_zones: {eu-west-1a: euw1-az1, eu-west-1b: euw1-az2}
"""
BROKEN = {
    "an unknown key": ("logs:", "log:"),
    "an unknown key of an interpreter": ("sandbox:", "sandbox: {reason: mine}"),
    "a number for text": ('"111122223333"', "111122223333"),
    "an invalid name": ("name: dev", "name: de-v"),
    "an invalid retention": ("logs:", "logs: {retention_days: 31}"),
    "an unknown network": ("PUBLIC", "NAT"),
    "a missing option": ("        reason: Packages from PyPI\n", ""),
    "a reserved name": ("claims:", "fleet:"),
    "an invalid key": ("inside:", "In_side:"),
    "neither tenants nor interpreters": (GOOD[GOOD.index("tenants:") : GOOD.index("availability")], ""),
    "both tenants and interpreters": ("logs:", "interpreters: {sandbox: }"),
    "too many": (
        "sandbox:",
        "sandbox: {callers: [" + ", ".join(["arn:aws:iam::111122223333:role/a"] * 51) + "]}",
    ),
    "a folder without a trailing slash": ("s3://bucket/b/", "s3://bucket/b"),
    "a short folder without a trailing slash": ("s3://bucket/a/", "s3://bucket/a"),
}


def _parsed(text: str) -> Any:
    """Returns the document as an editor parses it: a date is text."""
    loaded: object = YAML(typ="safe", pure=True).load(text)
    return json.loads(json.dumps(loaded, default=str))


def _errors(text: str) -> list[str]:
    validator = Draft202012Validator(schema())
    return [error.message for error in validator.iter_errors(_parsed(text))]


def test_schema_file_is_current(tmp_path: Path) -> None:
    generated = tmp_path / "schema.json"
    subprocess.run([sys.executable, str(PROJECT / "tools" / "environment_schema.py"), str(generated)], check=True)
    expected = (PROJECT / "docs" / "environment.schema.json").read_text()
    assert generated.read_text() == expected, "run: python tools/environment_schema.py"


def test_schema_is_valid_and_every_option_has_a_title_and_a_description() -> None:
    root = schema()
    assert root["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]
    Draft202012Validator.check_schema(root)
    for model in (root, *root["$defs"].values()):
        assert model["additionalProperties"] is False
        properties = cast("dict[str, dict[str, Any]]", model["properties"])
        for name, option in properties.items():
            assert option["title"], name
            assert option["description"], name
            assert not (option.get("type") == "array" and "maxLength" in option), name


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_repository_environments_reference_the_schema_and_match_it(file: Path) -> None:
    text = file.read_text()
    marker, _, address = text.splitlines()[0].partition("=")
    assert marker == "# yaml-language-server: $schema"
    assert (file.parent / address).resolve() == PROJECT / "docs" / "environment.schema.json"
    assert _errors(text) == []


def test_valid_file_matches_the_schema(tmp_path: Path) -> None:
    assert _errors(GOOD) == []
    file = tmp_path / "dev.yaml"
    file.write_text(GOOD.replace('"2999-06-30"', "2999-06-30"))
    assert load(file)


@pytest.mark.parametrize(("before", "after"), BROKEN.values(), ids=BROKEN)
def test_invalid_file_does_not_match_the_schema(tmp_path: Path, before: str, after: str) -> None:
    assert GOOD.count(before) == 1
    broken = GOOD.replace(before, after)
    assert _errors(broken)
    file = tmp_path / "dev.yaml"
    file.write_text(broken.replace('"2999-06-30"', "2999-06-30"))
    with pytest.raises(InvalidEnvironment):
        load(file)
