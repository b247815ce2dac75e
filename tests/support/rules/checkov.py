"""Runs checkov over templates, and reads its findings and the acceptances in the templates."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sandpiper_constructs.template_text import template_text
from tests.support.project import PROJECT
from tests.support.rules.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.support.assemblies import Assembly

CHECKOV = "checkov"
COMMAND = PROJECT / "tools" / "checkov" / ".venv" / "bin" / "checkov"
OPTIONS = ("--framework", "cloudformation", "--skip-download", "--compact", "--output", "json")
"""`--skip-download`: no request leaves the machine."""
REFERENCES = {"Ref", "Fn::GetAtt"}


@dataclass(frozen=True)
class CheckovResults:
    """The results of one run.

    Attributes:
        findings: what fails if no template accepts anything, with the reasons in the templates.
        passed: the types of the resources that pass a check, by the id of the check.
        still_failed: the findings in the unchanged templates of the first assembly, which accept findings.
    """

    findings: tuple[Finding, ...]
    passed: Mapping[str, frozenset[str]]
    still_failed: tuple[Finding, ...]


def run_checkov(folder: Path, assemblies: Mapping[str, Assembly]) -> CheckovResults:
    """Runs checkov once, offline, over the templates of all assemblies.

    checkov does not report whether a check that a template accepts would fail. So it checks copies that accept nothing,
    and the first assembly's templates as they are.
    """
    for index, (name, assembly) in enumerate(assemblies.items()):
        for stack, template in assembly.templates.items():
            _write(folder / "copies" / name / f"{stack}.json", _copy(template.content))
            if index == 0:
                _write(folder / "unchanged" / name / f"{stack}.json", template.content)
    if not COMMAND.exists():
        raise ValueError(f"{COMMAND} is not installed: run make setup")
    # In the folder: checkov also searches the paths of files for secrets, and a path can look like an access key.
    command = [COMMAND, "--directory", ".", *OPTIONS]
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        report = json.loads(completed.stdout)
    except json.JSONDecodeError:
        raise ValueError(f"checkov failed: {completed.stdout}{completed.stderr}") from None
    results = report["results"]
    if results["parsing_errors"]:
        raise ValueError(f"checkov cannot read {results['parsing_errors']}")
    failed = [(check["file_path"].split("/")[1], _finding(check, assemblies)) for check in results["failed_checks"]]
    passed: dict[str, set[str]] = {}
    for check in results["passed_checks"]:
        passed.setdefault(check["check_id"], set()).add(check["resource"].split(".")[0])
    return CheckovResults(
        findings=tuple(finding for kind, finding in failed if kind == "copies"),
        passed={check: frozenset(types) for check, types in passed.items()},
        still_failed=tuple(finding for kind, finding in failed if kind == "unchanged"),
    )


def checkov_acceptances(assembly: Assembly) -> set[tuple[str, str]]:
    """Returns every acceptance: the id of the check, and the stack and logical id of the resource."""
    return {
        (check, f"{stack}/{logical_id}")
        for stack, template in assembly.templates.items()
        for logical_id, resource in template.content.get("Resources", {}).items()
        for check in _reasons(resource)
    }


def _finding(check: Mapping[str, Any], assemblies: Mapping[str, Assembly]) -> Finding:
    _, _, assembly, file = check["file_path"].split("/")
    stack = file.removesuffix(".json")
    type_, logical_id = check["resource"].split(".")
    at = f"{stack}/{logical_id}"
    reason = _reasons(assemblies[assembly][stack].content["Resources"][logical_id]).get(check["check_id"])
    return Finding(CHECKOV, check["check_id"], at, type_, reason, at if reason else None)


def _reasons(resource: Mapping[str, Any]) -> dict[str, str]:
    skipped = resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    return {each["id"]: each["comment"] for each in skipped}


def _copy(template: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the resources without metadata, and with references as text, which checkov reads in half the time."""
    return {
        "Resources": {
            name: {key: _as_text(value) for key, value in resource.items() if key != "Metadata"}
            for name, resource in template["Resources"].items()
        }
    }


def _as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_text(each) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    members = cast("dict[str, Any]", value)
    if members and members.keys() <= REFERENCES:
        return template_text(members)
    copied = {name: _as_text(member) for name, member in members.items()}
    if copied.keys() == {"Fn::Join"}:
        delimiter, parts = copied["Fn::Join"]
        return delimiter.join(map(str, parts))
    return copied


def _write(file: Path, template: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(template, indent=1))
