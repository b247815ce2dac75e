"""The table of the effects of each option is what plans derive from the templates before and after a change."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING

import pytest

from sandpiper.environment.account import Quotas
from sandpiper.environment.options import Options
from sandpiper.plan.compare import create_plan
from sandpiper.plan.effects import EFFECT_TEXTS, DeploymentEffect
from sandpiper.plan.model import Objects
from sandpiper.plan.option_effects import OPTION_EFFECTS, effects_of
from tests.support.option_changes import BASE, CHANGES, together
from tests.support.plans import FakeAccount, Plans, deployed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from sandpiper.plan.model import Plan, StackPlan
    from sandpiper.plan.option_effects import OptionEffects
    from tests.support.option_changes import OptionChange

LOCATION = ("name", "account", "region")
"""Options that select which stacks a plan compares with."""
IN_PLACE = DeploymentEffect.IN_PLACE
REMOVED = "sandpiper-one-former"
EMPTY = Objects(total=0, older=0, older_bytes=0, is_all=True)


class AccountWithData(FakeAccount):
    """An account with objects in the folders of tenants that are deployed or were removed, and in no others."""

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:
        match = re.match("tenants/([^/]+)/", folder)
        is_empty = match is not None and f"sandpiper-one-{match[1]}" not in (*self.stacks, REMOVED)
        return EMPTY if is_empty else super().count(bucket, folder, days)


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    return Plans(tmp_path_factory.mktemp("plans"))


def models(model: type[Options] = Options) -> Iterator[type[Options]]:
    """Yields the models of the environment file, without those that only others extend."""
    subclasses = model.__subclasses__()
    if not subclasses:
        yield model
    for each in subclasses:
        yield from models(each)


def in_both_directions(plans: Plans, before: dict[str, Any], after: dict[str, Any]) -> Iterator[Plan]:
    for old, new in ((before, after), (after, before)):
        account = AccountWithData()
        if all(old[option] == new[option] for option in LOCATION):
            account.stacks = deployed(plans.synthesize(old))
        yield create_plan(plans.synthesize(new), account.stacks, account, Quotas())


@pytest.fixture(scope="module")
def tenant_plans(plans: Plans) -> list[Plan]:
    """Plans the changes that affect one tenant only together, each in its own tenant."""
    environments = [copy.deepcopy(BASE), copy.deepcopy(BASE)]
    for number, change in enumerate(each for each in CHANGES if each.is_of_one_tenant):
        for environment, one in zip(environments, change.environments(), strict=True):
            environment["tenants"][f"t{number}"] = one["tenants"]["claims"]
    return list(in_both_directions(plans, *environments))


@pytest.fixture(scope="module")
def harmless_plans(plans: Plans) -> list[tuple[list[OptionChange], list[Plan]]]:
    """Plans changes of the whole environment together that have the same effect: nothing, or in place.

    A plan of several changes has no effect that none of them has, and each synthesis takes time.
    """
    groups: dict[frozenset[DeploymentEffect], list[OptionChange]] = {frozenset({IN_PLACE}): [], frozenset(): []}
    for change in CHANGES:
        group = groups.get(expected(change).effects)
        if group is not None and not change.is_of_one_tenant and not any(map(change.conflicts_with, group)):
            group.append(change)
    return [(group, list(in_both_directions(plans, *together(group)))) for group in groups.values()]


@pytest.fixture(scope="module")
def stacks_of(
    plans: Plans, tenant_plans: list[Plan], harmless_plans: list[tuple[list[OptionChange], list[Plan]]]
) -> Callable[[OptionChange], list[StackPlan]]:
    """Returns a function that returns the stacks that a change affects, in both directions."""

    def find(change: OptionChange) -> list[StackPlan]:
        if change.is_of_one_tenant:
            name = f"t{[each for each in CHANGES if each.is_of_one_tenant].index(change)}"
            return [stack for plan in tenant_plans for stack in plan.stacks if stack.tenant == name]
        planned = next((both for group, both in harmless_plans if change in group), None)
        both = planned or in_both_directions(plans, *change.environments())
        return [stack for plan in both for stack in plan.stacks]

    return find


def expected(change: OptionChange) -> OptionEffects:
    model, option = change.option
    (options,) = [options for each, options in OPTION_EFFECTS.items() if each.__name__ == model]
    return options[option]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: ".".join(change.option))
def test_the_effects_of_an_option_are_those_of_a_plan(
    stacks_of: Callable[[OptionChange], list[StackPlan]], change: OptionChange
) -> None:
    stacks = stacks_of(change)
    found = {effect for stack in stacks for effect in stack.effects}
    replaced = {one.type for stack in stacks for one in stack.resources if one.change == "replaced"}
    assert (found, replaced) == (set(expected(change).effects), set(expected(change).replaced))


def test_changes_that_are_planned_together_are_of_many_options(
    harmless_plans: list[tuple[list[OptionChange], list[Plan]]],
) -> None:
    (in_place, _), (nothing, _) = harmless_plans
    assert len(in_place) > 10
    assert len(nothing) > 5


def test_options_of_tenants_change_shared_stacks_in_place(tenant_plans: list[Plan]) -> None:
    shared = [stack for plan in tenant_plans for stack in plan.stacks if stack.tenant is None]
    assert {effect for stack in shared for effect in stack.effects} <= {DeploymentEffect.IN_PLACE}
    unchanged = [stack for plan in tenant_plans for stack in plan.stacks if stack.tenant == "claims"]
    assert {stack.change for stack in unchanged} == {"unchanged"}


def test_every_option_has_effects_and_a_change_in_the_test() -> None:
    options = {(model, option) for model in models() for option in model.model_fields}
    assert len(options) > 80
    listed = {effects_of(model, option).text for model, option in options}  # raises KeyError for a missing entry
    assert all(listed)
    changed = {change.option for change in CHANGES}
    entries = {
        (model.__name__, option)
        for model, of_model in OPTION_EFFECTS.items()
        for option, effects in of_model.items()
        if not effects.has_options
    }
    assert changed == entries, "add a change to tests/support/option_changes.py"
    fields = {(model.__name__, option) for model, of_model in OPTION_EFFECTS.items() for option in of_model}
    assert fields == {(model.__name__, option) for model in OPTION_EFFECTS for option in _own_fields(model)}, (
        "the table has an option that does not exist"
    )


def _own_fields(model: type[Options]) -> dict[str, Any]:
    bases = [base for base in OPTION_EFFECTS if base is not model and issubclass(model, base)]
    inherited = {name for base in bases for name in base.model_fields}
    return {name: field for name, field in model.model_fields.items() if name not in inherited or name == "network"}


def test_every_effect_has_a_text_and_an_option() -> None:
    used = {effect for of_model in OPTION_EFFECTS.values() for each in of_model.values() for effect in each.effects}
    assert used == set(DeploymentEffect) == set(EFFECT_TEXTS)
