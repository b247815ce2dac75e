"""Writes docs/review-comparison.md: what checkov, cdk-nag and Prowler find in the templates that fail rules.

    uv sync --frozen --project tools/prowler
    python tools/review_comparison_page.py

It takes about two minutes. A test compares only the digest of the templates.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.review.rules import RULES
from tests.support.rules.failing_templates import SECURE, digest, failing_templates
from tests.support.rules.peer_verdicts import by_cdk_nag, by_checkov, by_prowler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tests.support.review_templates import Template
    from tests.support.rules.peer_verdicts import PeerVerdicts

PROJECT = Path(__file__).resolve().parents[1]
PACKS = ("HIPAA.Security-", "NIST.800.53.R5-", "PCI.DSS.321-", "Serverless-")
MAX_IDS = 3
HEAD = """# The review, compared with other tools

Each rule of the [review](review.md) has templates that fail it. They differ by one change from a
template without findings. This page shows what other tools find in the same templates.
`python tools/review_comparison_page.py` wrote it for templates with the digest `{digest}`.

| Tool | Version | Findings in changed templates | Cannot read |
|---|---|---|---|
| Sandpiper | | {count} of {count} | 0 |
"""
LIMITS = """
A tool finds a change if it has a finding that it does not have in the unchanged template. The
finding can be about something else than the change. The templates are those of the rules of the
review, so its own row does not show what it misses; the last table on this page does.

- checkov and cdk-nag have no rules about interpreters. cdk-nag runs as a plugin of the CDK and
  includes a template with `CfnInclude`; it cannot read a template with an unknown function, a
  circular reference or a missing required property.
- Prowler reads accounts. Only its table of escalations can be applied to a template:
  `tools/prowler/escalations.py` gives Prowler's functions each policy of each identity. Prowler's
  other checks need an account. Its mode for templates runs trivy, which is not included here.
- In version 5.46.0, Prowler's table names the service CodeStar, which AWS has removed. With the
  current list of actions, its check ends with an error there and finds no escalation at all. The
  table below leaves this row out.

## Findings by rule

Number of templates of the rule in which a tool finds something, with its rules.

| Rule | Severity | Sandpiper | checkov | cdk-nag | Prowler |
|---|---|---|---|---|---|
"""
UNCHANGED = """
## Findings in the template without findings of the review

| Rule | Resource | Why the review does not have it |
|---|---|---|
"""
_OPERATION = "It is about operation, not about access."
_FORM = "It is about the form of a policy, not about what the policy allows."
_INSIDE = "The function reaches only APIs of AWS, and accepts no connections."
_METADATA = "Log files have metadata only, and S3 encrypts them."
_BY_TRAIL = "The trail records requests on objects, which `audit-data` requires."
REASONS = {
    "AgentCoreSessionInvoke": "Prowler does not read resources. The statement names one interpreter, whose role allows "
    "no escalation; `escalation-interpreter` has a finding if it does.",
    "AwsSolutions-IAM5": "The wildcard stands for the objects of one folder, or the suffix of one interpreter.",
    "AwsSolutions-L1": _OPERATION,
    "AwsSolutions-S1": _BY_TRAIL,
    "AwsSolutions-SF2": _OPERATION,
    "CKV_AWS_116": _OPERATION,
    "CKV_AWS_117": _INSIDE,
    "CKV_AWS_173": "The variables have no secrets, which `secrets-variables` requires.",
    "CKV_AWS_18": _BY_TRAIL,
    "CKV_AWS_23": _OPERATION,
    "CKV_AWS_35": _METADATA,
    "CKV_AWS_67": "Interpreters exist in the Regions of the templates.",
    "CloudTrailCloudWatchLogsEnabled": _OPERATION,
    "CloudTrailEncryptionEnabled": _METADATA,
    "IAMNoInlinePolicy": _FORM,
    "LambdaDLQ": _OPERATION,
    "LambdaDefaultMemorySize": _OPERATION,
    "LambdaDefaultTimeout": _OPERATION,
    "LambdaInsideVPC": _INSIDE,
    "LambdaLatestVersion": _OPERATION,
    "LambdaTracing": _OPERATION,
    "S3BucketLoggingEnabled": _BY_TRAIL,
    "S3BucketReplicationEnabled": _OPERATION,
    "StepFunctionStateMachineXray": _OPERATION,
    "VPCDefaultSecurityGroupClosed": "No interpreter has the default security group.",
}


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/review-comparison.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "review-comparison.md"
    templates = failing_templates()
    with tempfile.TemporaryDirectory() as name:
        verdicts = {
            "checkov 3.3.30": by_checkov(Path(name) / "checkov", templates),
            "cdk-nag 3.0.2": by_cdk_nag(Path(name) / "cdk-nag", templates),
            "Prowler 5.46.0": by_prowler(templates),
        }
    file.write_text(page(templates, verdicts))


def page(templates: Mapping[str, Template], verdicts: Mapping[str, PeerVerdicts]) -> str:
    """Returns the page."""
    return (
        HEAD.format(digest=digest(templates), count=len(templates) - 1)
        + "".join(_tools(verdicts, len(templates) - 1))
        + LIMITS
        + "".join(_rows(templates, [*verdicts.values()]))
        + UNCHANGED
        + "".join(_unchanged(verdicts.values()))
    )


def _tools(verdicts: Mapping[str, PeerVerdicts], count: int) -> Iterator[str]:
    for tool, one in verdicts.items():
        finding = sum(bool(_new(one, name)) for name in one.found)
        yield f"| {' | '.join(tool.split())} | {finding} of {count} | {len(one.unreadable)} |\n"


def _new(verdict: PeerVerdicts, template: str) -> set[str]:
    """Returns the ids of the findings of a template that the unchanged one does not have."""
    return {_short(rule) for rule, _ in verdict.found[template] - verdict.found[SECURE]}


def _short(rule: str) -> str:
    name = rule.partition("[")[0]
    return next((name.removeprefix(pack) for pack in PACKS if name.startswith(pack)), name)


def _rows(templates: Mapping[str, Template], verdicts: Iterable[PeerVerdicts]) -> Iterator[str]:
    numbers: dict[str, list[str]] = defaultdict(list)
    for name in templates:
        numbers[name.rpartition("-")[0]].append(name)
    for rule in RULES:
        names = numbers.get(rule.id, [])
        if names:
            cells = [_cell([_new(one, name) for name in names]) for one in verdicts]
            yield f"| `{rule.id}` | {rule.severity.word} | {len(names)} of {len(names)} | {' | '.join(cells)} |\n"


def _cell(found: list[set[str]]) -> str:
    count = sum(map(bool, found))
    ids = Counter(id_ for one in found for id_ in one)
    if not ids:
        return f"0 of {len(found)}"
    shown = ", ".join(f"`{id_}`" for id_, _ in sorted(ids.items(), key=lambda each: (-each[1], each[0]))[:MAX_IDS])
    more = f" and {len(ids) - MAX_IDS} more" if len(ids) > MAX_IDS else ""
    return f"{count} of {len(found)}: {shown}{more}"


def _unchanged(verdicts: Iterable[PeerVerdicts]) -> Iterator[str]:
    for verdict in verdicts:
        resources: dict[str, set[str]] = defaultdict(set)
        for rule, resource in verdict.found[SECURE]:
            resources[_short(rule)].add(resource)
        for rule, names in sorted(resources.items()):
            yield f"| `{rule}` | {', '.join(sorted(names))} | {REASONS[rule]} |\n"


if __name__ == "__main__":
    main()
