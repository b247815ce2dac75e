"""Prints a plan as sentences: data loss and effects first, then each stack, then the quotas."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sandpiper.plan.effects import EFFECT_TEXTS
from sandpiper.plan.lines import MAX_VALUE_CHARACTERS, MINUTE_FORMAT, Line, count_of
from sandpiper.plan.render_costs import cost_lines
from sandpiper.plan.render_data import data_sentence
from sandpiper.plan.render_permissions import permission_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.plan.lines import Tone
    from sandpiper.plan.model import (
        Change,
        InterpreterChange,
        Plan,
        PropertyChange,
        Quota,
        ResourceChange,
        Session,
        StackPlan,
    )

MARKS: dict[Change, str] = {"made": "+", "changed": "~", "replaced": "±", "deleted": "-"}
TONES: dict[Change, Tone] = {"made": "more", "changed": "plain", "replaced": "less", "deleted": "less"}
VERBS: dict[Change, str] = {
    "made": "is created",
    "changed": "is updated in place",
    "replaced": "is replaced",
    "deleted": "is deleted",
}
STACK_HEADINGS = {
    "new": "new",
    "changed": "changed",
    "gone": "no longer in the environment file, but still deployed. `cdk deploy` leaves it; if you delete it:",
}
QUOTA_NAMES = {"functions at once": "concurrent executions", "template bytes": "template size in bytes"}
"""Names of quotas that differ from those in the JSON."""


def report(plan: Plan) -> Iterator[Line]:
    """Yields the lines of the report."""
    yield Line(f"Plan for environment {plan.environment} in account {plan.account}, {plan.region}", tone="head")
    yield from (Line(note, 1, "less") for note in plan.notes)
    losses = [line for stack in plan.stacks if stack.change != "gone" for line in _losses(stack)]
    if losses:
        yield Line("! Data loss", tone="loss")
        yield from losses
    if plan.effects:
        yield Line("Effects", tone="head")
        yield from (Line(f"{effect}: {EFFECT_TEXTS[effect]}", 1) for effect in plan.effects)
    for stack in plan.stacks:
        if stack.change != "unchanged":
            yield from _stack(stack)
    if unchanged := [stack for stack in plan.stacks if stack.change == "unchanged"]:
        yield Line(f"No changes: {', '.join(stack.name for stack in unchanged)}", tone="note")
        yield from (Line(f"{stack.name}: {note}", 1, "note") for stack in unchanged for note in stack.notes)
    yield Line("Quotas after this deployment, counting only this environment", tone="head")
    yield from (Line(_quota(one), 1, "loss" if one.left < 0 else "plain") for one in _shown_quotas(plan.quotas))
    if plan.costs is not None:
        yield from cost_lines(plan.costs)


def _losses(stack: StackPlan) -> Iterator[Line]:
    for one in stack.data:
        if one.loses_data:
            yield Line(f"! {stack.name}: {data_sentence(one)}", 1, "loss")
    for each in stack.interpreters:
        if each.sessions:
            yield Line(f"! {stack.name}: {_ended_sessions(each)}", 1, "loss")


def _stack(stack: StackPlan) -> Iterator[Line]:
    tenant = f" (tenant {stack.tenant})" if stack.tenant else ""
    yield Line(f"{stack.name}{tenant}: {STACK_HEADINGS[stack.change]}", tone="head")
    yield from (Line(note, 1, "note") for note in stack.notes)
    for one in stack.data:
        yield Line(f"{'!' if one.loses_data else '~'} {data_sentence(one)}", 1, "loss" if one.loses_data else "plain")
    yield from _interpreters(stack.interpreters)
    for each in stack.permissions:
        verb = "" if each.change == "changed" else f" {VERBS[each.change]}"
        yield from permission_lines(each, f"{MARKS[each.change]} {each.holder}{verb}", TONES[each.change])
    yield from _resources(stack.resources)
    if stack.follows:
        yield Line(f"updated only because they refer to a changed resource: {', '.join(stack.follows)}", 1, "note")


def _interpreters(changes: Iterable[InterpreterChange]) -> Iterator[Line]:
    for one in changes:
        network = f" with network {one.network}" if one.change == "made" and one.network else ""
        causes = [each for each in one.because if one.change != "replaced" or each.effect != "in place"]
        listed = f": {', '.join(map(_property, causes))}" if causes else ""
        because = ", because a create-only property changes" if one.change == "replaced" else ""
        yield Line(
            f"{MARKS[one.change]} interpreter {one.interpreter} {VERBS[one.change]}{network}{because}{listed}",
            1,
            TONES[one.change],
        )
        if one.sessions:
            yield Line(_ended_sessions(one), 2, "loss")


def _ended_sessions(change: InterpreterChange) -> str:
    sessions = count_of(len(change.sessions), "live session")
    ends = "ends with its files and variables" if len(change.sessions) == 1 else "end with their files and variables"
    listed = ", ".join(map(_session, change.sessions))
    return f"interpreter {change.interpreter} {VERBS[change.change]}, so {sessions} {ends}: {listed}"


def _session(session: Session) -> str:
    return f"{session.id} since {session.since:{MINUTE_FORMAT}}"


def _resources(changes: Iterable[ResourceChange]) -> Iterator[Line]:
    """Yields one line for each group of resources with the same change."""
    groups: dict[tuple[Change, tuple[PropertyChange, ...]], list[str]] = defaultdict(list)
    for one in changes:
        groups[one.change, one.properties].append(one.resource)
    for (change, properties), names in groups.items():
        verb = VERBS[change] if len(names) == 1 else VERBS[change].replace("is ", "are ")
        listed = f": {', '.join(map(_property, properties))}" if properties else ""
        yield Line(f"{MARKS[change]} {', '.join(names)} {verb}{listed}", 1, TONES[change])


def _property(change: PropertyChange) -> str:
    hint = " (may require replacement)" if change.effect == "perhaps replaced" else ""
    if max(len(change.before or ""), len(change.after or "")) > MAX_VALUE_CHARACTERS:
        return f"{change.path} changes{hint}"
    return f"{change.path} {_value(change.before)} → {_value(change.after)}{hint}"


def _value(value: str | None) -> str:
    return "not set" if value is None else value or '""'


def _shown_quotas(quotas: Iterable[Quota]) -> Iterator[Quota]:
    """Yields the quotas of the account and those that are exceeded; of other stack quotas, the stack closest to it."""
    closest: dict[str, Quota] = {}
    for one in quotas:
        if one.stack is None or one.left < 0:
            yield one
        elif one.quota not in closest or closest[one.quota].left > one.left:
            closest[one.quota] = one
    yield from closest.values()


def _quota(one: Quota) -> str:
    stack = f" of {one.stack}" if one.stack else ""
    note = f" ({one.note})" if one.note else ""
    left = f"{one.left:,} left" if one.left >= 0 else f"{-one.left:,} too many"
    return f"{QUOTA_NAMES.get(one.quota, one.quota)}{stack}: {one.used:,} of {one.limit:,}, {left}{note}"
