"""The previous release's templates, reduced to what decides whether an upgrade replaces or removes a resource.

When a version is released, `python -m tests.support.released_templates` writes the files `released-*.jsonl` from the
reviewed templates. Until the next release, a test compares the synthesized templates with them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.create_only import update_effect
from sandpiper.plan.resource_types import BUCKET, FUNCTION, INTERPRETER, KEY, LOG_GROUP, ROLE, WORKFLOW
from sandpiper.plan.template import Template
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sandpiper.plan.target import DeploymentTarget

GOLDEN = PROJECT / "tests" / "templates" / "golden"
ENVIRONMENTS = ("local", "dev", "prod", "rich")
PARAMETER = "AWS::SSM::Parameter"
SESSION_STOPPER_ENTRY = "Custom::SandpiperLiveSessions"
TYPES = (
    *(INTERPRETER, BUCKET, KEY, LOG_GROUP, ROLE, FUNCTION, WORKFLOW, PARAMETER, SESSION_STOPPER_ENTRY),
    *(f"AWS::EC2::{name}" for name in ("VPC", "Subnet", "SecurityGroup", "VPCEndpoint")),
)
"""Types that have state, that other resources or files refer to, or whose removal ends sessions."""
INPUTS_OF_OTHERS = {PARAMETER: ("Value",)}
"""Properties that can change in place, and that create-only properties of other resources contain."""
POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")


def reduce(content: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a template with the resources of TYPES, their create-only properties and their deletion policies.

    The output with the keys of interpreters is kept too: the plan names interpreters by them.
    """
    outputs = content.get("Outputs", {})
    return {
        "Resources": {name: _reduce(one) for name, one in content["Resources"].items() if one["Type"] in TYPES},
        "Outputs": {name: outputs[name] for name in ("Interpreters",) if name in outputs},
    }


def _reduce(resource: Mapping[str, Any]) -> dict[str, Any]:
    kind = resource["Type"]
    kept = {
        name: value
        for name, value in resource.get("Properties", {}).items()
        if update_effect(kind, name) != "in place" or name in INPUTS_OF_OTHERS.get(kind, ())
    }
    return {"Type": kind, "Properties": kept, **{name: resource[name] for name in POLICIES if name in resource}}


def released(environment: str, target: DeploymentTarget) -> dict[str, Template]:
    """Returns the reduced templates of the previous release by stack."""
    contents = _from_lines((GOLDEN / f"released-{environment}.jsonl").read_text(encoding="utf-8").splitlines())
    return {stack: Template(stack, content, target) for stack, content in contents.items()}


def write(environment: str) -> None:
    """Writes the file of an environment from its reviewed templates."""
    reviewed = (GOLDEN / f"templates-{environment}.jsonl").read_text(encoding="utf-8").splitlines()
    contents = {stack: reduce(content) for stack, content in _from_lines(reviewed).items()}
    text = "".join(f"{line}\n" for line in _to_lines(contents))
    (GOLDEN / f"released-{environment}.jsonl").write_text(text, encoding="utf-8")


def _to_lines(contents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns one line of JSON for each entry of the templates, sorted."""
    return sorted(
        json.dumps({"at": f"{stack}/{section}/{name}", **entry}, sort_keys=True, separators=(",", ":"))
        for stack, content in contents.items()
        for section, entries in content.items()
        for name, entry in entries.items()
    )


def _from_lines(lines: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Returns the templates of such lines by stack."""
    contents: dict[str, dict[str, Any]] = {}
    for line in lines:
        entry = cast("dict[str, Any]", json.loads(line))
        stack, section, name = str(entry.pop("at")).split("/", 2)
        contents.setdefault(stack, {"Resources": {}}).setdefault(section, {})[name] = entry
    return contents


if __name__ == "__main__":
    for each in ENVIRONMENTS:
        write(each)
