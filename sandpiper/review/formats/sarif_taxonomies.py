"""The rules of other tools as taxonomies of SARIF, and the results that belong to them.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html#_Toc34317486
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.review.verdicts.table import EXTERNAL_RULES
from sandpiper.review.verdicts.verdict import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper.review.findings import Finding
    from sandpiper.review.result import Review

_TOOLS = tuple(dict.fromkeys(one.tool for one in EXTERNAL_RULES))
_RULES = {tool: tuple(one for one in EXTERNAL_RULES if one.tool == tool) for tool in _TOOLS}


def taxonomies() -> list[dict[str, Any]]:
    """Returns a taxonomy for each tool, with its rules as taxa."""
    return [
        {"name": tool, "taxa": [{"id": one.id, "helpUri": one.source} for one in rules]}
        for tool, rules in _RULES.items()
    ]


def failed_rules(review: Review) -> Mapping[str, set[tuple[str, str]]]:
    """Returns the tool and the id of each rule that fails, by interpreter."""
    failed: dict[str, set[tuple[str, str]]] = {}
    for one in review.verdicts:
        if one.outcome is Outcome.FAIL:
            failed.setdefault(one.interpreter, set()).add((one.tool, one.rule))
    return failed


def taxa_of(finding: Finding, failed: Mapping[str, set[tuple[str, str]]]) -> list[dict[str, Any]]:
    """Returns references to the rules of other tools that fail for what a finding is about."""
    at_resource = failed.get(finding.resource, set())
    return [
        {"id": rule.id, "index": number, "toolComponent": {"name": tool, "index": _TOOLS.index(tool)}}
        for tool, rules in _RULES.items()
        for number, rule in enumerate(rules)
        if finding.rule_id in rule.own_rules and (tool, rule.id) in at_resource
    ]
