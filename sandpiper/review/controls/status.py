"""Decides for each control whether the templates meet it, whether it is accepted, or whose responsibility it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from sandpiper.review.building.resources import ACKNOWLEDGED
from sandpiper.review.controls.account import ACCOUNT
from sandpiper.review.controls.requirements import REQUIREMENTS
from sandpiper.review.controls.standards import controls_by_requirement
from sandpiper.review.reading.values import as_list, as_mapping, as_text

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.review.controls.requirements import Requirement
    from sandpiper.review.findings import Finding
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

MAX_PLACES = 5
"""Resources that a reason names."""


class ControlState(Enum):
    """Whether a control is met."""

    OPEN = "not met"
    ACCEPTED = "accepted"
    MET = "met"
    ACCOUNT = "account"
    """The responsibility of the account: the templates contain no resource that the control is about."""


@dataclass(frozen=True)
class ControlStatus:
    """The state of a requirement.

    Attributes:
        requirement: Its name in cdk-nag; empty for a responsibility of the account.
        controls: The controls that it belongs to, by standard.
        state: The state.
        reasons: Why it is accepted or not met, how it is met, or what the account provides, one sentence each.
    """

    requirement: str
    controls: Mapping[str, tuple[str, ...]]
    state: ControlState
    reasons: tuple[str, ...]


def control_statuses(
    model: ReviewModel, findings: Sequence[Finding], today: datetime.date
) -> tuple[ControlStatus, ...]:
    """Returns the state of every requirement, and then the responsibilities of the account."""
    controls = controls_by_requirement()
    decided = [_status(model, one, controls[one.name], findings, today) for one in REQUIREMENTS]
    order = list(ControlState)
    account = (ControlStatus("", by_standard, ControlState.ACCOUNT, (text,)) for text, by_standard in ACCOUNT)
    return (*sorted(decided, key=lambda one: order.index(one.state)), *account)


def _status(
    model: ReviewModel,
    requirement: Requirement,
    controls: Mapping[str, tuple[str, ...]],
    findings: Sequence[Finding],
    today: datetime.date,
) -> ControlStatus:
    resources = {one.address: one for one in model.of_type(*requirement.types)}
    if not resources:
        text = (
            f"The templates contain no {' or '.join(requirement.types)}. The control applies to those of the account."
        )
        return ControlStatus(requirement.name, controls, ControlState.ACCOUNT, (text,))
    places: list[str] = []
    accepted: list[str] = []
    for one in resources.values():
        if requirement.fails(model, one):
            reason = _acknowledged(one, requirement.name)
            (accepted if reason else places).append(reason or one.location.construct or one.address)
    for finding in findings:
        if finding.rule_id in requirement.rules and finding.resource in resources:
            reason = finding.acceptance.reason if finding.acceptance and finding.is_accepted(today) else ""
            (accepted if reason else places).append(reason or finding.place)
    if places:
        return ControlStatus(requirement.name, controls, ControlState.OPEN, tuple(_shown(places)))
    if accepted:
        return ControlStatus(requirement.name, controls, ControlState.ACCEPTED, tuple(sorted(set(accepted))))
    return ControlStatus(requirement.name, controls, ControlState.MET, (requirement.met,))


def _acknowledged(resource: Resource, name: str) -> str:
    """Returns the reason for which a rule of cdk-nag is accepted at a resource; empty without one."""
    acknowledged = as_mapping(resource.metadata.get(ACKNOWLEDGED)).items()
    suppressed = as_list(as_mapping(resource.metadata.get("cdk_nag")).get("rules_to_suppress"))
    reasons = {id_: as_text(reason) for id_, reason in acknowledged}
    reasons |= {as_text(one.get("id")): as_text(one.get("reason")) for one in map(as_mapping, suppressed)}
    return next((reason for id_, reason in reasons.items() if id_.partition("[")[0].rpartition("-")[2] == name), "")


def _shown(places: list[str]) -> Iterator[str]:
    unique = list(dict.fromkeys(places))
    yield from unique[:MAX_PLACES]
    if len(unique) > MAX_PLACES:
        yield f"and {len(unique) - MAX_PLACES:,} more"
