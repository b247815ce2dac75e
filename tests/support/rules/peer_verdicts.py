"""Runs checkov, cdk-nag and Prowler's table of escalations over templates that are not those of this project."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.assemblies import new_app
from tests.support.project import PROJECT
from tests.support.rules.cdk_nag import nag_findings, synthesize_with_packs
from tests.support.rules.checkov import COMMAND, OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import aws_cdk as cdk

    from tests.support.review_templates import Template

PROWLER = PROJECT / "tools" / "prowler"
POLICY_TYPES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
Found = dict[str, set[tuple[str, str]]]
"""By template: the rule and the logical ID of the resource of each finding."""


@dataclass(frozen=True)
class PeerVerdicts:
    """The findings of one tool, and the names of the templates that it cannot read."""

    found: Found
    unreadable: frozenset[str] = frozenset()


def by_checkov(folder: Path, templates: Mapping[str, Template]) -> PeerVerdicts:
    """Runs checkov once over all templates, offline."""
    _write(folder, templates)
    command = [COMMAND, "--directory", ".", *OPTIONS]
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    results = json.loads(completed.stdout)["results"]
    found: Found = {name: set() for name in templates}
    for check in results["failed_checks"]:
        name = check["file_path"].removeprefix("/").removesuffix(".json")
        found[name].add((check["check_id"], check["resource"].rpartition(".")[2]))
    return PeerVerdicts(
        found, frozenset(one.rpartition("/")[2].removesuffix(".json") for one in results["parsing_errors"])
    )


def by_cdk_nag(folder: Path, templates: Mapping[str, Template]) -> PeerVerdicts:
    """Runs all rule packs of cdk-nag once, over an app that includes the templates as stacks."""
    _write(folder / "templates", templates)
    readable = [name for name in templates if _is_readable(folder, name)]

    def fill(app: cdk.App) -> None:
        for name in readable:
            _include(app, folder, name)

    found: Found = {name: set() for name in templates}
    for one in nag_findings(synthesize_with_packs(folder / "all", fill)):
        name, _, logical_id = one.at.split("/")[:3]
        found[name].add((one.rule, logical_id))
    return PeerVerdicts(found, frozenset(templates.keys() - set(readable)))


def by_prowler(templates: Mapping[str, Template]) -> PeerVerdicts:
    """Applies Prowler's table of escalations to each policy of each identity, as Prowler does in an account."""
    policies = [(name, *each) for name, template in templates.items() for each in _policies(template)]
    command = [PROWLER / ".venv" / "bin" / "python", PROWLER / "escalations.py"]
    given = json.dumps([document for _, _, document in policies])
    completed = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: Found = {name: set() for name in templates}
    for (name, logical_id, _), combinations in zip(policies, json.loads(completed.stdout), strict=True):
        found[name] |= {(combination, logical_id) for combination in combinations}
    return PeerVerdicts(found)


def _policies(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    for logical_id, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [one["PolicyDocument"] for one in properties.get("Policies", ())]
        if resource["Type"] in POLICY_TYPES:
            documents.append(properties["PolicyDocument"])
        yield from ((logical_id, one) for one in documents if one["Statement"])


def _is_readable(folder: Path, name: str) -> bool:
    """Returns whether the CDK can include a template: it knows all functions, and no required property is missing."""
    app = new_app(folder / "alone" / name)
    try:
        _include(app, folder, name)
        app.synth()
    except RuntimeError:
        return False
    return True


def _include(app: cdk.App, folder: Path, name: str) -> None:
    from aws_cdk import Stack
    from aws_cdk.cloudformation_include import CfnInclude

    CfnInclude(Stack(app, name), "Template", template_file=str(folder / "templates" / f"{name}.json"))


def _write(folder: Path, templates: Mapping[str, Template]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, template in templates.items():
        (folder / f"{name}.json").write_text(json.dumps(template, indent=1))
