"""The table of rules, by group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.review.rules import (
    audit_logs_secrets,
    callers,
    data,
    escalation,
    execution_role,
    network,
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
    *data.RULES,
    *audit_logs_secrets.RULES,
    *escalation.RULES,
    *templates.RULES,
)
"""Every rule, in the order of reports."""
