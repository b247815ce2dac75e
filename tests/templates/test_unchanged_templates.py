"""Compares every template with its reviewed state in golden/: only descriptions and assets may differ.

Run `REWRITE_GOLDEN=1 pytest tests/templates/test_unchanged_templates.py` after an intended change, and review the diff.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from sandpiper_constructs.template_text import template_text

if TYPE_CHECKING:
    from tests.support.assemblies import Assembly, Template

GOLDEN = Path(__file__).parent / "golden"
ENVIRONMENTS = ("local", "dev", "prod", "rich")
REWRITE = "REWRITE_GOLDEN"
UNCOMPARED_SECTIONS = {"Description"}
"""Sections of a template that hold descriptions."""
DESCRIPTIONS = {"AlarmDescription", "Comment", "Description"}
CREATE_ONLY_DESCRIPTIONS = {"AWS::BedrockAgentCore::CodeInterpreterCustom"}
"""Types that CloudFormation replaces when their description changes, so that it is compared.

`GroupDescription` of a security group is create-only too. It has another name, so it is compared as well.
"""
ASSETS = {"S3Bucket", "S3Key"}
MOVED_HANDLERS = {
    "code_runner.session_stopper.handle": "code_runner.custom_resources.session_stopper.handle",
}
"""Handlers whose module moved after the golden files were written."""


def normalized(templates: dict[str, Template]) -> list[str]:
    """Returns one line of JSON for each resource, output and condition of the templates, sorted."""
    lines: list[str] = []
    for stack, template in templates.items():
        for section, entries in template.content.items():
            if section in UNCOMPARED_SECTIONS:
                continue
            for name, entry in entries.items():
                line = {"at": f"{stack}/{section}/{name}", **_comparable(entry)}
                lines.append(json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
    return sorted(lines)


def _comparable(entry: dict[str, Any]) -> dict[str, Any]:
    kind = entry.get("Type")
    if kind == "AWS::CloudWatch::Dashboard":
        return _with_parsed(entry, "DashboardBody")
    if kind == "AWS::StepFunctions::StateMachine":
        entry = _with_parsed(entry, "DefinitionString")
    if kind == "AWS::Lambda::Function":
        return _without(entry, DESCRIPTIONS | ASSETS)
    return entry if kind in CREATE_ONLY_DESCRIPTIONS else _without(entry, DESCRIPTIONS)


def _with_parsed(resource: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns the resource with a property that is JSON in a string, or in a Fn::Join, as data."""
    properties = resource["Properties"]
    return {**resource, "Properties": {**properties, name: json.loads(template_text(properties[name]))}}


def _without(value: Any, names: set[str]) -> Any:
    """Returns the data without the strings that have one of the names, at any depth."""
    if isinstance(value, list):
        return [_without(each, names) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value).items()
        return {
            name: _without(member, names)
            for name, member in members
            if name not in names or isinstance(member, (dict, list))
        }
    return value


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_descriptions_and_assets_differ(assemblies: dict[str, Assembly], rich: Assembly, environment: str) -> None:
    lines = normalized((assemblies | {"rich": rich})[environment].templates)
    golden = GOLDEN / f"templates-{environment}.jsonl"
    if os.environ.get(REWRITE):
        golden.write_text("\n".join(lines) + "\n", encoding="utf-8")
    text = golden.read_text(encoding="utf-8")
    for old, new in MOVED_HANDLERS.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    difference = "\n".join(difflib.unified_diff(text.splitlines(), lines, "reviewed", "synthesized", n=0, lineterm=""))
    assert not difference, f"{difference}\nif this change is intended: {REWRITE}=1 pytest {Path(__file__).name}"
