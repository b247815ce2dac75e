"""A plan in plain words, line by line: what loses data first, then stack by stack, then what is left of quotas."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.plan.model import (
        Change,
        DataChange,
        Grant,
        InterpreterChange,
        PermissionChange,
        Plan,
        PropertyChange,
        Quota,
        ResourceChange,
        Session,
        StackPlan,
    )

Tone = Literal["head", "loss", "more", "less", "note", "plain"]
MARKS: dict[Change, str] = {"made": "+", "changed": "~", "replaced": "±", "deleted": "-"}
TONES: dict[Change, Tone] = {"made": "more", "changed": "plain", "replaced": "less", "deleted": "less"}
DOES: dict[Change, str] = {
    "made": "is made",
    "changed": "changes in place",
    "replaced": "is replaced",
    "deleted": "is deleted",
}
STACK_HEADS = {
    "new": "new",
    "changed": "changed",
    "gone": "gone from the environment, and still deployed",
}
LONGEST = 100
"""Of a value that is shown; of a longer one only that it changes."""
KIB = 1024


@dataclass(frozen=True)
class Line:
    """One line of the report, and how far it is indented."""

    text: str
    depth: int = 0
    tone: Tone = "plain"


def report(plan: Plan) -> Iterator[Line]:
    """The whole plan."""
    yield Line(f"{plan.environment} in account {plan.account}, {plan.region}", tone="head")
    yield from (Line(note, 1, "less") for note in plan.notes)
    losses = [line for stack in plan.stacks for line in _losses(stack)]
    if losses:
        yield Line("! loses data", tone="loss")
        yield from losses
    for stack in plan.stacks:
        if stack.change != "unchanged":
            yield from _stack(stack)
    if same := [stack for stack in plan.stacks if stack.change == "unchanged"]:
        yield Line(f"nothing to do: {', '.join(stack.name for stack in same)}", tone="note")
        yield from (Line(f"{stack.name}: {note}", 1, "note") for stack in same for note in stack.notes)
    yield Line("left of the quotas after that, as far as this environment goes", tone="head")
    yield from (Line(_quota(one), 1, "loss" if one.left < 0 else "plain") for one in _told_quotas(plan.quotas))


def _losses(stack: StackPlan) -> Iterator[Line]:
    if_deleted = ", if you delete that stack" if stack.change == "gone" else ""
    for one in stack.data:
        if one.loses_data:
            yield Line(f"! {stack.name}: {_data(one)}{if_deleted}", 1, "loss")
    for each in stack.interpreters:
        if each.sessions:
            yield Line(f"! {stack.name}: {_ends(each)}{if_deleted}", 1, "loss")


def _stack(stack: StackPlan) -> Iterator[Line]:
    tenant = f" (tenant {stack.tenant})" if stack.tenant else ""
    yield Line(f"{stack.name}{tenant}: {STACK_HEADS[stack.change]}", tone="head")
    yield from (Line(note, 1, "note") for note in stack.notes)
    for one in stack.data:
        yield Line(f"{'!' if one.loses_data else '~'} {_data(one)}", 1, "loss" if one.loses_data else "plain")
    yield from _interpreters(stack.interpreters)
    for each in stack.permissions:
        yield from _permission(each)
    yield from _resources(stack.resources)
    if stack.follows:
        yield Line(f"follow, since what they name changes: {', '.join(stack.follows)}", 1, "note")


def _data(change: DataChange) -> str:
    what, objects = change.resource, change.objects
    if change.folder is not None:
        what = f"{'old versions' if change.of_old_versions else 'objects'} below {change.folder or '/'} of {what}"
    elif change.of_old_versions:
        what = f"old versions in {what}"
    found = ""
    if change.loses_data and change.folder is not None and not change.of_old_versions:
        if objects is None:
            found = "; how many are older cannot be seen from here"
        else:
            more = "" if objects.is_all else f" of the first {objects.total:,}"
            size = f" ({_size(objects.older_bytes)})" if objects.older else ""
            found = f"; {objects.older:,}{more} are older{size} and expire"
    before, after = _days(change.before_days), _days(change.after_days)
    if change.change == "left without an end":
        return _left_without_an_end(change)
    return {
        "deleted": f"{what} is deleted{_of_bucket(what)}",
        "retained": f"{what} is retained: it stays in the account, and no stack manages it any more",
        "retention shortened": f"{what} live {after} instead of {before}{found}",
        "retention lengthened": f"{what} live {after} instead of {before}",
        "retention set": f"{what} live {after}: there are none yet",
        "versions stopped": f"{what} keeps no old versions any more: what is overwritten or deleted is lost",
        "no longer retained": f"{what} would go with its stack from now on; it was retained",
    }[change.change]


def _left_without_an_end(change: DataChange) -> str:
    folder = change.folder or ""
    place, tenant = f"s3://{change.resource.removeprefix('bucket ')}/{folder}", folder.split("/")[1]
    return (
        f"the data of tenant {tenant} stays in {place}, and no rule ends it: say how long in "
        f"`data_bucket: {{retention_days: {{removed_tenants: {{{tenant}: DAYS}}}}}}`, or delete it with "
        f"`aws s3 rm --recursive {place}`"
    )


def _of_bucket(what: str) -> str:
    """CloudFormation deletes empty buckets alone, and schedules keys."""
    if what.startswith("bucket "):
        return ", which AWS refuses while objects are in it"
    return ": nothing that it encrypted can be read again" if what.startswith("key ") else ""


def _interpreters(changes: Iterable[InterpreterChange]) -> Iterator[Line]:
    for one in changes:
        network = f" in {one.network}" if one.change == "made" and one.network else ""
        reasons = [each for each in one.because if one.change != "replaced" or each.effect != "in place"]
        why = f": {', '.join(map(_property, reasons))}" if reasons else ""
        because = ", because of what can be set at creation only" if one.change == "replaced" else ""
        yield Line(
            f"{MARKS[one.change]} interpreter {one.interpreter} {DOES[one.change]}{network}{because}{why}",
            1,
            TONES[one.change],
        )
        if one.sessions:
            yield Line(_ends(one), 2, "loss")


def _ends(change: InterpreterChange) -> str:
    count = "1 live session" if len(change.sessions) == 1 else f"{len(change.sessions)} live sessions"
    ids = ", ".join(map(_session, change.sessions))
    return f"interpreter {change.interpreter} {DOES[change.change]} under {count}: {ids}; what is in it ends with it"


def _session(session: Session) -> str:
    return f"{session.id} since {session.since:%Y-%m-%d %H:%M} UTC"


def _permission(change: PermissionChange) -> Iterator[Line]:
    does = {"changed": ""}.get(change.change, f" {DOES[change.change]}")
    same = not (change.gains or change.loses or change.trust_gains or change.trust_loses or change.boundary)
    alike = ", with the same permissions" if same and change.change == "replaced" else ""
    yield Line(f"{MARKS[change.change]} {change.holder}{does}{alike}", 1, TONES[change.change])
    if change.change == "deleted":
        return
    may = ("may now", "may no longer") if change.is_role else ("lets now", "lets no longer")
    yield from (Line(_grant(one, may[0]), 2, "more") for one in change.gains)
    yield from (Line(_grant(one, may[1]), 2, "less") for one in change.loses)
    yield from (Line(_trust(one, "can now be taken on by"), 2, "more") for one in change.trust_gains)
    yield from (Line(_trust(one, "can no longer be taken on by"), 2, "less") for one in change.trust_loses)
    if change.boundary:
        old, new = change.boundary.before or "no boundary", change.boundary.after or "no boundary"
        yield Line(f"is bounded by {new} instead of {old}", 2, "less" if change.boundary.after else "more")


def _grant(grant: Grant, verb: str) -> str:
    if grant.effect == "Deny":
        verb = {
            "may now": "is now denied",
            "may no longer": "is no longer denied",
            "lets now": "now denies",
            "lets no longer": "no longer denies",
        }[verb]
    who = f" {' and '.join(grant.principals)}" if grant.principals else ""
    on = f" on {', '.join(grant.resources)}" if grant.resources else ""
    return f"{verb}{who} {', '.join(grant.actions)}{on}{_where(grant)}"


def grant_in_words(grant: Grant) -> str:
    """A statement as a sentence without its subject."""
    verb = {"Allow": "may", "Deny": "may not"}.get(grant.effect, grant.effect)
    who = f"{' and '.join(grant.principals)} " if grant.principals else ""
    on = f" on {', '.join(grant.resources)}" if grant.resources else ""
    return f"{who}{verb} {', '.join(grant.actions)}{on}{_where(grant)}"


def _trust(grant: Grant, verb: str) -> str:
    return f"{verb} {', '.join(grant.principals)}{_where(grant)} ({', '.join(grant.actions)})"


def _where(grant: Grant) -> str:
    return f" where {' and '.join(grant.conditions)}" if grant.conditions else ""


def _resources(changes: Iterable[ResourceChange]) -> Iterator[Line]:
    """Those that change alike in one line."""
    alike: dict[tuple[Change, tuple[PropertyChange, ...]], list[str]] = defaultdict(list)
    for one in changes:
        alike[one.change, one.properties].append(one.resource)
    for (change, properties), names in alike.items():
        does = DOES[change] if len(names) == 1 else DOES[change].replace("is ", "are ").replace("changes", "change")
        what = f": {', '.join(map(_property, properties))}" if properties else ""
        yield Line(f"{MARKS[change]} {', '.join(names)} {does}{what}", 1, TONES[change])


def _property(change: PropertyChange) -> str:
    perhaps = " (which may replace it)" if change.effect == "perhaps replaced" else ""
    if max(len(change.before or ""), len(change.after or "")) > LONGEST:
        return f"{change.path} changes{perhaps}"
    return f"{change.path} {_value(change.before)} → {_value(change.after)}{perhaps}"


def _value(value: str | None) -> str:
    return "nothing" if value is None else value or '""'


def _days(days: int | None) -> str:
    return "for ever" if days is None else "1 day" if days == 1 else f"{days:,} days"


def _size(size: int) -> str:
    return f"{size:,} B" if size < 10 * KIB else f"{size / KIB:,.0f} KiB"


def _told_quotas(quotas: Iterable[Quota]) -> Iterator[Quota]:
    """The account's; of the stacks', the fullest one of each, and any that is exceeded."""
    fullest: dict[str, Quota] = {}
    for one in quotas:
        if one.stack is None or one.left < 0:
            yield one
        elif one.quota not in fullest or fullest[one.quota].left > one.left:
            fullest[one.quota] = one
    yield from fullest.values()


def _quota(one: Quota) -> str:
    where = f" of {one.stack}" if one.stack else ""
    note = f" ({one.note})" if one.note else ""
    left = f"{one.left:,} left" if one.left >= 0 else f"{-one.left:,} too many"
    return f"{one.quota}{where}: {one.used:,} of {one.limit:,}, {left}{note}"
