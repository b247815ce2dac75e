"""Tests the rules between options of an environment file, which are checked in one pass with everything else."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from sandpiper.environment import ConfigIssue, Environment, InvalidEnvironment, find_warnings, load
from sandpiper.environment.checks import CHECKS
from sandpiper.environment.network_checks import MIN_ZONES
from sandpiper.environment.regions import INTERPRETER_REGIONS, S3_PREFIX_LISTS
from sandpiper.environment.zones import SUPPORTED_ZONES

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.environment.checks import Check

TODAY = datetime.date(2027, 6, 1)
HEAD = """\
name: dev
account: "111122223333"
region: eu-west-1
owner: platform team
"""
ROLE = "arn:aws:iam::111122223333:role"
OTHER_ROLE = "arn:aws:iam::444455556666:role/code"
ZONES = "availability_zones: {eu-west-1a: euw1-az1, eu-west-1b: euw1-az2}\n"
FINDING = "finding: AwsSolutions-S1, at: sandpiper-dev-storage/DataBucket/Data, reason: for a test, owner: me"
GROUPS = "[sg-0123456789abcdef0]"
SUBNETS = "[subnet-0123456789abcdef0]"


def one(*options: str) -> str:
    """Returns an unnamed tenant with an interpreter `web`. Each option is a line."""
    return "interpreters:\n  web:\n" + "".join(f"    {option}\n" for option in options)


def two(first: str, second: str) -> str:
    """Returns two tenants with one interpreter each."""
    return f"tenants:\n  a: {{interpreters: {{web: {first}}}}}\n  b: {{interpreters: {{web: {second}}}}}\n"


def reserving(*runs: int) -> str:
    """Returns tenants that reserve concurrency."""
    lines = (
        f"  t{number}: {{interpreters: {{web: }}, session_function: {{reserved_concurrency: {each}}}}}\n"
        for number, each in enumerate(runs)
    )
    return "tenants:\n" + "".join(lines)


def many(tenants: int, interpreters: int) -> str:
    keys = ", ".join(f"i{number}: " for number in range(interpreters))
    return "tenants:\n" + "".join(f"  t{number}: {{interpreters: {{{keys}}}}}\n" for number in range(tenants))


def folders(count: int, parent: str = "bucket/exports") -> str:
    """Returns a list of folders with the same parent."""
    return "[" + ", ".join(f"s3://{parent}/folder-{number:03}/" for number in range(count)) + "]"


def roles(prefix: str, count: int) -> str:
    """Returns a list of roles."""
    return "[" + ", ".join(f"{ROLE}/a/very/long/path/of/the/role/{prefix}-{number}" for number in range(count)) + "]"


def in_the_network(interpreters: int, each: int) -> str:
    """Returns interpreters in the environment's network that each read a number of folders."""
    lines = (
        f"  i{number}: {{network: VPC, read: {folders(each, f'bucket/{number:03}')}}}" for number in range(interpreters)
    )
    return "interpreters:\n" + "\n".join(lines) + "\n" + ZONES + "network:\n"


WEB = "interpreters.web"
LONG = "bucket/" + "x" * 1000
BAD: dict[str, tuple[str, str, str]] = {
    "a new key for an existing bucket": (
        one() + "data_bucket: {name: lake, key: own}\n",
        "data_bucket.key",
        "is own, but Sandpiper does not manage the encryption of the existing bucket lake",
    ),
    "events of an existing bucket": (
        one() + "data_bucket: {name: lake, events: true}\n",
        "data_bucket.events",
        "is true, but Sandpiper does not manage the notifications of the existing bucket lake",
    ),
    "workflows of the environment with tenants": (
        two("", "") + "workflows: {run-code: {}}\n",
        "workflows",
        "is set together with tenants",
    ),
    "a starter that cannot get a policy": (
        one() + f"workflows: {{run-code: {{starters: [{ROLE}/AWSReservedSSO_Admin_0123]}}}}\n",
        "workflows.run-code.starters[0]",
        "is managed by AWS: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123'",
    ),
    "a reader in another partition": (
        one() + "workflows: {run-code: {readers: [arn:aws-cn:iam::444455556666:role/a]}}\n",
        "workflows.run-code.readers[0]",
        "is in aws-cn: 'arn:aws-cn:iam::444455556666:role/a'",
    ),
    "a starter twice": (
        one() + f"workflows: {{run-code: {{starters: [{ROLE}/a, {ROLE}/a]}}}}\n",
        "workflows.run-code.starters[1]",
        "is 'arn:aws:iam::111122223333:role/a', the same as starters[0]",
    ),
    "both tenants and interpreters": (one() + two("", ""), "tenants", "is set together with interpreters"),
    "no tenants": ("", "tenants", "is missing, and interpreters is missing too"),
    "public without expiry": (
        one("network: PUBLIC", "reason: pip", "owner: me"),
        f"{WEB}.expires",
        "is missing",
    ),
    "accepted finding without expiry": (
        one() + f"accepted_findings: [{{{FINDING}}}]\n",
        "accepted_findings[0].expires",
        "is missing",
    ),
    "expected access to an unknown tenant": (
        one() + "expect: [{principal: a, operation: read results, access: denied, tenant: claims}]\n",
        "expect[0].tenant",
        "is 'claims'",
    ),
    "default lifetime above the maximum": (
        one("session: {longest_seconds: 60}"),
        f"{WEB}.session.default_seconds",
        "is 300",
    ),
    "a role in another account": (
        one(f"execution_role: {OTHER_ROLE}"),
        f"{WEB}.execution_role",
        f"is in another account: '{OTHER_ROLE}'",
    ),
    "a service-linked role": (
        one(f"execution_role: {ROLE}/aws-service-role/Service"),
        f"{WEB}.execution_role",
        "is managed by AWS: 'arn:aws:iam::111122223333:role/aws-service-role/Service'",
    ),
    "a role of IAM Identity Center": (
        one(f"execution_role: {ROLE}/AWSReservedSSO_Admin_0123"),
        f"{WEB}.execution_role",
        "is managed by AWS: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123'",
    ),
    "a caller that cannot get a policy": (
        one(f"callers: [{ROLE}/AWSReservedSSO_Admin_0123]"),
        f"{WEB}.callers[0]",
        "is managed by AWS: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123'",
    ),
    "an administrator from another account": (
        one() + f"administrators: [{OTHER_ROLE}]\n",
        "administrators[0]",
        f"is in another account: '{OTHER_ROLE}'",
    ),
    "a reader who is also a writer": (
        one() + f"readers: [{ROLE}/audit, {ROLE}/a]\nwriters: [{ROLE}/a]\n",
        "readers[1]",
        "is 'arn:aws:iam::111122223333:role/a', the same as writers[0]",
    ),
    "a reader of an existing bucket": (
        one() + f"readers: [{ROLE}/audit]\ndata_bucket: {{name: existing}}\n",
        "readers",
        "is set, but Sandpiper does not manage the policy of the existing bucket existing",
    ),
    "more roles than the bucket's policy can hold": (
        one() + "".join(f"{option}: {roles(option, 50)}\n" for option in ("readers", "writers", "administrators")),
        "readers",
        "is too long: the policy of the data bucket names 150 roles and 0 existing execution roles, and has up to "
        "23,214 bytes",
    ),
    "batches without a limit of their sessions": (
        "tenants:\n  a: {interpreters: {web: }, workflows: {run-batch: }}\n",
        "tenants.a.workflows.run-batch",
        "is deployed, but the number of its sessions is not limited",
    ),
    "batches of an unnamed tenant": (
        one() + "workflows: {run-batch: }\n",
        "workflows.run-batch",
        "is deployed, but the number of its sessions is not limited",
    ),
    "batches with more sessions than the quota": (
        "tenants:\n"
        + "".join(
            f"  {name}: {{interpreters: {{web: }}, workflows: {{run-batch: }}, "
            "session_function: {reserved_concurrency: 60}}\n"
            for name in ("a", "b")
        )
        + "quotas: {live_sessions: 100}\n",
        "quotas.live_sessions",
        "is 100, but the tenants with run-batch reserve 120 concurrent runs",
    ),
    "folders without a role": (
        one("execution_role: none", "write: [s3://bucket/out/]"),
        f"{WEB}.write",
        "is set with execution_role: none",
    ),
    "folders with an existing role": (
        one(f"execution_role: {ROLE}/code", "read: [s3://bucket/in/]"),
        f"{WEB}.read",
        "is set with execution_role: 'arn:aws:iam::111122223333:role/code'",
    ),
    "a folder in a folder": (
        one("read: [s3://bucket/a/, s3://bucket/a/b/]"),
        f"{WEB}.read[1]",
        "overlaps read[0] of the same interpreter: 's3://bucket/a/b/'",
    ),
    "the same folder to read and to write": (
        one("read: [s3://bucket/a/]", "write: [s3://bucket/a/]"),
        f"{WEB}.write[0]",
        "overlaps read[0] of the same interpreter: 's3://bucket/a/'",
    ),
    "writing where another reads": (
        two("{write: [s3://bucket/a/]}", "{read: [s3://bucket/a/b/]}"),
        "tenants.b.interpreters.web.read[0]",
        "overlaps tenants.a.interpreters.web.write[0] of another interpreter: 's3://bucket/a/b/'",
    ),
    "writing within what another reads": (
        two("{write: [s3://bucket/a/b/]}", "{read: [s3://bucket/a/]}"),
        "tenants.a.interpreters.web.write[0]",
        "overlaps tenants.b.interpreters.web.read[0] of another interpreter: 's3://bucket/a/b/'",
    ),
    "Sandpiper's own data": (
        one("read: [s3://sandpiper-dev-111122223333-eu-west-1/tenants/main/]"),
        f"{WEB}.read[0]",
        "is in Sandpiper's own data: 's3://sandpiper-dev-111122223333-eu-west-1/tenants/main/'",
    ),
    "Sandpiper's own data in an existing bucket": (
        one("read: [s3://the-bucket/tenants/]") + "data_bucket: {name: the-bucket}\n",
        f"{WEB}.read[0]",
        "is in Sandpiper's own data: 's3://the-bucket/tenants/'",
    ),
    "no VPC": (one("network: VPC"), f"{WEB}.subnets", "is missing, and the environment has no network"),
    "no security groups": (
        one("network: VPC", f"subnets: {SUBNETS}"),
        f"{WEB}.security_groups",
        "is missing, but subnets is set",
    ),
    "no subnets": (
        one("network: VPC", f"security_groups: {GROUPS}"),
        f"{WEB}.subnets",
        "is missing, but security_groups is set",
    ),
    "a subnet twice": (
        one("network: VPC", f"security_groups: {GROUPS}", "subnets: [subnet-01234567, subnet-01234567]"),
        f"{WEB}.subnets[1]",
        "is 'subnet-01234567', the same as subnets[0]",
    ),
    "a network in one zone": (
        one() + "network: {}\navailability_zones: {eu-west-1a: euw1-az1}\n",
        "availability_zones",
        "has 1 zone, but network is set",
    ),
    "a network in no zone": (
        one() + "network:\n  domains: []\n",
        "availability_zones",
        "is missing, but network is set",
    ),
    "a network with an empty mapping of zones": (
        one() + "network:\navailability_zones: {}\n",
        "availability_zones",
        "is empty ({}), but network is set",
    ),
    "a zone of another region": (
        one() + "availability_zones: {us-east-1a: use1-az1}\n",
        "availability_zones.us-east-1a",
        "is not a zone of eu-west-1",
    ),
    "a zone without AgentCore": (
        one() + "availability_zones: {eu-west-1a: euw1-az9}\n",
        "availability_zones.eu-west-1a",
        "is 'euw1-az9'",
    ),
    "a zone with two names": (
        one() + "availability_zones: {eu-west-1a: euw1-az1, eu-west-1b: euw1-az1}\n",
        "availability_zones.eu-west-1b",
        "is euw1-az1, the same as eu-west-1a",
    ),
    "a zone without addresses": (
        one() + "availability_zones: {eu-west-1z: euw1-az1}\n",
        "availability_zones.eu-west-1z",
        "is zone z",
    ),
    "an unaligned address range": (
        one() + ZONES + "network: {cidr: 10.64.1.0/20}\n",
        "network.cidr",
        "is '10.64.1.0/20', which is not the start of a range of this size",
    ),
    "a topic of another region": (
        one() + "alarm_topic_arn: arn:aws:sns:us-east-1:111122223333:alarms\n",
        "alarm_topic_arn",
        "is in us-east-1: 'arn:aws:sns:us-east-1:111122223333:alarms'",
    ),
    "two topics for the same alarms": (
        one() + "alarm_topic_arn: arn:aws:sns:eu-west-1:111122223333:alarms\n"
        "alarm_subscriptions: {emails: [a@example.com]}\n",
        "alarm_subscriptions",
        "is set together with alarm_topic_arn",
    ),
    "a topic without a recipient": (
        one() + "tenant_alarm_subscriptions: {emails: []}\n",
        "tenant_alarm_subscriptions",
        "has no recipient",
    ),
    "the same recipient twice": (
        one() + "alarm_subscriptions: {emails: [a@example.com, a@example.com]}\n",
        "alarm_subscriptions.emails[1]",
        "is 'a@example.com', the same as emails[0]",
    ),
    "Slack in a region without it": (
        "region: us-gov-west-1\n" + one() + "alarm_subscriptions: {slack: {workspace: T1, channel: C1}}\n",
        "alarm_subscriptions.slack",
        "is set, but us-gov-west-1 has no Amazon Q Developer in chat applications",
    ),
    "a key of another partition": (
        one() + "data_bucket: {key: 'arn:aws-cn:kms:eu-west-1:111122223333:key/1'}\n",
        "data_bucket.key",
        "is in aws-cn: 'arn:aws-cn:kms:eu-west-1:111122223333:key/1'",
    ),
    "a secret of another region": (
        one("certificates: ['arn:aws:secretsmanager:eu-west-2:111122223333:secret:root']"),
        f"{WEB}.certificates[0]",
        "is in eu-west-2: 'arn:aws:secretsmanager:eu-west-2:111122223333:secret:root'",
    ),
    "a boundary in another account": (
        one() + "permissions_boundary: arn:aws:iam::444455556666:policy/most\n",
        "permissions_boundary",
        "is in another account: 'arn:aws:iam::444455556666:policy/most'",
    ),
    "more concurrency reserved than available": (
        reserving(500, 401),
        "tenants.t0.session_function.reserved_concurrency",
        "is the largest part of 901 that all tenants reserve",
    ),
    "more interpreters than the quota": (
        many(1, 2) + "quotas: {interpreters: 1}\n",
        "quotas.interpreters",
        "is 1, but the file has 2 interpreters",
    ),
    "a retention of an existing trail": (
        one() + "audit: {trail: organization, retention_days: 30}\n",
        "audit.retention_days",
        "is set, but Sandpiper does not manage the log files of the trail organization",
    ),
    "a trail in another partition": (
        one() + "audit: {trail: 'arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/all'}\n",
        "audit.trail",
        "is in aws-cn: 'arn:aws-cn:cloudtrail:cn-north-1:111122223333:trail/all'",
    ),
    "more lifecycle rules than S3 allows": (
        many(500, 1) + "data_bucket: {retention_days: {inputs: 1}}\n",
        "tenants",
        "need 1001 lifecycle rules of the data bucket",
    ),
    "one lifecycle rule too many, for a removed tenant": (
        many(499, 1) + "data_bucket: {retention_days: {inputs: 1, removed_tenants: {a: 1, b: 1}}}\n",
        "tenants",
        "need 1001 lifecycle rules of the data bucket",
    ),
    "a removed tenant with an existing bucket": (
        one() + "data_bucket: {name: lake, retention_days: {removed_tenants: {claims: 30}}}\n",
        "data_bucket.retention_days.removed_tenants",
        "is set, but Sandpiper does not manage the lifecycle rules of the existing bucket lake",
    ),
    "a removed tenant that is still in the file": (
        one() + "data_bucket: {retention_days: {removed_tenants: {claims: 30, main: 30}}}\n",
        "data_bucket.retention_days.removed_tenants.main",
        "is still a tenant of the file, and all its data would expire",
    ),
    "too many tags": (
        "tags: {" + ", ".join(f"a{number}: x" for number in range(40)) + "}\n"
        "tenants: {t: {interpreters: {web: }, tags: {" + ", ".join(f"b{number}: x" for number in range(6)) + "}}}\n",
        "tenants.t.tags",
        "has 46 tags together with the environment's tags",
    ),
    "a budget in GovCloud": (
        "region: us-gov-west-1\n" + one() + "budget: {usd_a_month: 5, emails: [a@example.com]}\n",
        "budget",
        "is set, but us-gov-west-1 has no AWS Budgets",
    ),
    "more folders than a role policy can hold": (
        one(f"read: {folders(50)}"),
        f"{WEB}.read",
        "is too long: the role's policy for 50 folders has 12537 characters",
    ),
    "more folders than a tenant's role policy can hold": (
        f"tenants: {{a: {{interpreters: {{web: {{read: {folders(4)}, write: {folders(5, LONG)}}}}}}}}}\n",
        "tenants.a.interpreters.web.write",
        "is too long: the role's policy for 9 folders has 12705 characters",
    ),
    "more folders than an endpoint policy can hold": (
        in_the_network(12, 25),
        "network",
        "gives access to 313 S3 folders, for which the endpoint policy has 21003 characters",
    ),
}


def _file_text(rest: str) -> str:
    """Returns a complete file. The rest can start with another region."""
    return (HEAD.replace("region: eu-west-1\n", "") if rest.startswith("region: ") else HEAD) + rest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dev.yaml"


def _issues(file: Path, text: str) -> tuple[ConfigIssue, ...]:
    file.write_text(text)
    with pytest.raises(InvalidEnvironment) as caught:
        load(file)
    return caught.value.issues


@pytest.mark.parametrize(("rest", "at", "problem"), BAD.values(), ids=BAD)
def test_conflict_is_reported_at_its_key_path(file: Path, rest: str, at: str, problem: str) -> None:
    issues = _issues(file, _file_text(rest))
    assert [(issue.at, issue.problem) for issue in issues] == [(at, problem)]
    assert issues[0].allowed
    assert issues[0].remedy


@pytest.mark.parametrize(("rest", "at", "problem"), BAD.values(), ids=BAD)
def test_conflict_is_reported_together_with_invalid_options(file: Path, rest: str, at: str, problem: str) -> None:
    issues = _issues(file, _file_text(rest) + "termination_protection: maybe\nlogs: {retention_days: 2, rest: 1}\n")
    assert {"termination_protection", "logs.retention_days", "logs.rest", at} == {issue.at for issue in issues}
    assert (at, problem) in [(issue.at, issue.problem) for issue in issues]


GOOD: dict[str, str] = {
    "folders that two interpreters only read": two(
        "{read: [s3://bucket/a/]}", "{read: [s3://bucket/a/b/, s3://bucket/ab/]}"
    ),
    "writing next to a folder that another reads": two("{write: [s3://bucket/a/]}", "{read: [s3://bucket/ab/]}"),
    "a folder of the data bucket outside the tenants' prefix": one(
        "read: [s3://sandpiper-dev-111122223333-eu-west-1/shared/]"
    ),
    "a caller in another account": one("callers: [arn:aws:iam::444455556666:role/AWSReservedSSO_Admin_0123]"),
    "a folder's key in its bucket's region": one(
        "read: [{uri: s3://bucket/a/, key: 'arn:aws:kms:us-east-1:111122223333:key/1'}]"
    ),
    "a boundary managed by AWS": one() + "permissions_boundary: arn:aws:iam::aws:policy/PowerUserAccess\n",
    "the maximum of reserved concurrency": reserving(500, 400),
    "the maximum of lifecycle rules": many(499, 1)
    + "data_bucket: {retention_days: {inputs: 1, removed_tenants: {a: 1}}}\n",
    "as many folders as a role policy can hold": one(f"read: {folders(40)}"),
    "as many folders as an endpoint policy can hold": in_the_network(12, 24),
    "more folders outside the network": one(f"read: {folders(40)}") + ZONES + "network:\n",
    "a new VPC": one("network: VPC") + ZONES + "network:\n",
    "an existing VPC": one("network: VPC", f"subnets: {SUBNETS}", f"security_groups: {GROUPS}"),
}


@pytest.mark.parametrize("rest", GOOD.values(), ids=GOOD)
def test_valid_combination_is_accepted(file: Path, rest: str) -> None:
    file.write_text(_file_text(rest))
    assert isinstance(load(file), Environment)


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        # Without the account it is unknown whether this is the embedded AWS and which account a role is in.
        ('account: "111122223333"', "account: 5", "account"),
        ("region: eu-west-1", "region: Ireland", "region"),
        ("region: eu-west-1\n", "", "region"),
        # An invalid option hides the issues of options that depend on it.
        ("expires: 2027-12-31", "expires: soon", "interpreters.web.expires"),
        ("longest_seconds: 600", "longest_seconds: 59", "interpreters.web.session.longest_seconds"),
        ("subnets: [subnet-01234567]", "subnets: [none]", "interpreters.vpc.subnets[0]"),
    ],
)
def test_consequence_of_an_invalid_option_is_not_reported(file: Path, before: str, after: str, at: str) -> None:
    text = (
        HEAD
        + one(
            "network: PUBLIC",
            "reason: pip",
            "owner: me",
            "expires: 2027-12-31",
            "session: {default_seconds: 600, longest_seconds: 600}",
            f"execution_role: {ROLE}/code",
        )
        + "  vpc: {network: VPC, subnets: [subnet-01234567], security_groups: [sg-01234567]}\n"
        + "alarm_topic_arn: arn:aws:sns:eu-west-1:111122223333:alarms\n"
        + ZONES
        + "network:\n"
    )
    assert text.count(before) == 1
    assert [issue.at for issue in _issues(file, text.replace(before, after))] == [at]


def test_missing_option_has_the_line_of_the_option_that_requires_it(file: Path) -> None:
    (issue,) = _issues(file, HEAD + one() + "network:\n")
    assert (issue.at, issue.line) == ("availability_zones", (HEAD + one()).count("\n") + 1)


@pytest.mark.parametrize(
    ("rest", "at"),
    [
        (
            one(
                "read: [s3://bucket, s3://bucket/a/, 5, {account: '1'}, s3://bucket/a/b/]", "write: [s3://bucket/a/c/]"
            ),
            ["read[0]", "read[2]", "read[3].uri", "read[3].account", "read[4]", "write[0]"],
        ),
        (
            one("network: VPC", "subnets: [none, subnet-01234567, subnet-01234567, nothing]"),
            ["security_groups", "subnets[0]", "subnets[3]", "subnets[2]"],
        ),
        (
            one("certificates: [no, 'arn:aws:secretsmanager:eu-west-2:111122223333:secret:root']"),
            ["certificates[0]", "certificates[1]"],
        ),
        (one(f"callers: [me, {ROLE}/AWSReservedSSO_Admin_0123]"), ["callers[0]", "callers[1]"]),
        (
            one() + f"readers: ['*', {ROLE}/*, {ROLE}/*/a, '{ROLE}/a*', {ROLE[:-4]}user/a, {OTHER_ROLE}]\n",
            [*(f"readers[{index}]" for index in range(5)), "readers[5]"],
        ),
    ],
    ids=["folders", "subnets", "secrets", "callers", "readers"],
)
def test_invalid_item_of_a_list_hides_no_issue_of_its_other_items(file: Path, rest: str, at: list[str]) -> None:
    assert [issue.at.removeprefix(f"{WEB}.") for issue in _issues(file, HEAD + rest)] == at


def test_every_check_finds_an_issue(file: Path) -> None:
    unused: set[Check] = set(CHECKS)
    for rest, *_ in BAD.values():
        file.write_text(_file_text(rest))
        for check in set(unused):
            if _finds(check, file):
                unused.discard(check)
    assert {check.__name__ for check in unused} == {"_check_bucket_name", "_check_prefix_list"}, (
        "these checks have separate tests"
    )


def _finds(check: Check, file: Path) -> bool:
    from ruamel.yaml import YAML

    document = YAML(typ="safe", pure=True).load(file)
    try:
        environment = Environment.model_validate(document)
    except ValueError:
        return False
    return bool(list(check(environment)))


def test_long_region_name_makes_the_bucket_name_too_long(file: Path) -> None:
    long = HEAD.replace("dev", "abcdefghijklmnopqrst").replace("eu-west-1", "us-isof-south-1")
    issues = _issues(file.with_name("abcdefghijklmnopqrst.yaml"), long + one())
    assert [issue.at for issue in issues] == ["name"]


def test_prefix_list_is_required_in_a_region_without_a_default(file: Path) -> None:
    assert "eu-south-1" not in S3_PREFIX_LISTS
    text = HEAD.replace("eu-west-1", "eu-south-1") + one()
    text += "availability_zones: {eu-south-1a: eus1-az1, eu-south-1b: eus1-az2}\n"
    assert [issue.at for issue in _issues(file, text + "network:\n")] == ["network.s3_prefix_list"]
    file.write_text(text + "network: {s3_prefix_list: pl-01234567}\n")
    assert load(file)


def test_zones_of_an_unknown_region_are_a_warning(file: Path) -> None:
    file.write_text(
        HEAD.replace("eu-west-1", "eu-central-2") + one() + "availability_zones: {eu-central-2a: euc2-az1}\n"
    )
    assert [warning.at for warning in find_warnings(load(file))] == ["region", "availability_zones"]


def test_supported_zones_are_in_known_regions() -> None:
    assert set(SUPPORTED_ZONES) < set(INTERPRETER_REGIONS)
    assert all(len(set(zones)) >= MIN_ZONES for zones in SUPPORTED_ZONES.values())


def test_expiry_within_thirty_days_is_a_warning(file: Path) -> None:
    public = one("network: PUBLIC", "reason: pip", "owner: me", "expires: 2027-07-01")
    file.write_text(HEAD + public + f"accepted_findings: [{{{FINDING}, expires: 2027-07-01}}]\n")
    environment = load(file)
    assert [warning.at for warning in find_warnings(environment, today=TODAY)] == [
        "interpreters.web.expires",
        "accepted_findings[0].expires",
    ]
    assert find_warnings(environment, today=TODAY - datetime.timedelta(days=1)) == ()


def test_expiry_dates_are_optional_on_the_embedded_aws(file: Path) -> None:
    text = HEAD.replace("111122223333", "123456789012") + one("network: PUBLIC", "reason: pip", "owner: me")
    file.write_text(text + f"accepted_findings: [{{{FINDING}}}]\n")
    assert find_warnings(load(file)) == ()


EXTERNAL: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "an existing role": (
        one(f"execution_role: {ROLE}/code"),
        [(f"{WEB}.execution_role", "is an existing role: Sandpiper manages neither its trust policy nor its")],
    ),
    "an existing data bucket": (
        one() + "data_bucket: {name: lake}\n",
        [("data_bucket.name", "lake is an existing bucket: Sandpiper does not manage its policy")],
    ),
    "a key of another account": (
        one() + "data_bucket: {key: 'arn:aws:kms:eu-west-1:444455556666:key/1'}\n",
        [("data_bucket.key", "is a key of account 444455556666: no data can be read after that account disables")],
    ),
    "reading a bucket of another account": (
        one("read: [{uri: s3://partner/in/, account: '444455556666'}]"),
        [(f"{WEB}.read[0]", "bucket partner of account 444455556666 is not managed by Sandpiper: code trusts what")],
    ),
    "writing a bucket of another account": (
        one("write: [{uri: s3://partner/in/, account: '444455556666'}]"),
        [(f"{WEB}.write[0]", "bucket partner of account 444455556666 is not managed by Sandpiper: code writes data")],
    ),
    "writing a bucket of this account": (
        one("write: [s3://lake/in/]"),
        [(f"{WEB}.write[0]", "bucket lake of this account is not managed by Sandpiper: code writes data to it")],
    ),
    "one warning for each bucket, where it is written": (
        one("read: [s3://lake/a/, s3://lake/b/]", "write: [s3://lake/c/, s3://lake/d/]"),
        [(f"{WEB}.write[0]", "bucket lake of this account")],
    ),
    "internet access and a folder to write": (
        one(
            *("network: PUBLIC", "reason: pip", "owner: me", "expires: 2999-01-01"),
            "write: [{uri: s3://partner/in/, account: '444455556666'}]",
        ),
        [
            (f"{WEB}.write[0]", "bucket partner of account 444455556666"),
            (f"{WEB}.write", "code that reaches the internet can write to s3://partner/in/: a program from the"),
        ],
    ),
    "reading a bucket of this account": (one("read: [{uri: s3://lake/a/, account: '111122223333'}]"), []),
    "writing next to the tenants of the data bucket": (
        one("write: [s3://sandpiper-dev-111122223333-eu-west-1/shared/]"),
        [],
    ),
}


@pytest.mark.parametrize(("rest", "expected"), EXTERNAL.values(), ids=EXTERNAL)
def test_resources_that_sandpiper_does_not_manage_are_warnings(
    file: Path, rest: str, expected: list[tuple[str, str]]
) -> None:
    file.write_text(HEAD + rest)
    warnings = find_warnings(load(file), today=TODAY)
    assert [warning.at for warning in warnings] == [at for at, _ in expected]
    for warning, (_, text) in zip(warnings, expected, strict=True):
        assert text in warning.text
