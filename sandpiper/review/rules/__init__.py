"""The table of rules, by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.rules import (
    access,
    callers,
    data,
    escalation,
    escalation_outside,
    exceptions,
    execution_role,
    limits,
    logs,
    network,
    secrets,
    templates,
    trust,
)

if TYPE_CHECKING:
    from sandpiper.review.rule import Rule

RULES: tuple[Rule, ...] = (
    *network.RULES,
    *trust.RULES,
    *execution_role.RULES,
    *callers.RULES,
    *access.RULES,
    *data.RULES,
    *logs.RULES,
    *secrets.RULES,
    *limits.RULES,
    *exceptions.RULES,
    *escalation.RULES,
    *escalation_outside.RULES,
    *templates.RULES,
)
"""Every rule, in the order of reports."""
