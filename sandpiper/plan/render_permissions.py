"""Sentences about permissions: the grants that a role, or the policy of a resource, gains and loses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import Line
from sandpiper.plan.permissions import MANAGED_POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.plan.lines import Tone
    from sandpiper.plan.model import Grant, PermissionChange

ROLE_VERBS = {
    ("Allow", True): "is now allowed",
    ("Allow", False): "is no longer allowed",
    ("Deny", True): "is now denied",
    ("Deny", False): "is no longer denied",
}
RESOURCE_VERBS = {
    ("Allow", True): "now allows",
    ("Allow", False): "no longer allows",
    ("Deny", True): "now denies",
    ("Deny", False): "no longer denies",
}
"""Verbs by effect, and whether the grant is gained."""


def permission_lines(change: PermissionChange, heading: str, tone: Tone) -> Iterator[Line]:
    """Yields a heading and one line for each grant that is gained or lost."""
    unchanged = not (change.gains or change.loses or change.trust_gains or change.trust_loses or change.boundary)
    suffix = ", with the same permissions" if unchanged and change.change == "replaced" else ""
    yield Line(f"{heading}{suffix}", 1, tone)
    if change.change == "deleted":
        return
    verbs = ROLE_VERBS if change.is_role else RESOURCE_VERBS
    yield from (Line(_grant(one, verbs[one.effect, True], gained=True), 2, "more") for one in change.gains)
    yield from (Line(_grant(one, verbs[one.effect, False], gained=False), 2, "less") for one in change.loses)
    yield from (Line(_trust(one, gained=True), 2, "more") for one in change.trust_gains)
    yield from (Line(_trust(one, gained=False), 2, "less") for one in change.trust_loses)
    if change.boundary:
        old, new = change.boundary.before or "none", change.boundary.after or "none"
        text = f"the permissions boundary changes from {old} to {new}"
        yield Line(text, 2, "less" if change.boundary.after else "more")


def render_grant(grant: Grant) -> str:
    """Returns a grant as a clause, such as `allows s3:GetObject on arn:aws:s3:::data/*`."""
    return f"{'allows' if grant.effect == 'Allow' else 'denies'} {render_permissions(grant)}"


def _grant(grant: Grant, verb: str, *, gained: bool) -> str:
    if not grant.resources and all(action.startswith(MANAGED_POLICY) for action in grant.actions):
        return f"{'gains' if gained else 'loses'} {', '.join(grant.actions)}"
    return f"{verb} {render_permissions(grant)}"


def render_permissions(grant: Grant) -> str:
    """Returns a grant without its effect, such as `s3:GetObject on arn:aws:s3:::data/*`."""
    principals = f"{' and '.join(grant.principals)} " if grant.principals else ""
    resources = f" on {', '.join(grant.resources)}" if grant.resources else ""
    return f"{principals}{', '.join(grant.actions)}{resources}{_conditions(grant)}"


def _trust(grant: Grant, *, gained: bool) -> str:
    if grant.effect == "Deny":
        verb = "now denies assumption by" if gained else "no longer denies assumption by"
    else:
        verb = "can now be assumed by" if gained else "can no longer be assumed by"
    return f"{verb} {', '.join(grant.principals)}{_conditions(grant)} ({', '.join(grant.actions)})"


def _conditions(grant: Grant) -> str:
    return f" if {' and '.join(grant.conditions)}" if grant.conditions else ""
