"""Tests `load`: defaults, and every message about an invalid environment file."""

from __future__ import annotations

import datetime
import os
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from sandpiper.environment import (
    ConfigIssue,
    Environment,
    InvalidEnvironment,
    PublicInterpreter,
    SandboxInterpreter,
    SessionLimits,
    Tenant,
    VpcInterpreter,
    find_warnings,
    load,
)
from sandpiper.environment.regions import INTERPRETER_REGIONS
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

TODAY = datetime.date(2027, 6, 30)
GOOD = """\
name: dev
account: "111122223333"
region: eu-west-1
owner: platform team
tenants:
  claims:
    interpreters:
      sandbox:
      web:
        network: PUBLIC
        reason: Packages from PyPI
        owner: platform team
        expires: 2027-06-30
"""
TOP_LEVEL = (
    "name, account, region, owner, interpreters, tenants, workflows, tags, availability_zones, network, data_bucket, "
    "readers, writers, administrators, logs, audit, alarm_topic_arn, tenant_alarm_topic_arn, alarm_subscriptions, "
    "tenant_alarm_subscriptions, approval_topic_arn, alarms, budget, quotas, prices, permissions_boundary, "
    "accepted_findings, expect, termination_protection"
)
INTERPRETER = "description, read, write, session, application_logs, certificates, execution_role, callers, network"
NOT_YAML = "allowed: YAML 1.2; correct this line or the line above"
KEY = "1 to 24 characters a-z, 0-9 and single hyphens, starting with a letter"
NAME = "1 to 20 characters a-z and 0-9, starting with a letter, equal to the file's name"
EXPIRY = "a date such as 2027-06-30 (optional only on the embedded AWS)"
TENANT = f"{KEY}, except storage, network, fleet"
NETWORKS = "SANDBOX | PUBLIC | VPC"
OPTIONAL = "change the value, or remove it to use the default"
DUPLICATE = "allowed: each key once; remove one of the two"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dev.yaml"


def _read(file: Path, text: str) -> Environment:
    file.write_text(text)
    return load(file)


def _issues(file: Path, content: str | bytes) -> tuple[ConfigIssue, ...]:
    """Returns the issues of an invalid file."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidEnvironment) as caught:
        load(file)
    issues = caught.value.issues
    assert str(caught.value).splitlines()[:50] == [str(issue) for issue in issues[:50]]
    assert all(issue.file == file for issue in issues)
    return issues


def _messages(file: Path, content: str | bytes) -> list[str]:
    """Returns the messages about an invalid file, without the test's folder."""
    return [str(issue).removeprefix(f"{file.parent}/") for issue in _issues(file, content)]


def _message(file: Path, content: str | bytes) -> str:
    """Returns the message about a file with one issue."""
    (line,) = _messages(file, content)
    return line


def _tenant(environment: Environment) -> Tenant:
    return environment.all_tenants["claims"]


@pytest.mark.parametrize("name", ["local", "dev", "prod"])
def test_repository_environments_are_valid(name: str) -> None:
    environment = load(PROJECT / "environments" / f"{name}.yaml")
    assert environment.name == name
    assert environment.region in INTERPRETER_REGIONS
    assert find_warnings(environment) == ()


def test_missing_options_have_secure_defaults(file: Path) -> None:
    environment = _read(file, GOOD)
    assert environment.data_bucket.retain
    assert environment.termination_protection
    assert environment.logs.retention_days == 30
    days = environment.data_bucket.retention_days
    assert (days.runs, days.inputs, days.sandbox) == (90, 90, 90)
    assert _tenant(environment).interpreters["sandbox"].session == SessionLimits(
        default_seconds=300, longest_seconds=3_600
    )
    assert environment.alarm_topic_arn is None
    tenant = _tenant(environment)
    assert (tenant.session_function.memory_mib, tenant.session_function.timeout_seconds) == (512, 900)
    assert tenant.session_function.reserved_concurrency is None
    assert (tenant.alarms.errors, tenant.alarms.throttles) == (1, 5)


def test_interpreter_network_defaults_to_sandbox(file: Path) -> None:
    interpreters = _tenant(_read(file, GOOD)).interpreters
    assert interpreters["sandbox"] == SandboxInterpreter()
    assert interpreters["sandbox"].network == "SANDBOX"
    web = interpreters["web"]
    assert isinstance(web, PublicInterpreter)
    assert (web.network, web.reason, web.owner, web.expires) == ("PUBLIC", "Packages from PyPI", "platform team", TODAY)


def test_interpreters_keep_the_order_of_the_file(file: Path) -> None:
    assert list(_tenant(_read(file, GOOD)).interpreters) == ["sandbox", "web"]
    swapped = GOOD.replace("sandbox:", "zero:").replace("web:", "alpha:")
    assert list(_tenant(_read(file, swapped)).interpreters) == ["zero", "alpha"]


def test_environment_is_immutable(file: Path) -> None:
    environment = _read(file, GOOD)
    with pytest.raises(Exception, match="frozen"):
        environment.region = "us-east-1"


def test_unknown_region_is_a_warning(file: Path) -> None:
    environment = _read(file, GOOD.replace("eu-west-1", "eu-central-2").replace("2027-06-30", "2027-12-31"))
    assert [warning.at for warning in find_warnings(environment, today=TODAY)] == ["region"]


def test_logs_of_code_and_output_are_a_warning(file: Path) -> None:
    environment = _read(file, GOOD.replace("      sandbox:\n", "      sandbox: {application_logs: true}\n", 1))
    (warning,) = [each for each in find_warnings(environment, today=TODAY) if "application_logs" in each.at]
    assert "writes the code and the output of every call" in warning.text
    assert "logs.retention_days (30 now)" in warning.text


@pytest.mark.parametrize(
    ("days", "text"),
    [
        (-31, None),
        (-30, "expires on 2027-06-30; its stack cannot be deployed after that until you renew it"),
        (0, "expires on 2027-06-30; its stack cannot be deployed after that until you renew it"),
        (1, "expired on 2027-06-30; its stack cannot be deployed until you renew it or remove what it permits"),
    ],
)
def test_expiry_is_a_warning_that_no_other_tenant_depends_on(file: Path, days: int, text: str | None) -> None:
    warnings = find_warnings(_read(file, GOOD), today=TODAY + datetime.timedelta(days=days))
    assert [(one.at, one.text) for one in warnings] == (
        [] if text is None else [("tenants.claims.interpreters.web.expires", text)]
    )


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        # Unknown keys: the message lists the known ones and suggests the nearest.
        (
            "name: dev",
            "name: dev\ntag: {}",
            f"2: tag is not an option; allowed: {TOP_LEVEL}; rename it to tags, or remove it",
        ),
        ("name: dev", "name: dev\n5: {}", f"2: 5 is not an option; allowed: {TOP_LEVEL}; remove it"),
        (
            "  claims:\n",
            "  claims:\n    alarm: {}\n",
            "7: tenants.claims.alarm is not an option; allowed: interpreters, owner, tags, session_function, "
            "workflows, alarms, alarm_topic_arn; rename it to alarms, or remove it",
        ),
        (
            "  claims:\n",
            "  claims:\n    session_function: {memory: 512}\n",
            "7: tenants.claims.session_function.memory is not an option; allowed: architecture, runtime, memory_mib, "
            "timeout_seconds, reserved_concurrency, log_level; rename it to memory_mib, or remove it",
        ),
        (
            "      sandbox:\n",
            "      sandbox: {reason: mine}\n",
            f"8: tenants.claims.interpreters.sandbox.reason is not an option; allowed: {INTERPRETER}; "
            "remove it, or set network: PUBLIC",
        ),
        (
            "      sandbox:\n",
            "      sandbox: {subnets: [subnet-01234567]}\n",
            f"8: tenants.claims.interpreters.sandbox.subnets is not an option; allowed: {INTERPRETER}; "
            "remove it, or set network: VPC",
        ),
        # Missing options.
        ('account: "111122223333"\n', "", " account is missing; allowed: 12 digits in quotes; add it"),
        ("region: eu-west-1\n", "", " region is missing; allowed: an AWS region such as us-east-1; add it"),
        (
            "        reason: Packages from PyPI\n",
            "",
            "9: tenants.claims.interpreters.web.reason is missing; "
            "allowed: the reason for internet access, 1 to 200 characters; add it",
        ),
        (
            "        owner: platform team\n",
            "",
            "9: tenants.claims.interpreters.web.owner is missing; "
            "allowed: a team or person, 1 to 200 characters; add it",
        ),
        # Wrong types: values are not converted.
        (
            '"111122223333"',
            "111122223333",
            "2: account is 111122223333; allowed: 12 digits in quotes; put it in quotes",
        ),
        ("name: dev", "name: [dev]", f"1: name is ['dev']; allowed: {NAME}; change the value"),
        (
            "name: dev",
            "name: dev\ntermination_protection: yes",
            "2: termination_protection is 'yes'; allowed: true or false; write true or false",
        ),
        (
            "name: dev",
            "name: dev\ntermination_protection: 1",
            f"2: termination_protection is 1; allowed: true or false; {OPTIONAL}",
        ),
        (
            "name: dev",
            'name: dev\ndata_bucket:\n  retention_days:\n    runs: "90"',
            "4: data_bucket.retention_days.runs is '90'; allowed: a whole number of days from 14 to 3650; "
            "write it without quotes",
        ),
        (
            "  claims:\n",
            "  claims:\n    alarms: 5\n",
            "7: tenants.claims.alarms is 5; allowed: a mapping of errors, throttles, timed_out, aborted, "
            "sessions_not_stopped, access_denied, duration_percent, latency_deviations, skipped_files, daily_usd; "
            f"{OPTIONAL}",
        ),
        (
            "      sandbox:\n",
            "      sandbox: SANDBOX\n",
            f"8: tenants.claims.interpreters.sandbox is 'SANDBOX'; allowed: a mapping of {INTERPRETER}; "
            "change the value",
        ),
        (
            "expires: 2027-06-30",
            'expires: "2027-06-30"',
            f"13: tenants.claims.interpreters.web.expires is '2027-06-30'; allowed: {EXPIRY}; "
            "write it as YYYY-MM-DD, without quotes",
        ),
        (
            "expires: 2027-06-30",
            "expires: 2027-07-01 10:00:00",
            f"13: tenants.claims.interpreters.web.expires is 2027-07-01 10:00:00; allowed: {EXPIRY}; "
            "write it as YYYY-MM-DD, without quotes",
        ),
        # Invalid values.
        ("name: dev", "name: Dev", f"1: name is 'Dev'; allowed: {NAME}; change the value"),
        ("name: dev", "name: de-v", f"1: name is 'de-v'; allowed: {NAME}; change the value"),
        (
            "name: dev",
            "name: prod",
            "1: name is 'prod'; allowed: 'dev', the name of the file; rename the file or the environment",
        ),
        ('"111122223333"', '"1111"', "2: account is '1111'; allowed: 12 digits in quotes; change the value"),
        ("eu-west-1", "Ireland", "3: region is 'Ireland'; allowed: an AWS region such as us-east-1; change the value"),
        ("eu-west-1", "", "3: region is empty; allowed: an AWS region such as us-east-1; set a value"),
        (
            "name: dev",
            "name: dev\nlogs: {retention_days: 32}",
            "2: logs.retention_days is 32; allowed: one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, "
            "731, 1096, 1827, 2192, 2557, 2922, 3288, 3653; use 30, the nearest allowed value",
        ),
        (
            "name: dev",
            "name: dev\nalarm_topic_arn: alarms",
            f"2: alarm_topic_arn is 'alarms'; allowed: the ARN of an SNS topic; {OPTIONAL}",
        ),
        (
            "name: dev",
            "name: dev\ndata_bucket: {key: alias/mine}",
            "2: data_bucket.key is 'alias/mine'; allowed: aws | own | the ARN of a KMS key, such as "
            f"arn:aws:kms:eu-west-1:111122223333:key/ID (not an alias); {OPTIONAL}",
        ),
        (
            "PUBLIC",
            "NAT",
            "10: tenants.claims.interpreters.web.network is 'NAT'; allowed: SANDBOX | PUBLIC | VPC; change the value",
        ),
        (
            "PUBLIC",
            "[PUBLIC]",
            "10: tenants.claims.interpreters.web.network is ['PUBLIC']; allowed: SANDBOX | PUBLIC | VPC; write PUBLIC",
        ),
        (
            "expires: 2027-06-30",
            "expires: 2027-13-01",
            f"13: tenants.claims.interpreters.web.expires is '2027-13-01'; allowed: {EXPIRY}; "
            "write it as YYYY-MM-DD, without quotes",
        ),
        (
            "reason: Packages from PyPI",
            'reason: "  "',
            "11: tenants.claims.interpreters.web.reason is '  '; "
            "allowed: the reason for internet access, 1 to 200 characters; change the value",
        ),
        (
            "      sandbox:\n",
            "      sandbox: {description: 'Code, mostly'}\n",
            "8: tenants.claims.interpreters.sandbox.description is 'Code, mostly'; "
            f"allowed: 1 to 200 characters A-Z, a-z, 0-9, _, - and spaces; {OPTIONAL}",
        ),
        (
            "  claims:\n",
            "  claims:\n    session_function: {timeout_seconds: 901}\n",
            "7: tenants.claims.session_function.timeout_seconds is 901; "
            f"allowed: a whole number of seconds from 60 to 900; {OPTIONAL}",
        ),
        (
            "      sandbox:\n",
            "".join(f"      sandbox{number}:\n" for number in range(20)),
            "7: tenants.claims.interpreters has 21; "
            "allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}; change the value",
        ),
        (
            "      sandbox:\n",
            "      sandbox:\n        read:\n        - s3://bucket/good/\n        - s3://bucket\n",
            "11: tenants.claims.interpreters.sandbox.read[1] is 's3://bucket'; "
            "allowed: s3://BUCKET/FOLDER/ with a trailing slash and without * ? $; change the value",
        ),
        (
            "PUBLIC\n        reason: Packages from PyPI\n        owner: platform team\n        expires: 2027-06-30\n",
            f"VPC\n        security_groups: [{', '.join(f'sg-{number:08}' for number in range(17))}]\n",
            "11: tenants.claims.interpreters.web.security_groups has 17; "
            f"allowed: a list of 1 to 16 ids such as sg-0123456789abcdef0; {OPTIONAL}",
        ),
        # Empty values: the message quotes the file.
        (
            GOOD[GOOD.index("tenants:") :],
            "interpreters:\n",
            "5: interpreters is empty; allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}; "
            "set a value, or remove the option",
        ),
        (
            GOOD[GOOD.index("tenants:") :],
            "interpreters: {}\n",
            "5: interpreters is empty ({}); "
            "allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}; add at least one",
        ),
        (
            GOOD[GOOD.index("tenants:") :],
            "tenants:\n",
            "5: tenants is empty; allowed: a mapping with at least one tenant; set a value, or remove the option",
        ),
        (
            "name: dev",
            "name: dev\nbudget: {usd_a_month: 5, emails: []}",
            "2: budget.emails is empty ([]); allowed: a list of 1 to 10 e-mail addresses; add at least one",
        ),
        (
            "name: dev",
            "name: dev\nbudget:",
            "2: budget is empty; allowed: a mapping of usd_a_month, emails; set a value, or remove the option",
        ),
        (
            "PUBLIC\n        reason: Packages from PyPI\n        owner: platform team\n        expires: 2027-06-30\n",
            "VPC\n        subnets: []\n        security_groups: [sg-01234567]\n",
            "11: tenants.claims.interpreters.web.subnets is empty ([]); "
            "allowed: a list of 1 to 16 ids such as subnet-0123456789abcdef0; add at least one",
        ),
        # Items of lists and values of mappings: the message states what one item can be.
        (
            "name: dev",
            "name: dev\nbudget: {usd_a_month: 5, emails: [me]}",
            "2: budget.emails[0] is 'me'; allowed: an e-mail address of at most 50 characters; change the value",
        ),
        (
            "name: dev",
            "name: dev\nalarms: {vcpu_hours: -1}",
            f"2: alarms.vcpu_hours is -1; allowed: a whole number of vCPU hours, 1 or more; {OPTIONAL}",
        ),
        (
            "name: dev",
            "name: dev\nprices: {vcpu_hour: cheap}",
            f"2: prices.vcpu_hour is 'cheap'; allowed: a number of US dollars from 0 to 1,000; {OPTIONAL}",
        ),
        (
            "name: dev",
            "name: dev\nalarm_subscriptions: {emails: [me]}",
            "2: alarm_subscriptions.emails[0] is 'me'; allowed: an e-mail address of at most 50 characters; change the "
            "value",
        ),
        *(
            (
                "name: dev",
                f"name: dev\nalarm_subscriptions: {{https: ['{url}']}}",
                f"2: alarm_subscriptions.https[0] is '{url}'; allowed: an HTTPS URL without a user name, such as "
                "https://events.pagerduty.com/integration/KEY/enqueue; change the value",
            )
            for url in ("http://example.com/alarms", "https://me:secret@example.com/", "https://localhost/")
        ),
        (
            "name: dev",
            "name: dev\nalarm_subscriptions: {slack: {workspace: alarms, channel: C0123ABCD}}",
            "2: alarm_subscriptions.slack.workspace is 'alarms'; allowed: the ID of a Slack workspace, such as "
            "T0123ABCD; change the value",
        ),
        (
            "name: dev",
            "name: dev\ntags: {team: 5}",
            "2: tags.team is 5; allowed: at most 256 letters, digits, spaces and . : / = + - @ _, in quotes if YAML "
            "would read another type; put it in quotes",
        ),
        # Invalid keys of mappings.
        ("  claims:\n", "  Claims:\n", f"6: tenants.Claims is 'Claims'; allowed: {TENANT}; rename it"),
        (
            "  claims:\n",
            "  storage:\n",
            f"6: tenants.storage is 'storage'; allowed: {TENANT}; "
            "choose another name, because the environment's own stacks use this one",
        ),
        ("      sandbox:\n", "      5:\n", f"8: tenants.claims.interpreters.5 is 5; allowed: {KEY}; rename it"),
        (
            "      sandbox:\n",
            "      a--b:\n",
            f"8: tenants.claims.interpreters.a--b is 'a--b'; allowed: {KEY}; rename it",
        ),
        (
            "PUBLIC",
            "public",
            "10: tenants.claims.interpreters.web.network is 'public'; allowed: SANDBOX | PUBLIC | VPC; write PUBLIC",
        ),
        # Invalid YAML, or several documents.
        (
            "region:",
            "name: dev\nregion:",
            "3: name duplicates line 1; allowed: each key once; remove one of the two",
        ),
        (
            "name: dev",
            "name: [dev",
            f"2: this line is not YAML (expected ',' or ']', but got ':'); {NOT_YAML}",
        ),
        (
            "name: dev",
            "\tname: dev",
            f"1: this line is not YAML (found character '\\t' that cannot start any token); {NOT_YAML}",
        ),
        (
            "name: dev",
            "name: !!python/object:os.system dev",
            "1: this line is not YAML (could not determine a constructor for the tag "
            f"'tag:yaml.org,2002:python/object:os.system'); {NOT_YAML}",
        ),
    ],
)
def test_message_states_file_line_key_path_value_allowed_values_and_remedy(
    file: Path, before: str, after: str, message: str
) -> None:
    assert GOOD.count(before) == 1
    assert _message(file, GOOD.replace(before, after)) == f"dev.yaml:{message}"


def test_all_issues_are_reported_with_unknown_keys_first_then_in_file_order(
    file: Path,
) -> None:
    bad = GOOD.replace("name: dev", "nam: dev").replace("eu-west-1", "Ireland").replace("PUBLIC", "PUBLC")
    assert _messages(file, bad) == [
        f"dev.yaml:1: nam is not an option; allowed: {TOP_LEVEL}; rename it to name, or remove it",
        f"dev.yaml: name is missing; allowed: {NAME}; add it",
        "dev.yaml:3: region is 'Ireland'; allowed: an AWS region such as us-east-1; change the value",
        f"dev.yaml:10: tenants.claims.interpreters.web.network is 'PUBLC'; allowed: {NETWORKS}; write PUBLIC",
    ]


def test_duplicate_key_is_reported_with_its_key_path_and_hides_no_other_issue(file: Path) -> None:
    again = GOOD.replace("        reason:", "        owner: another team\n        reason:").replace("PUBLIC", "PUBLC")
    assert _messages(
        file, f"{again}region: Ireland\nname: dev\nlogs: {{retention_days: 30, retention_days: 32}}\n"
    ) == [
        f"dev.yaml:10: tenants.claims.interpreters.web.network is 'PUBLC'; allowed: {NETWORKS}; write PUBLIC",
        f"dev.yaml:13: tenants.claims.interpreters.web.owner duplicates line 11; {DUPLICATE}",
        f"dev.yaml:15: region duplicates line 3; {DUPLICATE}",
        f"dev.yaml:16: name duplicates line 1; {DUPLICATE}",
        f"dev.yaml:17: logs.retention_days duplicates line 17; {DUPLICATE}",
    ]


def test_merged_key_is_not_a_duplicate_and_has_its_own_line(file: Path) -> None:
    shared = GOOD.replace("sandbox:", "sandbox: &shared {description: Shared}").replace(
        "      web:\n", "      other:\n        <<: *shared\n        description: 'Other, too'\n      web:\n"
    )
    assert _message(file, shared).startswith(
        "dev.yaml:11: tenants.claims.interpreters.other.description is 'Other, too'"
    )
    assert len(_tenant(_read(file, shared.replace(", too", " too"))).interpreters) == 3
    twice = shared.replace(", too'", " too'\n        description: Third")
    assert _message(file, twice) == (
        f"dev.yaml:12: tenants.claims.interpreters.other.description duplicates line 11; {DUPLICATE}"
    )


def test_unknown_network_does_not_hide_other_issues_of_the_interpreter(file: Path) -> None:
    bad = GOOD.replace("PUBLIC", "NAT\n        session: {default_seconds: 1}\n        subnet: x").replace(
        "2027-06-30", "soon"
    )
    assert [issue.at.removeprefix("tenants.claims.interpreters.web.") for issue in _issues(file, bad)] == [
        "subnet",
        "network",
        "session.default_seconds",
        "expires",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f" the file is empty; allowed: a mapping of {TOP_LEVEL}; write one with `sandpiper init`"),
        ("# nothing yet\n", f" the file is empty; allowed: a mapping of {TOP_LEVEL}; write one with `sandpiper init`"),
        ("[]", f" the file is []; allowed: a mapping of {TOP_LEVEL}; change the value"),
        (b"\xff\xfe", " the file is not UTF-8 at byte 0; allowed: UTF-8 text; save it as UTF-8"),
        ("a: 1\n---\nb: 2\n", f"2: this line is not YAML (but found another document); {NOT_YAML}"),
        (
            GOOD[: GOOD.index("      sandbox:")],
            "7: tenants.claims.interpreters is empty; "
            "allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}; set a value",
        ),
    ],
)
def test_file_without_an_environment_is_rejected(file: Path, content: str | bytes, message: str) -> None:
    assert _message(file, content) == f"dev.yaml:{message}"


def test_empty_mapping_lacks_every_required_option(file: Path) -> None:
    assert [issue.at for issue in _issues(file, "{}")] == ["name", "account", "region", "owner", "tenants"]


def test_value_that_contains_itself_is_an_issue(file: Path) -> None:
    assert _message(file, "name: &it [*it]\n") == (
        "dev.yaml:1: this line has the alias *it inside the value that it stands for; "
        "allowed: aliases of other values; remove what is not needed"
    )


TOO_MANY_VALUES = "is beyond the first 20,000 keys and values; allowed: 20,000, with aliases replaced by their values"
HOSTILE = {
    "nested aliases": (
        GOOD
        + "tags:\n  a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"  a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
        f"dev.yaml:19: this line {TOO_MANY_VALUES}",
    ),
    "nested merge keys": (
        GOOD
        + "tags:\n  m0: &m0 {k: 1, l: 1}\n"
        + "".join(f"  m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}\n" for n in range(1, 10)),
        f"dev.yaml:19: this line {TOO_MANY_VALUES}",
    ),
    "aliases as keys": (
        GOOD + "tags: &a {k: x}\nquotas: {" + ", ".join(f"k{n}: *a" for n in range(7_000)) + "}\n",
        f"dev.yaml:15: this line {TOO_MANY_VALUES}",
    ),
    "a long list": (GOOD + "tags:\n" + "- x\n" * 25_000, f"dev.yaml:19986: this line {TOO_MANY_VALUES}"),
    "a large file": (
        GOOD + "tags:\n" + "- x\n" * 300_000,
        "dev.yaml: the file is too large; allowed: up to 524,288 bytes",
    ),
    "deep lists": (
        GOOD + "tags: " + "[" * 5_000,
        "dev.yaml:14: this line is below 50 levels; allowed: 50 levels of nesting",
    ),
    "deep mappings": (
        "".join(" " * level + "a:\n" for level in range(900)),
        "dev.yaml:51: this line is below 50 levels; allowed: 50 levels of nesting",
    ),
}


@pytest.mark.parametrize(("content", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_file_is_rejected_before_it_is_read_as_a_whole(file: Path, content: str, message: str) -> None:
    assert _message(file, content) == f"{message}; remove what is not needed"


def test_aliases_and_merge_keys_of_ordinary_size_are_allowed(file: Path) -> None:
    text = GOOD + "  billing:\n    tags: &tags {team: billing}\n    interpreters: {a: }\n"
    text += "  payroll:\n    tags: {<<: *tags, cost: x}\n    interpreters: {a: }\n"
    assert _read(file, text).all_tenants["payroll"].tags == {"team": "billing", "cost": "x"}


@pytest.mark.parametrize(
    ("rest", "problems"),
    [
        ("".join(f"k{n}: 1\n" for n in range(9_000)), 9_000),
        ("tags:\n" + "".join(f"  k{n}: 1\n" for n in range(9_000)), 9_000),
        (f"x: &x {'y' * 250_000}\ntags:\n" + "".join(f"  k{n}: [*x]\n" for n in range(6_000)), 6_001),
        ("".join(f"{'k' * 1_000}{n}: 1\n" for n in range(300)), 300),
        ("owner: me\n" * 9_000, 9_000),
    ],
    ids=["unknown options", "wrong tags", "long wrong tags", "long unknown options", "duplicate keys"],
)
def test_only_the_first_problems_are_listed_and_each_is_short(file: Path, rest: str, problems: int) -> None:
    file.write_text(GOOD + rest)
    with pytest.raises(InvalidEnvironment) as caught:
        load(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 51
    assert lines[:50] == [str(issue) for issue in caught.value.issues[:50]]
    assert lines[-1] == f"and {problems - 50:,} more problems"
    assert max(map(len, lines)) < 600


def test_file_that_is_not_a_regular_file_is_rejected(tmp_path: Path) -> None:
    pipe = tmp_path / "dev.yaml"
    os.mkfifo(pipe)  # reading it would wait for a writer
    with pytest.raises(InvalidEnvironment, match="is not a regular file"):
        load(pipe)


@pytest.mark.parametrize(
    ("region", "near"),
    [
        ("us-esat-1", "us-east-1"),
        ("eu-wets-3", "eu-west-3"),
        ("us-east1", "us-east-1"),
        ("ap-southeast3", "ap-southeast-3"),
        ("EU-WEST-2", "eu-west-2"),
        ("us_east_2", "us-east-2"),
        ("eu-west-1a", "eu-west-1"),
        ("Ireland", ""),
    ],
)
def test_region_that_does_not_exist_is_rejected_with_the_closest_one(file: Path, region: str, near: str) -> None:
    message = _message(file, GOOD.replace("eu-west-1", region))
    assert message.startswith(f"dev.yaml:3: region is '{region}'")
    assert message.endswith(f"; write {near}" if near else "; change the value")


def test_number_with_too_many_digits_to_show_is_an_issue(file: Path) -> None:
    (issue, *_) = _issues(file, GOOD.replace("eu-west-1", "0x" + "f" * 5_000))
    assert (issue.at, issue.problem) == ("region", "is a value of type int that is too long to show")


def test_long_value_is_truncated(file: Path) -> None:
    message = _message(file, GOOD.replace("eu-west-1", "x" * 500))
    assert message == f"dev.yaml:3: region is '{'x' * 58}…; allowed: an AWS region such as us-east-1; change the value"


def test_missing_file_lists_existing_files(file: Path) -> None:
    _read(file, GOOD)
    missing = file.with_name("prod.yaml")
    with pytest.raises(InvalidEnvironment) as caught:
        load(missing)
    assert str(caught.value) == (
        f"{missing}: the file does not exist; allowed: one of dev.yaml; "
        "choose one of them, or write one with `sandpiper init`"
    )


def test_directory_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InvalidEnvironment, match=r"the file cannot be read \(Is a directory\); allowed: a YAML file"):
        load(tmp_path)


def test_issue_has_its_parts_as_attributes(file: Path) -> None:
    (issue,) = _issues(file, GOOD.replace("eu-west-1", "Ireland"))
    assert issue == ConfigIssue(
        file=file,
        line=3,
        key_path=("region",),
        problem="is 'Ireland'",
        allowed="an AWS region such as us-east-1",
        remedy="change the value",
    )


@settings(deadline=None)
@given(text=st.text())
def test_any_text_is_an_environment_or_has_issues(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    _assert_environment_or_issues(tmp_path_factory, text)


KEYS = st.sampled_from(
    [
        *(name for model in (Environment, Tenant, PublicInterpreter, VpcInterpreter) for name in model.model_fields),
        *("claims", "SANDBOX", "PUBLIC", "uri", "account", "key", "<<", "", "[key]"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.datetimes(),
    st.binary(max_size=4),
    st.sampled_from(["SANDBOX", "PUBLIC", "VPC", "dev", "111122223333", "eu-west-1", "s3://bucket/folder/", "own"]),
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3),
        st.dictionaries(KEYS, inside, max_size=5),
        st.dictionaries(st.one_of(SCALARS, st.tuples(SCALARS)), inside, max_size=2),
    ),
    max_leaves=25,
)
_GOOD = {
    "name": "dev",
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "platform team",
    "interpreters": {"sandbox": None},
}


@given(
    first=st.dictionaries(KEYS, DOCUMENTS, max_size=4),
    tenant=st.dictionaries(KEYS, DOCUMENTS, max_size=4),
    interpreter=st.dictionaries(KEYS, DOCUMENTS, max_size=4),
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_structure_is_an_environment_or_has_issues(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, object],
    tenant: dict[str, object],
    interpreter: dict[str, object],
) -> None:
    document: dict[str, object] = {
        **_GOOD,
        "tenants": {"claims": {"interpreters": {"sandbox": interpreter, "web": None}, **tenant}},
        **first,
    }
    text = StringIO()
    YAML(typ="safe", pure=True).dump(document, text)
    _assert_environment_or_issues(tmp_path_factory, text.getvalue())


def _assert_environment_or_issues(folders: pytest.TempPathFactory, text: str) -> None:
    file = folders.getbasetemp() / "dev.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        assert isinstance(load(file), Environment)
    except InvalidEnvironment as error:
        assert error.issues
        for issue in error.issues:
            assert str(issue).isprintable()
            assert issue.at
            assert issue.remedy
