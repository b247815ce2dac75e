"""The examples for CI: valid against the forms that GitHub and CodeBuild document, and commands that exist."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.support.cli import sandpiper
from tests.support.project import PROJECT

FOLDER = PROJECT / "examples" / "ci"
STEP: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "uses": {"type": "string", "pattern": r"^[\w.-]+/[\w./-]+@v\d+$"},
        "run": {"type": "string"},
        "with": {"type": "object"},
        "if": {"type": "string"},
    },
    "oneOf": [{"required": ["uses"]}, {"required": ["run"]}],
    "additionalProperties": False,
}
PERMISSIONS = {"type": "object", "additionalProperties": {"enum": ["read", "write", "none"]}}
WORKFLOW = {
    "type": "object",
    "required": ["name", "on", "permissions", "jobs"],
    "properties": {
        "permissions": PERMISSIONS,
        "jobs": {
            "additionalProperties": {
                "required": ["runs-on", "timeout-minutes", "steps"],
                "properties": {"permissions": PERMISSIONS, "steps": {"type": "array", "items": STEP}},
            }
        },
    },
}
"""https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax"""
PHASE = {
    "type": "object",
    "properties": {
        "runtime-versions": {"type": "object"},
        "commands": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["commands"],
    "additionalProperties": False,
}
BUILDSPEC = {
    "type": "object",
    "required": ["version", "phases"],
    "properties": {
        "version": {"const": 0.2},
        "env": {"properties": {"variables": {"additionalProperties": {"type": "string"}}}},
        "phases": {"properties": dict.fromkeys(("install", "pre_build", "build", "post_build"), PHASE)},
        "artifacts": {"required": ["files"]},
    },
    "additionalProperties": False,
}
"""https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html"""


def read(name: str) -> dict[str, Any]:
    """Returns the content of an example."""
    return YAML(typ="safe").load((FOLDER / name).read_text())


@pytest.mark.parametrize(("name", "schema"), [("review.yml", WORKFLOW), ("buildspec.yml", BUILDSPEC)])
def test_an_example_has_the_documented_form(name: str, schema: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(schema).iter_errors(read(name))] == []


def test_the_action_has_few_permissions_and_no_secrets() -> None:
    content = read("review.yml")
    assert content["permissions"] == {"contents": "read"}
    assert content["jobs"]["review"]["permissions"] == {"contents": "read", "security-events": "write"}
    assert "secrets." not in (FOLDER / "review.yml").read_text()


@pytest.mark.parametrize("name", ["review.yml", "buildspec.yml"])
def test_the_options_of_the_commands_exist(name: str) -> None:
    text = (FOLDER / name).read_text().replace("\\\n", " ")
    folded = re.sub(r"\n +--", " --", text)
    commands = [shlex.split(line) for line in re.findall(r"sandpiper (review .*)", folded)]
    assert commands
    known = sandpiper("review", "--help", variables={"COLUMNS": "200"}).stdout
    for command in commands:
        assert all(option in known for option in command if option.startswith("--")), command
