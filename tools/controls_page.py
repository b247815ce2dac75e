"""Writes docs/controls.md: each rule that applies, and how it is met or why it is accepted at which resources.

    python tools/controls_page.py

The reasons of accepted findings are those in the constructs. This file describes how the other rules are met.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.support.rules.checkov import CHECKOV
from tests.support.rules.pack_rules import pack_rules
from tests.support.rules.review import review, synthesize_included

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.support.rules.review import Review

PROJECT = Path(__file__).resolve().parents[1]
TITLES = {
    "NIST.800.53.R5": "NIST 800-53 Rev. 5",
    "HIPAA.Security": "HIPAA Security Rule",
    "PCI.DSS.321": "PCI DSS 3.2.1",
    "AwsSolutions": "AWS Solutions",
    "Serverless": "Serverless",
    CHECKOV: "checkov",
}
"""Headings by rule pack, in the order of the page."""

_PRIVATE_BUCKETS = "All settings of Block Public Access are on, and ACLs are disabled."
_NO_WIDE_POLICY = "Every policy lists its actions. No action has a wildcard."
_NO_OPEN_PORT = "Only interface endpoints accept connections: from interpreters, on port 443."
_NO_SECRETS = "Variables and parameters contain settings and ids."
_OWN_KEY = "With `data_bucket.key: own`, that key encrypts logs, workflows and variables of functions."
_OWN_TRAIL_KEY = "With `data_bucket.key: own`, that key encrypts the log files of the trail."
_VALIDATED = "CloudTrail signs the log files of the trail."
_ONLY_RULES = "Only EventBridge rules of the tenant invoke the function: one of each workflow, and an hourly one."
_NAMED_PRINCIPALS = "Every trust policy names one service, or the roles in `callers`, `starters` or `readers`."
MET = {
    "CKV2_AWS_75": "No function has a URL.",
    "CKV_AWS_107": _NO_WIDE_POLICY,
    "CKV_AWS_108": _NO_WIDE_POLICY,
    "CKV_AWS_109": _NO_WIDE_POLICY,
    "CKV_AWS_110": _NO_WIDE_POLICY,
    "CKV_AWS_111": _NO_WIDE_POLICY,
    "CKV_AWS_158": _OWN_KEY,
    "CKV_AWS_173": _OWN_KEY,
    "CKV_AWS_19": "Every bucket encrypts its objects.",
    "CKV_AWS_20": _PRIVATE_BUCKETS,
    "CKV_AWS_21": "Every bucket keeps old versions.",
    "CKV_AWS_23": "Every group and every rule has a description.",
    "CKV_AWS_24": _NO_OPEN_PORT,
    "CKV_AWS_25": _NO_OPEN_PORT,
    "CKV_AWS_260": _NO_OPEN_PORT,
    "CKV_AWS_33": "The policy of the key names principals.",
    "CKV_AWS_35": _OWN_TRAIL_KEY,
    "CKV_AWS_36": _VALIDATED,
    "CKV_AWS_363": "Functions use the newest Python by default.",
    "CKV_AWS_364": _ONLY_RULES,
    "CKV_AWS_384": _NO_SECRETS,
    "CKV_AWS_40": "Policies are attached to roles. There are no users.",
    "CKV_AWS_45": _NO_SECRETS,
    "CKV_AWS_53": _PRIVATE_BUCKETS,
    "CKV_AWS_54": _PRIVATE_BUCKETS,
    "CKV_AWS_55": _PRIVATE_BUCKETS,
    "CKV_AWS_56": _PRIVATE_BUCKETS,
    "CKV_AWS_57": _PRIVATE_BUCKETS,
    "CKV_AWS_60": _NAMED_PRINCIPALS,
    "CKV_AWS_61": _NAMED_PRINCIPALS,
    "CKV_AWS_62": _NO_WIDE_POLICY,
    "CKV_AWS_63": _NO_WIDE_POLICY,
    "CKV_AWS_66": "Every log expires after `logs.retention_days` or `network.query_log_days`.",
    "CKV_AWS_7": "KMS rotates the key every year.",
    "CloudTrailEncryptionEnabled": _OWN_TRAIL_KEY,
    "CloudTrailLogFileValidationEnabled": _VALIDATED,
    "CloudWatchAlarmAction": "With `alarm_topic_arn`, each alarm notifies the topic.",
    "CloudWatchLogGroupEncrypted": _OWN_KEY,
    "CloudWatchLogGroupRetentionPeriod": "Every log expires after `logs.retention_days` or `network.query_log_days`.",
    "EC2RestrictedCommonPorts": _NO_OPEN_PORT,
    "EC2RestrictedInbound": _NO_OPEN_PORT,
    "EC2RestrictedSSH": _NO_OPEN_PORT,
    "EC2SecurityGroupDescription": "Every group has a description.",
    "IAMNoManagedPolicies": "No role has a managed policy.",
    "IAMPolicyNoStatementsWithAdminAccess": _NO_WIDE_POLICY,
    "IAMPolicyNoStatementsWithFullAccess": _NO_WIDE_POLICY,
    "IAMUserNoPolicies": "Policies are attached to roles. There are no users.",
    "KMSBackingKeyRotationEnabled": "KMS rotates the key every year.",
    "LambdaConcurrency": "With `session_function.reserved_concurrency`, the function has a limit.",
    "LambdaDefaultMemorySize": "Every function has an explicit size of memory.",
    "LambdaDefaultTimeout": "Every function has an explicit timeout.",
    "LambdaFunctionPublicAccessProhibited": _ONLY_RULES,
    "LambdaLatestVersion": "Functions use the newest Python by default.",
    "LambdaStarPermissions": "Roles of functions have no actions on all resources.",
    "S3BucketLevelPublicAccessProhibited": _PRIVATE_BUCKETS,
    "S3BucketLoggingEnabled": "Requests to the buckets of data and of the audit trail are logged in a log bucket.",
    "S3BucketPublicReadProhibited": _PRIVATE_BUCKETS,
    "S3BucketPublicWriteProhibited": _PRIVATE_BUCKETS,
    "S3BucketSSLRequestsOnly": "The policy of every bucket denies requests without TLS 1.2.",
    "S3BucketVersioningEnabled": "Every bucket keeps old versions.",
    "S3DefaultEncryptionKMS": "With `data_bucket.key`, a customer managed key encrypts objects.",
    "S3WebBucketOAIAccess": "No bucket is a website.",
    "StepFunctionStateMachineAllLogsToCloudWatch": "Workflows log every event, without input and output.",
    "StepFunctionStateMachineXray": "Workflows are traced.",
    "VPCFlowLogsEnabled": "Accepted and rejected connections are logged.",
    "VPCSubnetAutoAssignPublicIpDisabled": "Subnets assign no public addresses. No gateway leads to the internet.",
}
"""How a rule is met: by its name in cdk-nag, which several packs share, or by the id of the check in checkov.

A rule that is met with an option, and accepted without it, has two rows.
"""

HEAD = """# Controls

This page lists every rule of [cdk-nag](https://github.com/cdklabs/cdk-nag/blob/main/RULES.md) and
[checkov](https://www.checkov.io/5.Policy%20Index/cloudformation.html) that applies to a resource of
Sandpiper: why it is accepted, or how it is met. It is generated, and a test fails on a finding
without a reason.

The rules check the environments in `environments/`, and two with nearly every option: ten tenants
with a new bucket, and four with an existing one. They check properties of templates: a met rule
does not prove compliance with a standard.
[Permissions](permissions.md) describes every role and policy.

*Controls* are those that the pack assigns to the rule. An enhancement such as AC-2(6) is listed as
its control, AC-2. A rule that depends on an option has two rows.

| Rules | Apply | Accepted | Met |
|---|---|---|---|
"""
TABLE = """\
| Rule | Controls | State | Reason, or how it is met | Resources |
|---|---|---|---|---|
"""
CONTROL = re.compile(r"[A-Z]{2}-\d+")
"""A control of NIST 800-53 without its enhancement and its part."""


@dataclass(frozen=True, order=True)
class Row:
    """A row of a table. Accepted rows are sorted before met ones."""

    is_met: bool
    rule: str
    text: str
    controls: str
    resources: str

    def __str__(self) -> str:
        state = "met" if self.is_met else "accepted"
        return f"| `{self.rule}` | {self.controls} | {state} | {self.text} | {self.resources} |\n"


class Applicable(NamedTuple):
    """A rule that applies to a resource.

    Attributes:
        id: the id of the rule in its pack.
        name: its name in `MET`.
        controls: the controls that the pack assigns to it.
        types: the types of the resources.
    """

    id: str
    name: str
    controls: str
    types: set[str]


def main() -> None:
    """Writes the page to the file in the first argument, or to docs/controls.md."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT / "docs" / "controls.md"
    os.chdir(PROJECT)
    with tempfile.TemporaryDirectory() as folder:
        file.write_text(page(review(Path(folder), synthesize_included(Path(folder)))))


def page(reviewed: Review) -> str:
    """Returns the page. Raises ValueError if `MET` has no text for a rule that is met, or a text for no rule."""
    applicable = {pack: list(_applicable(pack, reviewed)) for pack in TITLES}
    unused = MET.keys() - {rule.name for rules in applicable.values() for rule in rules}
    if unused:
        raise ValueError(f"MET has {sorted(unused)}, which apply to no resource: remove them")
    tables = {pack: sorted(_rows(pack, rules, reviewed)) for pack, rules in applicable.items()}
    summary = "".join(
        f"| [{TITLES[pack]}](#{_anchor(TITLES[pack])}) | {len({row.rule for row in rows})} "
        f"| {len({row.rule for row in rows if not row.is_met})} | {len({row.rule for row in rows if row.is_met})} |\n"
        for pack, rows in tables.items()
    )
    return HEAD + summary + "".join(_section(pack, rows) for pack, rows in tables.items())


def _rows(pack: str, rules: Iterable[Applicable], reviewed: Review) -> Iterator[Row]:
    """Yields a row for each rule that is accepted at a resource, and one for each rule that is met."""
    findings = [finding for finding in reviewed.findings if finding.pack == pack]
    for rule in rules:
        accepted = [finding for finding in findings if finding.rule.partition("[")[0] == rule.id]
        row = partial(Row, rule=rule.id, controls=rule.controls)
        if accepted:
            reasons = sorted({finding.reason or f"not accepted at {finding.at}" for finding in accepted})
            at = {finding.type for finding in accepted}
            yield row(is_met=False, text="<br>".join(reasons), resources=_names(at))
        if rule.name in MET:
            yield row(is_met=True, text=MET[rule.name], resources=_names(rule.types))
        elif not accepted:
            raise ValueError(f"MET has no text for {rule.name}, a rule of {pack} that applies to {sorted(rule.types)}")


def _applicable(pack: str, reviewed: Review) -> Iterator[Applicable]:
    """Yields the rules that apply to a resource."""
    if pack == CHECKOV:
        by_check = {check: set(types) for check, types in reviewed.passed.items()}
        for finding in reviewed.findings:
            if finding.pack == CHECKOV:
                by_check.setdefault(finding.rule, set()).add(finding.type)
        yield from (Applicable(check, check, "", types) for check, types in sorted(by_check.items()))
        return
    all_types = reviewed.types()
    for rule in pack_rules(pack):
        types = {type_ for type_ in all_types if type_.removeprefix("AWS::").lower() in rule.resources}
        if types:
            yield Applicable(rule.id, rule.name, _controls(rule.controls), types)


def _controls(controls: Iterable[str]) -> str:
    """Returns the controls, each once, without enhancements of NIST 800-53."""
    return ", ".join(dict.fromkeys(match[0] if (match := CONTROL.match(each)) else each for each in controls))


def _names(types: Iterable[str]) -> str:
    return ", ".join(sorted(type_.removeprefix("AWS::") for type_ in types))


def _anchor(title: str) -> str:
    """Returns the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def _section(pack: str, rows: Iterable[Row]) -> str:
    return f"\n## {TITLES[pack]}\n\n{TABLE}" + "".join(map(str, rows))


if __name__ == "__main__":
    main()
