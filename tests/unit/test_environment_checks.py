"""What holds between the options of an environment file is checked with everything else, in one run."""

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
    """An interpreter `web` with options, each a line, of a tenant without a name."""
    return "interpreters:\n  web:\n" + "".join(f"    {option}\n" for option in options)


def two(first: str, second: str) -> str:
    """An interpreter of each of two tenants."""
    return f"tenants:\n  a: {{interpreters: {{web: {first}}}}}\n  b: {{interpreters: {{web: {second}}}}}\n"


def reserving(*runs: int) -> str:
    """Tenants that reserve concurrency."""
    lines = (
        f"  t{number}: {{interpreters: {{web: }}, session_function: {{reserved_concurrency: {each}}}}}\n"
        for number, each in enumerate(runs)
    )
    return "tenants:\n" + "".join(lines)


def many(tenants: int, interpreters: int) -> str:
    keys = ", ".join(f"i{number}: " for number in range(interpreters))
    return "tenants:\n" + "".join(f"  t{number}: {{interpreters: {{{keys}}}}}\n" for number in range(tenants))


def folders(count: int, key_path: str = "bucket/exports") -> str:
    """A list of so many folders, side by side."""
    return "[" + ", ".join(f"s3://{key_path}/folder-{number:03}/" for number in range(count)) + "]"


def in_the_network(interpreters: int, each: int) -> str:
    """Interpreters in the environment's network, each of which reads so many folders of a bucket."""
    lines = (
        f"  i{number}: {{network: VPC, read: {folders(each, f'bucket/{number:03}')}}}" for number in range(interpreters)
    )
    return "interpreters:\n" + "\n".join(lines) + "\n" + ZONES + "network:\n"


WEB = "interpreters.web"
LONG = "bucket/" + "x" * 1000
BAD: dict[str, tuple[str, str, str]] = {
    "both ways to say tenants": (one() + two("", ""), "tenants", "is there beside interpreters"),
    "no tenants": ("", "tenants", "is missing, and so is interpreters"),
    "public for ever": (one("network: PUBLIC", "reason: pip", "owner: me"), f"{WEB}.expires", "is missing"),
    "accepted for ever": (
        one() + f"accepted_findings: [{{{FINDING}}}]\n",
        "accepted_findings[0].expires",
        "is missing",
    ),
    "accepted until yesterday": (
        one() + f"accepted_findings: [{{{FINDING}, expires: 2027-05-31}}]\n",
        "accepted_findings[0].expires",
        "is 2027-05-31",
    ),
    "sessions that end before they should": (
        one("session: {longest_seconds: 60}"),
        f"{WEB}.session.default_seconds",
        "is 300",
    ),
    "a role of another account": (
        one(f"execution_role: {OTHER_ROLE}"),
        f"{WEB}.execution_role",
        f"is of another account: '{OTHER_ROLE}'",
    ),
    "a service's role": (
        one(f"execution_role: {ROLE}/aws-service-role/Service"),
        f"{WEB}.execution_role",
        "is AWS's own: 'arn:aws:iam::111122223333:role/aws-service-role/Service'",
    ),
    "a role of single sign-on": (
        one(f"execution_role: {ROLE}/AWSReservedSSO_Admin_0123"),
        f"{WEB}.execution_role",
        "is AWS's own: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123'",
    ),
    "a caller that takes no policy": (
        one(f"callers: [{ROLE}/AWSReservedSSO_Admin_0123]"),
        f"{WEB}.callers[0]",
        "is AWS's own: 'arn:aws:iam::111122223333:role/AWSReservedSSO_Admin_0123'",
    ),
    "folders of nobody": (
        one("execution_role: none", "write: [s3://bucket/out/]"),
        f"{WEB}.write",
        "is there with execution_role: none",
    ),
    "folders of a role that exists": (
        one(f"execution_role: {ROLE}/code", "read: [s3://bucket/in/]"),
        f"{WEB}.read",
        "is there with execution_role: 'arn:aws:iam::111122223333:role/code'",
    ),
    "a folder in a folder": (
        one("read: [s3://bucket/a/, s3://bucket/a/b/]"),
        f"{WEB}.read[1]",
        "lies in read[0] of the same interpreter: 's3://bucket/a/b/'",
    ),
    "the same folder to read and to write": (
        one("read: [s3://bucket/a/]", "write: [s3://bucket/a/]"),
        f"{WEB}.write[0]",
        "lies in read[0] of the same interpreter: 's3://bucket/a/'",
    ),
    "writing where another reads": (
        two("{write: [s3://bucket/a/]}", "{read: [s3://bucket/a/b/]}"),
        "tenants.b.interpreters.web.read[0]",
        "lies in tenants.a.interpreters.web.write[0], which is another interpreter's: 's3://bucket/a/b/'",
    ),
    "writing within what another reads": (
        two("{write: [s3://bucket/a/b/]}", "{read: [s3://bucket/a/]}"),
        "tenants.a.interpreters.web.write[0]",
        "lies in tenants.b.interpreters.web.read[0], which is another interpreter's: 's3://bucket/a/b/'",
    ),
    "Sandpiper's own data": (
        one("read: [s3://sandpiper-dev-111122223333-eu-west-1/tenants/main/]"),
        f"{WEB}.read[0]",
        "lies in Sandpiper's own data: 's3://sandpiper-dev-111122223333-eu-west-1/tenants/main/'",
    ),
    "Sandpiper's own data in a bucket that exists": (
        one("read: [s3://the-bucket/tenants/]") + "data_bucket: {name: the-bucket}\n",
        f"{WEB}.read[0]",
        "lies in Sandpiper's own data: 's3://the-bucket/tenants/'",
    ),
    "no VPC": (one("network: VPC"), f"{WEB}.subnets", "is missing, and so is the environment's network"),
    "no security groups": (
        one("network: VPC", f"subnets: {SUBNETS}"),
        f"{WEB}.security_groups",
        "is missing beside subnets",
    ),
    "no subnets": (
        one("network: VPC", f"security_groups: {GROUPS}"),
        f"{WEB}.subnets",
        "is missing beside security_groups",
    ),
    "a subnet twice": (
        one("network: VPC", f"security_groups: {GROUPS}", "subnets: [subnet-01234567, subnet-01234567]"),
        f"{WEB}.subnets[1]",
        "is 'subnet-01234567', as subnets[0] is",
    ),
    "a network in one zone": (
        one() + "network: {}\navailability_zones: {eu-west-1a: euw1-az1}\n",
        "availability_zones",
        "has 1, and there is a network",
    ),
    "a network in no zone": (
        one() + "network:\n  domains: []\n",
        "availability_zones",
        "is missing, and there is a network",
    ),
    "a network in zones that are empty": (
        one() + "network:\navailability_zones: {}\n",
        "availability_zones",
        "is empty ({}), and there is a network",
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
    "a zone by two names": (
        one() + "availability_zones: {eu-west-1a: euw1-az1, eu-west-1b: euw1-az1}\n",
        "availability_zones.eu-west-1b",
        "is euw1-az1, as eu-west-1a is",
    ),
    "a zone without addresses": (
        one() + "availability_zones: {eu-west-1z: euw1-az1}\n",
        "availability_zones.eu-west-1z",
        "is zone z",
    ),
    "a network that begins elsewhere": (
        one() + ZONES + "network: {cidr: 10.64.1.0/20}\n",
        "network.cidr",
        "is '10.64.1.0/20', which is not where a network of this size begins",
    ),
    "a topic of another region": (
        one() + "alarm_topic_arn: arn:aws:sns:us-east-1:111122223333:alarms\n",
        "alarm_topic_arn",
        "is in us-east-1: 'arn:aws:sns:us-east-1:111122223333:alarms'",
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
    "a boundary of another account": (
        one() + "permissions_boundary: arn:aws:iam::444455556666:policy/most\n",
        "permissions_boundary",
        "is of another account: 'arn:aws:iam::444455556666:policy/most'",
    ),
    "more reserved than there is": (
        reserving(500, 401),
        "tenants.t0.session_function.reserved_concurrency",
        "is the largest of 901 that tenants reserve together",
    ),
    "more interpreters than are granted": (
        many(1, 2) + "quotas: {interpreters: 1}\n",
        "quotas.interpreters",
        "is 1, and the file has 2",
    ),
    "more lifetimes than S3 takes": (many(500, 1), "tenants", "need 1001 lifecycle rules of the data bucket"),
    "one lifetime more, of a removed tenant": (
        many(499, 1) + "data_bucket: {retention_days: {removed_tenants: {a: 1, b: 1}}}\n",
        "tenants",
        "need 1001 lifecycle rules of the data bucket",
    ),
    "a removed tenant of a bucket that exists": (
        one() + "data_bucket: {name: lake, retention_days: {removed_tenants: {claims: 30}}}\n",
        "data_bucket.retention_days.removed_tenants",
        "is there, and the bucket lake has its owner's lifecycle rules",
    ),
    "a removed tenant that is there": (
        one() + "data_bucket: {retention_days: {removed_tenants: {claims: 30, main: 30}}}\n",
        "data_bucket.retention_days.removed_tenants.main",
        "is a tenant of the file, all of whose data would expire",
    ),
    "too many tags": (
        "tags: {" + ", ".join(f"a{number}: x" for number in range(40)) + "}\n"
        "tenants: {t: {interpreters: {web: }, tags: {" + ", ".join(f"b{number}: x" for number in range(6)) + "}}}\n",
        "tenants.t.tags",
        "has 46 tags together with tags",
    ),
    "a budget where there are none": (
        "region: us-gov-west-1\n" + one() + "budget: {usd_a_month: 5, emails: [a@example.com]}\n",
        "budget",
        "is there, and us-gov-west-1 has no AWS Budgets",
    ),
    "more folders than a role takes": (
        one(f"read: {folders(50)}"),
        f"{WEB}.read",
        "is too long: for 50 folders its role needs a policy of 12537 characters",
    ),
    "more folders than a role takes, with a tenant": (
        f"tenants: {{a: {{interpreters: {{web: {{read: {folders(4)}, write: {folders(5, LONG)}}}}}}}}}\n",
        "tenants.a.interpreters.web.write",
        "is too long: for 9 folders its role needs a policy of 12705 characters",
    ),
    "more folders than an endpoint takes": (
        in_the_network(12, 26),
        "network",
        "leads to 324 folders of S3, for which its endpoint needs a policy of 21005 characters",
    ),
}


def _headed(rest: str) -> str:
    """A whole file; the rest may begin with another region."""
    return (HEAD.replace("region: eu-west-1\n", "") if rest.startswith("region: ") else HEAD) + rest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dev.yaml"


def _problems(file: Path, text: str) -> tuple[ConfigIssue, ...]:
    file.write_text(text)
    with pytest.raises(InvalidEnvironment) as caught:
        load(file, today=TODAY)
    return caught.value.issues


@pytest.mark.parametrize(("rest", "at", "problem"), BAD.values(), ids=BAD)
def test_what_does_not_go_together_is_told_at_its_place(file: Path, rest: str, at: str, problem: str) -> None:
    told = _problems(file, _headed(rest))
    assert [(one.at, one.problem) for one in told] == [(at, problem)]
    assert told[0].allowed
    assert told[0].remedy


@pytest.mark.parametrize(("rest", "at", "problem"), BAD.values(), ids=BAD)
def test_it_is_told_beside_an_option_that_is_wrong_itself(file: Path, rest: str, at: str, problem: str) -> None:
    told = _problems(file, _headed(rest) + "termination_protection: maybe\nlogs: {retention_days: 2, rest: 1}\n")
    assert {"termination_protection", "logs.retention_days", "logs.rest", at} == {one.at for one in told}
    assert (at, problem) in [(one.at, one.problem) for one in told]


GOOD: dict[str, str] = {
    "folders of two that only read": two("{read: [s3://bucket/a/]}", "{read: [s3://bucket/a/b/, s3://bucket/ab/]}"),
    "writing beside what another reads": two("{write: [s3://bucket/a/]}", "{read: [s3://bucket/ab/]}"),
    "a folder of the own bucket beside the tenants'": one("read: [s3://sandpiper-dev-111122223333-eu-west-1/shared/]"),
    "a caller of another account": one("callers: [arn:aws:iam::444455556666:role/AWSReservedSSO_Admin_0123]"),
    "a folder's key where its bucket is": one(
        "read: [{uri: s3://bucket/a/, key: 'arn:aws:kms:us-east-1:111122223333:key/1'}]"
    ),
    "a boundary of AWS": one() + "permissions_boundary: arn:aws:iam::aws:policy/PowerUserAccess\n",
    "all that Lambda lets reserve": reserving(500, 400),
    "all that S3 takes": many(499, 1),
    "as many folders as a role takes": one(f"read: {folders(40)}"),
    "as many folders as an endpoint takes": in_the_network(12, 25),
    "more folders of nobody's network": one(f"read: {folders(40)}") + ZONES + "network:\n",
    "a VPC of its own": one("network: VPC") + ZONES + "network:\n",
    "a VPC that exists": one("network: VPC", f"subnets: {SUBNETS}", f"security_groups: {GROUPS}"),
}


@pytest.mark.parametrize("rest", GOOD.values(), ids=GOOD)
def test_what_goes_together_is_taken(file: Path, rest: str) -> None:
    file.write_text(_headed(rest))
    assert isinstance(load(file, today=TODAY), Environment)


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        # Without the account, nobody knows whether it is the embedded AWS, and whose role it is.
        ('account: "111122223333"', "account: 5", "account"),
        ("region: eu-west-1", "region: Ireland", "region"),
        ("region: eu-west-1\n", "", "region"),
        # Without the option itself, what it should have been with.
        ("expires: 2027-12-31", "expires: soon", "interpreters.web.expires"),
        ("longest_seconds: 600", "longest_seconds: 59", "interpreters.web.session.longest_seconds"),
        ("subnets: [subnet-01234567]", "subnets: [none]", "interpreters.vpc.subnets[0]"),
    ],
)
def test_what_only_follows_from_a_fault_is_not_told(file: Path, before: str, after: str, at: str) -> None:
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
    assert [problem.at for problem in _problems(file, text.replace(before, after))] == [at]


def test_what_is_missing_is_told_on_the_line_that_asks_for_it(file: Path) -> None:
    (problem,) = _problems(file, HEAD + one() + "network:\n")
    assert (problem.at, problem.line) == ("availability_zones", (HEAD + one()).count("\n") + 1)


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
    ],
    ids=["folders", "subnets", "secrets", "callers"],
)
def test_what_is_wrong_in_a_list_hides_nothing_of_its_others(file: Path, rest: str, at: list[str]) -> None:
    assert [problem.at.removeprefix(f"{WEB}.") for problem in _problems(file, HEAD + rest)] == at


def test_every_check_has_found_something(file: Path) -> None:
    silent: set[Check] = set(CHECKS)
    for rest, *_ in BAD.values():
        file.write_text(_headed(rest))
        for check in set(silent):
            if _finds(check, file):
                silent.discard(check)
    assert {check.__name__ for check in silent} == {"_bucket_name_fits", "_prefix_list_is_known"}, "tested below"


def _finds(check: Check, file: Path) -> bool:
    from ruamel.yaml import YAML

    document = YAML(typ="safe", pure=True).load(file)
    try:
        environment = Environment.model_validate(document, context={"today": datetime.date(2000, 1, 1)})
    except ValueError:
        return False
    return bool(list(check(environment)))


def test_a_region_with_a_long_name_makes_the_bucket_s_too_long(file: Path) -> None:
    long = HEAD.replace("dev", "abcdefghijklmnopqrst").replace("eu-west-1", "ap-southeasternmost-1")
    told = _problems(file.with_name("abcdefghijklmnopqrst.yaml"), long + one())
    assert [problem.at for problem in told] == ["name"]


def test_s3_s_prefix_list_is_asked_for_where_it_is_not_known(file: Path) -> None:
    assert "eu-south-1" not in S3_PREFIX_LISTS
    text = HEAD.replace("eu-west-1", "eu-south-1") + one()
    text += "availability_zones: {eu-south-1a: eus1-az1, eu-south-1b: eus1-az2}\n"
    assert [problem.at for problem in _problems(file, text + "network:\n")] == ["network.s3_prefix_list"]
    file.write_text(text + "network: {s3_prefix_list: pl-01234567}\n")
    assert load(file)


def test_zones_of_a_region_that_is_not_known_are_taken_with_a_warning(file: Path) -> None:
    file.write_text(
        HEAD.replace("eu-west-1", "eu-central-9") + one() + "availability_zones: {eu-central-9a: euc9-az1}\n"
    )
    assert [warning.at for warning in find_warnings(load(file))] == ["region", "availability_zones"]


def test_zones_are_known_for_regions_that_have_interpreters_alone() -> None:
    assert set(SUPPORTED_ZONES) < set(INTERPRETER_REGIONS)
    assert all(len(set(zones)) >= MIN_ZONES for zones in SUPPORTED_ZONES.values())


def test_what_ends_within_thirty_days_is_a_warning(file: Path) -> None:
    public = one("network: PUBLIC", "reason: pip", "owner: me", "expires: 2027-07-01")
    file.write_text(HEAD + public + f"accepted_findings: [{{{FINDING}, expires: 2027-07-01}}]\n")
    environment = load(file, today=TODAY)
    assert [warning.at for warning in find_warnings(environment, today=TODAY)] == [
        "interpreters.web.expires",
        "accepted_findings[0].expires",
    ]
    assert find_warnings(environment, today=TODAY - datetime.timedelta(days=1)) == ()


def test_the_embedded_aws_forgives_what_has_no_last_day(file: Path) -> None:
    text = HEAD.replace("111122223333", "123456789012") + one("network: PUBLIC", "reason: pip", "owner: me")
    file.write_text(text + f"accepted_findings: [{{{FINDING}}}]\n")
    assert find_warnings(load(file)) == ()
