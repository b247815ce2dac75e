"""`sandpiper init` writes a first environment file that can be used, and nothing that cannot."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from sandpiper.environment import Environment, PublicInterpreter, VpcInterpreter, cautions, load

PROJECT = Path(__file__).parents[2]
COMMAND = [str(Path(sys.executable).with_name("sandpiper")), "init"]
NEEDED = ["--name", "first", "--account", "111122223333", "--region", "eu-west-1", "--owner", "platform team"]
PUBLIC = ["--network", "PUBLIC", "--reason", "Packages: from PyPI # all", "--expires", "2999-06-30"]
VPC = ["--network", "VPC", "--zone", "eu-west-1a=euw1-az1", "--zone", "eu-west-1b=euw1-az2"]


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _typed(folder: Path, answers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a terminal in which somebody types answers, each with Enter."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answers.encode())
        return subprocess.run(
            [*COMMAND, *arguments], cwd=folder, stdin=terminal, capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        os.close(keyboard)
        os.close(terminal)


def _written(folder: Path, done: subprocess.CompletedProcess[str]) -> Environment:
    assert done.returncode == 0, done.stderr
    environment = load(folder / "environments" / "first.yaml")
    assert cautions(environment) == ()
    return environment


def test_flags_alone_write_a_file_and_say_what_comes_next(tmp_path: Path) -> None:
    done = _run(tmp_path, *NEEDED)
    environment = _written(tmp_path, done)
    assert (environment.account, environment.region, environment.owner) == (
        "111122223333",
        "eu-west-1",
        "platform team",
    )
    assert [one.network for one in (environment.interpreters or {}).values()] == ["SANDBOX"]
    assert done.stderr == "wrote environments/first.yaml\n"
    assert "cdk synth -c environment=first\n" in done.stdout
    assert "cdk bootstrap aws://111122223333/eu-west-1\n" in done.stdout


def test_the_internet_comes_with_its_reason_and_its_last_day(tmp_path: Path) -> None:
    (web,) = (_written(tmp_path, _run(tmp_path, *NEEDED, *PUBLIC)).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert web.reason == "Packages: from PyPI # all"


def test_vpc_mode_comes_with_a_network_in_its_zones(tmp_path: Path) -> None:
    environment = _written(tmp_path, _run(tmp_path, *NEEDED, *VPC))
    assert environment.network is not None
    assert environment.availability_zones == {"eu-west-1a": "euw1-az1", "eu-west-1b": "euw1-az2"}
    assert [type(one) for one in (environment.interpreters or {}).values()] == [VpcInterpreter]


def test_editors_find_the_schema_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "environment.schema.json").touch()
    _written(tmp_path, _run(tmp_path, *NEEDED))
    first, *_ = (tmp_path / "environments" / "first.yaml").read_text().splitlines()
    assert first == "# yaml-language-server: $schema=../docs/environment.schema.json"


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "environments" / "first.yaml"
    file.parent.mkdir()
    file.write_text("mine")
    done = _run(tmp_path, *NEEDED)
    assert (done.returncode, file.read_text()) == (2, "mine")
    assert "is there already and stays as it is" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--account", "1"], "account is '1'; allowed: 12 digits in quotes; change it"),
        (["--name", "true"], "name is 'true'; allowed: 'other', as the file is called; rename one of them"),
        (["--owner", "\udcff"], "the file is not YAML (unacceptable character #xdcff"),
        (["--network", "NAT"], "interpreters.sandbox.network is 'NAT'; allowed: SANDBOX | PUBLIC | VPC; change it"),
        (["--network", "PUBLIC", "--reason", "pip"], "interpreters.web.expires is missing; allowed: a date"),
        ([*PUBLIC, "--expires", "2020-01-01"], "interpreters.web.expires is 2020-01-01; allowed: a date"),
        ([*PUBLIC, "--expires", "soon\ntags: {}"], "interpreters.web.expires is 'soon\\ntags: {}'; allowed: a date"),
        (["--network", "VPC"], "availability_zones"),
        ([*VPC, "--zone", "eu-west-1c=euw1-az9"], "availability_zones.eu-west-1c is 'euw1-az9'; allowed: euw1-az1"),
    ],
)
def test_what_the_model_refuses_is_refused_in_its_words_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    output = ["--output", "other.yaml"] if "true" in arguments else []
    done = _run(tmp_path, *NEEDED, *arguments, *output)
    assert done.returncode == 2
    assert "nothing was written" in done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.yaml"))


def test_nobody_is_asked_where_there_is_no_terminal(tmp_path: Path) -> None:
    done = _run(tmp_path, "--name", "first")
    assert done.returncode == 2
    assert done.stderr == ("error: --account, --region, --owner missing: give them, or run this in a terminal\n")


def test_a_terminal_is_asked_until_each_answer_can_be_used(tmp_path: Path) -> None:
    done = _typed(tmp_path, "First\nfirst\n111122223333\nIreland\neu-west-1\nplatform team\n\n")
    environment = _written(tmp_path, done)
    assert [one.network for one in (environment.interpreters or {}).values()] == ["SANDBOX"]
    assert "'First' is not allowed; allowed: at most 20 of a-z 0-9" in done.stderr
    assert "'Ireland' is not allowed; allowed: an AWS region such as us-east-1" in done.stderr


def test_a_terminal_is_asked_for_what_the_internet_takes(tmp_path: Path) -> None:
    answers = "first\n111122223333\neu-west-1\nplatform team\nPUBLIC\nPackages from PyPI\n2020-01-01\n2999-06-30\n"
    done = _typed(tmp_path, answers)
    (web,) = (_written(tmp_path, done).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert "'2020-01-01' is not allowed; allowed: a date" in done.stderr


def test_a_terminal_is_asked_for_zones_in_vpc_mode(tmp_path: Path) -> None:
    answers = "VPC\neu-west-1a=euw1-az1\neu-west-1a=euw1-az1,eu-west-1b=euw1-az2\n"
    done = _typed(tmp_path, "platform team\n" + answers, *NEEDED[:-2])
    assert len(_written(tmp_path, done).availability_zones) == 2
    assert "AgentCore supports euw1-az1, euw1-az2, euw1-az3" in done.stderr


def test_the_end_of_the_answers_ends_it_without_a_file(tmp_path: Path) -> None:
    done = _typed(tmp_path, "first\n\x04")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.yaml"))


def test_the_help_has_examples() -> None:
    done = _run(PROJECT, "--help")
    assert "sandpiper init --name web" in done.stdout
