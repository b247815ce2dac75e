"""Who may do more or less: statements of roles and of resources' policies, taken apart and compared.

A statement is compared action by action and resource by resource: how a template groups them does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.model import Grant, PermissionChange, PropertyChange
from sandpiper.plan.template import KEY, ROLE, is_known, referenced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sandpiper.plan.model import Change
    from sandpiper.plan.template import Template

POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
"""Policies of roles that are resources of their own."""
RESOURCE_POLICIES = {
    "AWS::EC2::VPCEndpoint": ("PolicyDocument", None),
    KEY: ("KeyPolicy", None),
    "AWS::S3::BucketPolicy": ("PolicyDocument", "Bucket"),
}
"""Where a type has a policy of who may use it, and where it says of what, if not of itself."""
OPERATORS = {
    "ArnEquals": "is",
    "ArnLike": "is like",
    "Bool": "is",
    "DateLessThan": "is before",
    "IpAddress": "is in",
    "NumericLessThan": "is less than",
    "NumericLessThanEquals": "is at most",
    "StringEquals": "is",
    "StringEqualsIgnoreCase": "is",
    "StringLike": "is like",
    "ArnNotEquals": "is not",
    "ArnNotLike": "is not like",
    "NotIpAddress": "is not in",
    "StringNotEquals": "is not",
    "StringNotLike": "is not like",
}
"""What people say for an operator; any other is shown as it is."""


@dataclass(frozen=True, order=True)
class _Atom:
    """One action on one resource by one principal."""

    effect: str
    action: str
    resource: str
    conditions: tuple[str, ...] = ()
    principal: str = ""


@dataclass
class Holder:
    """A role or a resource with a policy, and all that is said of it."""

    logical_id: str
    is_role: bool
    may: set[_Atom] = field(default_factory=set[_Atom])
    trust: set[_Atom] = field(default_factory=set[_Atom])
    boundary: str | None = None


def compare(before: Template | None, after: Template | None) -> Iterator[PermissionChange]:
    """What each role and each resource's policy gains and loses."""
    old, new = _holders(before), _holders(after)
    for label in dict.fromkeys((*new, *old)):
        was, will = old.get(label), new.get(label)
        if was and not will and before and before.resources[was.logical_id].deletion != "Delete":
            continue  # it stays with what it is the policy of
        change = _change(was, will)
        known = cast("Holder", will or was)
        nothing = Holder("", known.is_role)
        was, will = was or nothing, will or nothing
        boundary = None
        if was.boundary != will.boundary:
            boundary = PropertyChange(
                path="PermissionsBoundary", before=was.boundary, after=will.boundary, effect="in place"
            )
        found = PermissionChange(
            holder=label,
            is_role=known.is_role,
            change=change,
            gains=_grants(will.may - was.may),
            loses=_grants(was.may - will.may),
            trust_gains=_grants(will.trust - was.trust),
            trust_loses=_grants(was.trust - will.trust),
            boundary=boundary,
        )
        if change != "changed" or found.gains or found.loses or found.trust_gains or found.trust_loses or boundary:
            yield found


def _change(was: Holder | None, will: Holder | None) -> Change:
    if was is None or will is None:
        return "made" if was is None else "deleted"
    return "changed" if was.logical_id == will.logical_id else "replaced"


def _holders(template: Template | None) -> dict[str, Holder]:
    if template is None:
        return {}
    found: dict[str, Holder] = {}
    by_role: dict[str, Holder] = {}
    for logical_id, role in template.of_type(ROLE).items():
        properties = template.plain(role.properties)
        holder = Holder(logical_id, is_role=True, boundary=properties.get("PermissionsBoundary"))
        holder.trust = set(_atoms(properties["AssumeRolePolicyDocument"]))
        for policy in properties.get("Policies", []):
            holder.may |= set(_atoms(policy["PolicyDocument"]))
        holder.may |= {_Atom("Allow", f"managed policy {arn}", "") for arn in properties.get("ManagedPolicyArns", [])}
        found[template.labels[logical_id]] = by_role[logical_id] = holder
    for kind in POLICIES:
        for policy in template.of_type(kind).values():
            for role in policy.properties.get("Roles", []):
                if holder := by_role.get(referenced(role)):
                    holder.may |= set(_atoms(template.plain(policy.properties["PolicyDocument"])))
    for kind, (member, of) in RESOURCE_POLICIES.items():
        for logical_id, one in template.of_type(kind).items():
            document = template.plain(one.properties.get(member))
            if isinstance(document, dict):
                label = template.labels.get(referenced(one.properties.get(of)) if of else logical_id, logical_id)
                may = set(_atoms(cast("dict[str, Any]", document)))
                found[f"policy of {label}"] = Holder(logical_id, is_role=False, may=may)
    return found


@dataclass(frozen=True)
class Comparison:
    """What a document lacks of another one, what it has more, and what of the other only a deployment knows."""

    missing: tuple[Grant, ...]
    more: tuple[Grant, ...]
    unknown: tuple[Grant, ...]


def compared(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Comparison:
    """Two documents in plain values. What could be what is unknown is neither missing nor more."""
    was, now = set(_atoms(expected)), set(_atoms(found))
    unknown = {one for one in was - now if not all(map(is_known, (one.resource, one.principal, *one.conditions)))}
    more = {one for one in now - was if not any(_may_be(one, each) for each in unknown)}
    return Comparison(_grants(was - now - unknown), _grants(more), _grants(unknown))


def _may_be(found: _Atom, unknown: _Atom) -> bool:
    """Whether they are the same but for what is unknown."""
    return (found.effect, found.action) == (unknown.effect, unknown.action) and all(
        one == each or not is_known(str(each))
        for one, each in (
            (found.resource, unknown.resource),
            (found.conditions, unknown.conditions),
            (found.principal, unknown.principal),
        )
    )


def _atoms(document: Mapping[str, Any]) -> Iterator[_Atom]:
    """The statements of a document in plain values, taken apart."""
    for statement in _listed(document.get("Statement", [])):
        for principal in _principals(statement):
            for action in _either(statement, "Action"):
                for resource in _either(statement, "Resource"):
                    yield _Atom(statement["Effect"], action, resource, tuple(_conditions(statement)), principal)


def _grants(found: Iterable[_Atom]) -> tuple[Grant, ...]:
    """Statements with as many actions, resources and principals as say the same."""
    actions: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for one in sorted(found):
        actions[one.effect, one.principal, one.resource, one.conditions].append(one.action)
    resources: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for (effect, principal, resource, conditions), does in actions.items():
        resources[effect, principal, conditions, tuple(does)].append(resource)
    principals: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for (effect, principal, conditions, does), on in resources.items():
        principals[effect, conditions, does, tuple(on)].append(principal)
    return tuple(
        Grant(
            effect=effect,
            actions=does,
            resources=tuple(filter(None, on)),
            conditions=conditions,
            principals=tuple(filter(None, who)),
        )
        for (effect, conditions, does, on), who in principals.items()
    )


def _principals(statement: Mapping[str, Any]) -> list[str]:
    negated = "NotPrincipal" in statement
    given = statement.get("NotPrincipal" if negated else "Principal")
    if given is None:
        return [""]
    named = {"": given} if isinstance(given, str) else cast("dict[str, Any]", given)
    found = ["anybody" if one == "*" else str(one) for value in named.values() for one in _listed(value)]
    return [f"all but {', '.join(found)}"] if negated else found


def _either(statement: Mapping[str, Any], name: str) -> list[str]:
    if f"Not{name}" in statement:
        return [f"all but {', '.join(map(str, _listed(statement[f'Not{name}'])))}"]
    return [str(one) for one in _listed(statement.get(name, ""))]


def _conditions(statement: Mapping[str, Any]) -> Iterator[str]:
    for operator, keys in sorted(cast("dict[str, dict[str, Any]]", statement.get("Condition", {})).items()):
        for key, values in sorted(keys.items()):
            verb = OPERATORS.get(operator, operator)
            yield f"{key} {verb} {' or '.join(sorted(_condition_text(one) for one in _listed(values)))}"


def _condition_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else [value]
