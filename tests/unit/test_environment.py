"""An environment file is read into types with a reviewer's defaults, or refused in one line that says what to mend."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from sandpiper.environment import Environment, InvalidEnvironment, PublicInterpreter, SandboxInterpreter, load
from sandpiper.environment.regions import INTERPRETER_REGIONS

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2027, 6, 30)
GOOD = """\
name: dev
account: "111122223333"
region: eu-west-1
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
    "name, account, region, retain_data, termination_protection, log_retention_days, run_retention_days, "
    "alarm_topic_arn, tenants"
)
KEY = "at most 24 of a-z 0-9 and single hyphens, a letter first"
NAME = "at most 20 of a-z 0-9, a letter first, and the same as the file's name"
DAY = "a date such as 2027-06-30, today or later"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "dev.yaml"


def _read(file: Path, text: str) -> Environment:
    file.write_text(text)
    return load(file, today=TODAY)


def _refusal(file: Path, content: str | bytes) -> str:
    """The message about a bad file, without the folder that the test put it in."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidEnvironment) as caught:
        load(file, today=TODAY)
    message = str(caught.value)
    assert message == f"{caught.value.file}: {caught.value.at} {caught.value.problem}; allowed: {caught.value.allowed}"
    assert "\n" not in message
    return message.removeprefix(f"{file.parent}/")


@pytest.mark.parametrize("name", ["local", "dev"])
def test_the_environments_of_the_repository_can_be_read(name: str) -> None:
    environment = load(ROOT / "environments" / f"{name}.yaml")
    assert environment.name == name
    assert environment.region_is_known


def test_what_is_not_said_has_the_default_that_a_reviewer_would_choose(file: Path) -> None:
    environment = _read(file, GOOD)
    assert environment.retain_data
    assert environment.termination_protection
    assert environment.log_retention_days == 30
    assert environment.run_retention_days == 90
    assert environment.alarm_topic_arn is None
    tenant = environment.tenants["claims"]
    assert (tenant.session_function.memory_mib, tenant.session_function.timeout_seconds) == (512, 900)
    assert tenant.session_function.reserved_concurrency is None
    assert (tenant.alarms.errors, tenant.alarms.throttles) == (1, 5)


def test_an_interpreter_is_a_sandbox_unless_it_says_public(file: Path) -> None:
    interpreters = _read(file, GOOD).tenants["claims"].interpreters
    assert interpreters["sandbox"] == SandboxInterpreter()
    assert interpreters["sandbox"].network == "SANDBOX"
    web = interpreters["web"]
    assert isinstance(web, PublicInterpreter)
    assert (web.network, web.reason, web.owner, web.expires) == ("PUBLIC", "Packages from PyPI", "platform team", TODAY)


def test_the_first_interpreter_in_the_file_comes_first(file: Path) -> None:
    assert list(_read(file, GOOD).tenants["claims"].interpreters) == ["sandbox", "web"]
    swapped = GOOD.replace("sandbox:", "zero:").replace("web:", "alpha:")
    assert list(_read(file, swapped).tenants["claims"].interpreters) == ["zero", "alpha"]


def test_what_was_read_cannot_be_changed(file: Path) -> None:
    environment = _read(file, GOOD)
    with pytest.raises(Exception, match="frozen"):
        environment.region = "us-east-1"


def test_an_interpreter_made_without_a_file_has_to_last_too() -> None:
    given = {"network": "PUBLIC", "reason": "Packages from PyPI", "owner": "platform team"}
    assert PublicInterpreter.model_validate({**given, "expires": datetime.date(2999, 1, 1)})
    with pytest.raises(ValidationError):
        PublicInterpreter.model_validate({**given, "expires": datetime.date(2020, 1, 1)})


def test_an_unknown_region_is_no_error(file: Path) -> None:
    environment = _read(file, GOOD.replace("eu-west-1", "eu-central-9"))
    assert not environment.region_is_known
    assert "eu-west-1" in INTERPRETER_REGIONS


def test_an_exception_lasts_through_its_last_day(file: Path) -> None:
    file.write_text(GOOD)
    assert load(file, today=TODAY)
    with pytest.raises(InvalidEnvironment, match=re.escape(f"web.expires is 2027-06-30; allowed: {DAY}")):
        load(file, today=TODAY + datetime.timedelta(days=1))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        # An unknown key names the known ones, and is told before the key that it should have been.
        ("name: dev", "nam: dev", f"nam is not an option; allowed: {TOP_LEVEL}"),
        (
            "  claims:\n",
            "  claims:\n    alarm: {}\n",
            "tenants.claims.alarm is not an option; allowed: interpreters, session_function, alarms",
        ),
        (
            "  claims:\n",
            "  claims:\n    session_function: {memory: 512}\n",
            "tenants.claims.session_function.memory is not an option; "
            "allowed: memory_mib, timeout_seconds, reserved_concurrency",
        ),
        (
            "      sandbox:\n",
            "      sandbox: {reason: mine}\n",
            "tenants.claims.interpreters.sandbox.reason is not an option; allowed: network, description",
        ),
        # Something is missing.
        ("name: dev\n", "", f"name is missing; allowed: {NAME}"),
        ('account: "111122223333"\n', "", "account is missing; allowed: 12 digits in quotes"),
        ("region: eu-west-1\n", "", "region is missing; allowed: an AWS region such as us-east-1"),
        (
            "        reason: Packages from PyPI\n",
            "",
            "tenants.claims.interpreters.web.reason is missing; "
            "allowed: why this interpreter needs the internet, in 1 to 200 characters",
        ),
        (
            "        owner: platform team\n",
            "",
            "tenants.claims.interpreters.web.owner is missing; allowed: who answers for it, in 1 to 200 characters",
        ),
        (
            "        expires: 2027-06-30\n",
            "",
            f"tenants.claims.interpreters.web.expires is missing; allowed: {DAY}",
        ),
        # Wrong types: nothing is converted.
        ('"111122223333"', "111122223333", "account is 111122223333; allowed: 12 digits in quotes"),
        ("name: dev", "name: [dev]", f"name is ['dev']; allowed: {NAME}"),
        ("name: dev", "name: dev\nretain_data: yes", "retain_data is 'yes'; allowed: true or false"),
        ("name: dev", "name: dev\nretain_data: 1", "retain_data is 1; allowed: true or false"),
        (
            "name: dev",
            'name: dev\nrun_retention_days: "90"',
            "run_retention_days is '90'; allowed: a whole number of days from 14 to 3650",
        ),
        (
            "  claims:\n",
            "  claims:\n    alarms: 5\n",
            "tenants.claims.alarms is 5; allowed: a mapping of errors, throttles",
        ),
        (
            "      sandbox:\n",
            "      sandbox: SANDBOX\n",
            "tenants.claims.interpreters.sandbox is 'SANDBOX'; allowed: a mapping of network, description",
        ),
        (
            "expires: 2027-06-30",
            'expires: "2027-06-30"',
            f"tenants.claims.interpreters.web.expires is '2027-06-30'; allowed: {DAY}",
        ),
        (
            "expires: 2027-06-30",
            "expires: 2027-07-01 10:00:00",
            f"tenants.claims.interpreters.web.expires is 2027-07-01 10:00:00; allowed: {DAY}",
        ),
        # Impossible values.
        ("name: dev", "name: Dev", f"name is 'Dev'; allowed: {NAME}"),
        ("name: dev", "name: de-v", f"name is 'de-v'; allowed: {NAME}"),
        ("name: dev", "name: prod", "name is 'prod'; allowed: 'dev', as the file is called"),
        ('"111122223333"', '"1111"', "account is '1111'; allowed: 12 digits in quotes"),
        ("eu-west-1", "Ireland", "region is 'Ireland'; allowed: an AWS region such as us-east-1"),
        (
            "name: dev",
            "name: dev\nlog_retention_days: 31",
            "log_retention_days is 31; allowed: one of 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, "
            "1096, 1827, 2192, 2557, 2922, 3288, 3653",
        ),
        (
            "name: dev",
            "name: dev\nalarm_topic_arn: alarms",
            "alarm_topic_arn is 'alarms'; allowed: the ARN of an SNS topic",
        ),
        (
            "PUBLIC",
            "VPC",
            "tenants.claims.interpreters.web.network is 'VPC'; allowed: SANDBOX | PUBLIC",
        ),
        (
            "PUBLIC",
            "[PUBLIC]",
            "tenants.claims.interpreters.web.network is ['PUBLIC']; allowed: SANDBOX | PUBLIC",
        ),
        (
            "expires: 2027-06-30",
            "expires: 2027-06-29",
            f"tenants.claims.interpreters.web.expires is 2027-06-29; allowed: {DAY}",
        ),
        (
            "reason: Packages from PyPI",
            'reason: "  "',
            "tenants.claims.interpreters.web.reason is '  '; "
            "allowed: why this interpreter needs the internet, in 1 to 200 characters",
        ),
        (
            "      sandbox:\n",
            "      sandbox: {description: 'Code, mostly'}\n",
            "tenants.claims.interpreters.sandbox.description is 'Code, mostly'; "
            "allowed: 1 to 200 of A-Z a-z 0-9 _ - and spaces, as the service takes it",
        ),
        (
            "  claims:\n",
            "  claims:\n    session_function: {timeout_seconds: 901}\n",
            "tenants.claims.session_function.timeout_seconds is 901; allowed: a whole number of seconds from 60 to 900",
        ),
        (
            "  claims:\n",
            "  claims:\n    alarms: {errors: 0}\n",
            "tenants.claims.alarms.errors is 0; allowed: a whole number of failed runs in five minutes, 1 or more",
        ),
        (
            "      sandbox:\n",
            "".join(f"      sandbox{number}:\n" for number in range(20)),
            "tenants.claims.interpreters is {'sandbox0': None, 'sandbox1': None, 'sandbox2': None, 'san…; "
            "allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}",
        ),
        # Keys are values too.
        ("  claims:\n", "  Claims:\n", f"tenants.Claims is 'Claims'; allowed: {KEY}, and not storage"),
        ("  claims:\n", "  storage:\n", f"tenants.storage is 'storage'; allowed: {KEY}, and not storage"),
        ("      sandbox:\n", "      5:\n", f"tenants.claims.interpreters.5 is 5; allowed: {KEY}"),
        ("      sandbox:\n", "      a--b:\n", f"tenants.claims.interpreters.a--b is 'a--b'; allowed: {KEY}"),
        # Not YAML, or not one document of it.
        ("region:", "name: dev\nregion:", "line 3, column 1 has the key 'name' again; allowed: each key once"),
        (
            "name: dev",
            "name: [dev",
            "line 2, column 8 is not YAML (expected ',' or ']', but got ':'); allowed: YAML 1.2",
        ),
        (
            "name: dev",
            "\tname: dev",
            "line 1, column 1 is not YAML (found character '\\t' that cannot start any token); allowed: YAML 1.2",
        ),
        (
            "name: dev",
            "name: !!python/object:os.system dev",
            "line 1, column 7 is not YAML (could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/object:os.system'); allowed: YAML 1.2",
        ),
        (
            "expires: 2027-06-30",
            "expires: 2027-13-01",
            "the file is not YAML (month must be in 1..12); allowed: YAML 1.2",
        ),
    ],
)
def test_a_mistake_is_told_by_file_place_value_and_what_is_allowed(
    file: Path, before: str, after: str, message: str
) -> None:
    assert GOOD.count(before) == 1
    assert _refusal(file, GOOD.replace(before, after)) == f"dev.yaml: {message}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", f"the file is empty; allowed: a mapping of {TOP_LEVEL}"),
        ("# nothing yet\n", f"the file is None; allowed: a mapping of {TOP_LEVEL}"),
        ("[]", f"the file is []; allowed: a mapping of {TOP_LEVEL}"),
        ("{}", f"name is missing; allowed: {NAME}"),
        (b"\xff\xfe", "the file is not UTF-8 at byte 0; allowed: UTF-8 text"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1 is not YAML (but found another document); allowed: YAML 1.2"),
        ("name: &it [*it]\n", f"name is [[...]]; allowed: {NAME}"),
        (GOOD[: GOOD.index("  claims:")], "tenants is None; allowed: a mapping with at least one tenant"),
        (
            GOOD[: GOOD.index("      sandbox:")],
            "tenants.claims.interpreters is None; allowed: a mapping of 1 to 20 interpreters, such as sandbox: {}",
        ),
    ],
)
def test_a_file_that_is_no_environment_at_all(file: Path, content: str | bytes, message: str) -> None:
    assert _refusal(file, content) == f"dev.yaml: {message}"


def test_depth_that_would_exhaust_the_parser_is_an_answer_too(file: Path) -> None:
    assert "is not YAML" in _refusal(file, "[" * 5_000)


def test_a_long_value_is_cut(file: Path) -> None:
    message = _refusal(file, GOOD.replace("eu-west-1", "x" * 500))
    assert message == f"dev.yaml: region is '{'x' * 58}…; allowed: an AWS region such as us-east-1"


def test_a_missing_file_names_those_that_are_there(file: Path) -> None:
    _read(file, GOOD)
    missing = file.with_name("prod.yaml")
    with pytest.raises(InvalidEnvironment) as caught:
        load(missing)
    assert str(caught.value) == f"{missing}: the file does not exist; allowed: one of dev.yaml"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidEnvironment, match=r"the file cannot be read \(Is a directory\); allowed: a YAML file"):
        load(tmp_path)


def test_an_error_gives_its_parts_to_programs(file: Path) -> None:
    file.write_text(GOOD.replace("eu-west-1", "Ireland"))
    with pytest.raises(InvalidEnvironment) as caught:
        load(file, today=TODAY)
    assert (caught.value.file, caught.value.at, caught.value.value) == (file, "region", "Ireland")
