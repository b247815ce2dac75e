"""An upgrade from the previous release replaces and removes no interpreter, bucket or key.

Other resources are replaced or removed only with a reason in REVIEWED. The comparison is that of `sandpiper plan`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from sandpiper.plan.interpreters import compare_interpreters
from sandpiper.plan.matching import match_resources, resource_changes
from sandpiper.plan.resource_types import BUCKET, INTERPRETER, KEY
from sandpiper.plan.target import DeploymentTarget
from sandpiper.plan.template import Template
from tests.support.released_templates import ENVIRONMENTS, POLICIES, reduce, released

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.assemblies import Assembly


class Replacement(NamedTuple):
    """A resource that an upgrade replaces or removes, or perhaps replaces.

    Attributes:
        type: its CloudFormation type.
        cause: `removed`, `logical ID`, or the path of the property whose change replaces it.
    """

    type: str
    cause: str


NEVER = (INTERPRETER, BUCKET, KEY)
"""Types of which every replacement loses sessions or data."""
CHECKED = ("Value", *POLICIES)
"""Properties and attributes whose changes are reviewed too, although they replace nothing themselves."""
_LOGS = "AWS::Logs::LogGroup"
REVIEWED: dict[Replacement, str] = {
    Replacement(_LOGS, "LogGroupName"): "the name contains the ID of the stack; the old log group is retained",
    Replacement(_LOGS, "DeletionPolicy"): "logs outlive their tenant",
    Replacement(_LOGS, "UpdateReplacePolicy"): "logs outlive their tenant",
}
"""Other replacements since the previous release, with the reason why each is acceptable. Empty after a release."""


def replacements(before: dict[str, Template], after: dict[str, Template]) -> dict[Replacement, list[str]]:
    """Returns the labels of resources that an upgrade replaces or removes, by type and cause."""
    found: dict[Replacement, list[str]] = {}
    for stack, old in before.items():
        for label, replacement in _of_stack(old, after.get(stack)):
            found.setdefault(replacement, []).append(f"{stack}: {label}")
    return found


def _of_stack(before: Template, after: Template | None) -> Iterator[tuple[str, Replacement]]:
    for change in compare_interpreters(before, after, {}, lambda _: ()):
        if change.change in ("deleted", "replaced"):
            causes = [each.path for each in change.because if each.effect != "in place"] or ["removed"]
            yield from ((change.interpreter, Replacement(INTERPRETER, cause)) for cause in causes)
    for label, (was, now) in match_resources(before, after):
        if was is None or was.type == INTERPRETER:
            continue
        if now is None or after is None:
            yield label, Replacement(was.type, "removed")
        elif was.logical_id != now.logical_id:
            yield label, Replacement(was.type, "logical ID")
        else:
            changes = resource_changes(before, was, after, now)
            causes = (each.path for each in changes if each.effect != "in place" or each.path in CHECKED)
            yield from ((label, Replacement(was.type, cause)) for cause in causes)


def _today(assembly: Assembly, target: DeploymentTarget) -> dict[str, Template]:
    return {stack: Template(stack, reduce(one.content), target) for stack, one in assembly.templates.items()}


def _target(assembly: Assembly) -> DeploymentTarget:
    (place,) = {str(each["environment"]) for each in assembly.manifest["artifacts"].values() if "environment" in each}
    account, region = place.removeprefix("aws://").split("/")
    return DeploymentTarget(account, region)


@pytest.fixture(scope="module")
def upgrade(assemblies: dict[str, Assembly], rich: Assembly) -> dict[str, tuple[dict[str, Template], ...]]:
    """The reduced templates of the previous release and of this version, by environment."""
    synthesized = assemblies | {"rich": rich}
    return {
        name: (released(name, _target(synthesized[name])), _today(synthesized[name], _target(synthesized[name])))
        for name in ENVIRONMENTS
    }


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_upgrade_replaces_only_reviewed_resources(
    upgrade: dict[str, tuple[dict[str, Template], ...]], environment: str
) -> None:
    found = replacements(*upgrade[environment])
    assert {one: labels for one, labels in found.items() if one.type in NEVER} == {}
    assert {one: labels for one, labels in found.items() if one not in REVIEWED} == {}


def test_reviewed_replacements_exist(upgrade: dict[str, tuple[dict[str, Template], ...]]) -> None:
    found = {one for each in upgrade.values() for one in replacements(*each)}
    assert not [one for one in REVIEWED if one not in found or one.type in NEVER]


def test_every_change_that_replaces_or_removes_a_resource_is_found(
    upgrade: dict[str, tuple[dict[str, Template], ...]],
) -> None:
    for stack, template in (each for before, _ in upgrade.values() for each in before.items()):
        assert replacements({stack: template}, {stack: template}) == {}
        for logical_id, resource in template.resources.items():
            for changed in _changed(template, logical_id):
                types = {one.type for one in replacements({stack: template}, {stack: changed})}
                assert resource.type in types, (stack, logical_id)


def _changed(template: Template, logical_id: str) -> Iterator[Template]:
    """Yields the template without a resource, with another logical ID of it, and with changes of its properties."""
    content: Any = copy.deepcopy(template.content)
    removed = content["Resources"].pop(logical_id)
    yield Template(template.stack, content, template.target)
    renamed = {**content, "Resources": {**content["Resources"], f"{logical_id[:-8]}00000000": removed}}
    yield Template(template.stack, renamed, template.target)
    for name, value in removed["Properties"].items():
        changed = {"NetworkMode": "changed"} if isinstance(value, dict) else "changed"
        properties = {**removed["Properties"], name: changed}
        resources = {**content["Resources"], logical_id: {**removed, "Properties": properties}}
        yield Template(template.stack, {**content, "Resources": resources}, template.target)
