"""Tests `sandpiper init`: it writes a valid environment file, or none."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandpiper.environment import Environment, PublicInterpreter, VpcInterpreter, find_warnings, load
from tests.support.cli import COMMAND, sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

NEEDED = ["--name", "first", "--account", "111122223333", "--region", "eu-west-1", "--owner", "platform team"]
PUBLIC = ["--network", "PUBLIC", "--reason", "Packages: from PyPI # all", "--expires", "2999-06-30"]
VPC = ["--network", "VPC", "--zone", "eu-west-1a=euw1-az1", "--zone", "eu-west-1b=euw1-az2"]
ONLY_PUBLIC = "allowed: only with --network PUBLIC; remove it, or use --network PUBLIC"
ONLY_VPC = "allowed: only with --network VPC; remove it, or use --network VPC"


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return sandpiper("init", *arguments, cwd=folder)


def _typed(folder: Path, answers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a terminal with typed answers, one line each."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, answers.encode())
        return subprocess.run(
            [COMMAND, "init", *arguments],
            cwd=folder,
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)


def _written(folder: Path, process: subprocess.CompletedProcess[str]) -> Environment:
    assert process.returncode == 0, process.stderr
    environment = load(folder / "environments" / "first.yaml")
    assert find_warnings(environment) == ()
    return environment


def test_flags_write_a_file_and_next_commands_are_printed(tmp_path: Path) -> None:
    process = _run(tmp_path, *NEEDED)
    environment = _written(tmp_path, process)
    assert (environment.account, environment.region, environment.owner) == (
        "111122223333",
        "eu-west-1",
        "platform team",
    )
    assert [one.network for one in (environment.interpreters or {}).values()] == ["SANDBOX"]
    assert process.stderr == "created the folder environments\nwrote environments/first.yaml\n"
    assert "cdk synth --quiet -c environment=first\n" in process.stdout
    assert "cdk bootstrap aws://111122223333/eu-west-1\n" in process.stdout
    assert "local" not in process.stdout


def test_next_commands_start_the_embedded_aws(tmp_path: Path) -> None:
    process = _run(tmp_path, *NEEDED, "--account", "123456789012", "--network", "PUBLIC", "--reason", "pip")
    (web,) = (_written(tmp_path, process).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert 'sandpiper local start\n  eval "$(sandpiper local env)"\n' in process.stdout


def test_output_can_be_in_any_existing_folder(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    process = _run(tmp_path, *NEEDED, "--output", "a b/first.yaml")
    assert (process.returncode, process.stderr) == (0, "wrote a b/first.yaml\n")
    assert "cdk deploy --all -c environment='a b/first.yaml'\n" in process.stdout
    assert load(tmp_path / "a b" / "first.yaml").name == "first"


def test_warnings_are_printed_after_the_file_is_written(tmp_path: Path) -> None:
    process = _run(tmp_path, *NEEDED, "--region", "eu-central-2")
    assert process.returncode == 0
    assert (
        "warning: environments/first.yaml: region: eu-central-2 was not known to offer code interpreters"
        in process.stderr
    )


def test_prefix_list_flag_is_written_in_a_region_without_a_default(tmp_path: Path) -> None:
    vpc = ["--network", "VPC", "--zone", "eu-south-1a=eus1-az1", "--zone", "eu-south-1b=eus1-az2"]
    environment = _written(
        tmp_path, _run(tmp_path, *NEEDED, *vpc, "--region", "eu-south-1", "--s3-prefix-list", "pl-12345678")
    )
    assert environment.network is not None
    assert environment.network.s3_prefix_list == "pl-12345678"


def test_any_text_of_a_flag_is_unchanged_in_the_file(tmp_path: Path) -> None:
    reason = 'it\'s: "pip" # \\ 😀\n\x7f\xa0{}'
    (web,) = (_written(tmp_path, _run(tmp_path, *NEEDED, *PUBLIC, "--reason", reason)).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert web.reason == reason


def test_public_network_has_a_reason_and_an_expiry_date(tmp_path: Path) -> None:
    (web,) = (_written(tmp_path, _run(tmp_path, *NEEDED, *PUBLIC)).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert web.reason == "Packages: from PyPI # all"


def test_vpc_mode_has_a_network_in_its_zones(tmp_path: Path) -> None:
    environment = _written(tmp_path, _run(tmp_path, *NEEDED, *VPC))
    assert environment.network is not None
    assert environment.availability_zones == {"eu-west-1a": "euw1-az1", "eu-west-1b": "euw1-az2"}
    assert [type(one) for one in (environment.interpreters or {}).values()] == [VpcInterpreter]


def test_file_references_the_schema_if_it_exists(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "environment.schema.json").touch()
    _written(tmp_path, _run(tmp_path, *NEEDED))
    first, *_ = (tmp_path / "environments" / "first.yaml").read_text().splitlines()
    assert first == "# yaml-language-server: $schema=../docs/environment.schema.json"


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "environments" / "first.yaml"
    file.parent.mkdir()
    file.write_text("mine")
    process = _run(tmp_path, *NEEDED)
    assert (process.returncode, file.read_text()) == (2, "mine")
    assert "already exists and is not overwritten" in process.stderr


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--account", "1"], ["--account is '1'; allowed: 12 digits; change the value"]),
        (
            ["--name", "de-v"],
            ["--name is 'de-v'; allowed: 1 to 20 characters a-z and 0-9, starting with a letter; change the value"],
        ),
        (["--owner", "\udcff"], ["--owner is '\\udcff'; allowed: 1 to 200 letters"]),
        (
            ["--network", "NAT", "--reason", "x"],
            ["--network is 'NAT'; allowed: SANDBOX | PUBLIC | VPC; change the value"],
        ),
        (["--network", "public"], ["--network is 'public'; allowed: SANDBOX | PUBLIC | VPC; write PUBLIC"]),
        (
            ["--reason", "pip", "--zone", "eu-west-1a", "--expires", "2999-01-01"],
            [
                f"--reason is 'pip', without --network; {ONLY_PUBLIC}",
                f"--expires is '2999-01-01', without --network; {ONLY_PUBLIC}",
                f"--zone is 'eu-west-1a', without --network; {ONLY_VPC}",
            ],
        ),
        (
            ["--network", "SANDBOX", *VPC[2:], "--s3-prefix-list", "pl-12345678", "--account", "1"],
            [
                "--account is '1'; allowed: 12 digits; change the value",
                f"--zone is 'eu-west-1a=euw1-az1,eu-west-1b=euw1-az2', with --network SANDBOX; {ONLY_VPC}",
                f"--s3-prefix-list is 'pl-12345678', with --network SANDBOX; {ONLY_VPC}",
            ],
        ),
        (
            [*PUBLIC, *VPC],
            [
                f"--reason is 'Packages: from PyPI # all', with --network VPC; {ONLY_PUBLIC}",
                f"--expires is '2999-06-30', with --network VPC; {ONLY_PUBLIC}",
            ],
        ),
        (
            ["--network", "PUBLIC"],
            [
                "--reason is missing, but --network is PUBLIC; allowed: the reason for internet access",
                "--expires is missing, but --network is PUBLIC; allowed: a date",
            ],
        ),
        ([*PUBLIC, "--expires", "2020-01-01"], ["--expires is 2020-01-01; allowed: a date"]),
        ([*PUBLIC, "--expires", "soon\ntags: {}"], ["--expires is 'soon\\ntags: {}'; allowed: a date"]),
        ([*PUBLIC, "--expires", "20990101"], ["--expires is '20990101'; allowed: a date"]),
        (["--network", "VPC"], ["--zone is missing, but --network is VPC; allowed: 2 or more"]),
        (VPC[:4], ["--zone is set only once; allowed: 2 or more"]),
        ([*VPC, "--zone", "eu-west-1c=euw1-az9"], ["--zone eu-west-1c=euw1-az9 is 'euw1-az9'; allowed: euw1-az1"]),
        (
            [*VPC, "--zone", "eu-west-1c", "--zone", "us-east-1a=use1-az1"],
            [
                "--zone is 'eu-west-1c'; allowed: NAME=ID, such as eu-west-1a=euw1-az1; look up the zones",
                "--zone us-east-1a=use1-az1 is not a zone of eu-west-1; allowed: eu-west-1 followed by a letter",
            ],
        ),
        ([*VPC, *VPC[2:4]], ["--zone has 'eu-west-1a' 2 times; allowed: each zone once"]),
        (
            [
                *[each.replace("eu-west-1", "eu-south-1").replace("euw1", "eus1") for each in VPC],
                "--region",
                "eu-south-1",
            ],
            ["--s3-prefix-list is missing, and this version has no default for eu-south-1; allowed: the id"],
        ),
        (["--output", "other.yaml"], ["--output is 'other.yaml'; allowed: a file named first.yaml"]),
        (["--output", "first.yml"], ["--output is 'first.yml'; allowed: a file named first.yaml"]),
        (["--output", "."], ["--output is '.'; allowed: a file named first.yaml"]),
        (
            ["--output", "a/b/first.yaml", "--region", "Ireland"],
            [
                "--region is 'Ireland'; allowed: an AWS region such as us-east-1; change the value",
                "--output is 'a/b/first.yaml', but the folder a/b does not exist; "
                "allowed: a file in an existing folder; create it",
            ],
        ),
    ],
)
def test_all_invalid_flags_are_reported_as_flags_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], messages: list[str]
) -> None:
    process = _run(tmp_path, *NEEDED, *arguments)
    assert process.returncode == 2
    first, *lines = process.stderr.splitlines()
    assert first.startswith("error: nothing was written")
    assert [line[: len(start)] for line, start in zip(lines, messages, strict=True)] == messages
    assert not list(tmp_path.iterdir())


def test_no_prompts_without_a_terminal(tmp_path: Path) -> None:
    process = _run(tmp_path, "--name", "First")
    assert process.returncode == 2
    first, *lines = process.stderr.splitlines()
    assert first == "error: nothing was written; run the command in a terminal to be asked for missing values"
    assert [line.partition(";")[0] for line in lines] == [
        "--name is 'First'",
        "--account is missing",
        "--region is missing",
        "--owner is missing",
    ]


def test_no_prompts_while_a_flag_is_invalid(tmp_path: Path) -> None:
    process = _typed(tmp_path, "", "--name", "First", "--zone", "eu-west-1a=euw1-az1")
    assert process.returncode == 2
    assert [line.partition(" ")[0] for line in process.stderr.splitlines()] == ["error:", "--name", "--zone"]


def test_prompt_repeats_until_the_answer_is_valid(tmp_path: Path) -> None:
    process = _typed(tmp_path, "First\nfirst\n111122223333\nIreland\neu-west-1\nplatform team\n\n")
    environment = _written(tmp_path, process)
    assert [one.network for one in (environment.interpreters or {}).values()] == ["SANDBOX"]
    assert "name is 'First'; allowed: 1 to 20 characters a-z and 0-9, starting with a letter\n" in process.stderr
    assert "region is 'Ireland'; allowed: an AWS region such as us-east-1\n" in process.stderr


def test_prompt_asks_for_another_name_if_its_file_exists(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    (tmp_path / "environments" / "taken.yaml").touch()
    _written(tmp_path, _typed(tmp_path, "taken\nfirst\n111122223333\neu-west-1\nplatform team\n\n"))


def test_name_prompt_defaults_to_the_output_file(tmp_path: Path) -> None:
    process = _typed(tmp_path, "other\n\n\n", *NEEDED[2:], "--output", "first.yaml")
    assert process.returncode == 0, process.stderr
    assert load(tmp_path / "first.yaml").name == "first"


def test_public_network_prompts_for_its_reason_and_expiry_date(tmp_path: Path) -> None:
    answers = "first\n111122223333\neu-west-1\nplatform team\nPUBLIC\nPackages from PyPI\n20290101\n2999-06-30\n"
    process = _typed(tmp_path, answers)
    (web,) = (_written(tmp_path, process).interpreters or {}).values()
    assert isinstance(web, PublicInterpreter)
    assert "expires is '20290101'; allowed: a date" in process.stderr


def test_vpc_mode_prompts_for_zones(tmp_path: Path) -> None:
    answers = "VPC\neu-west-1a=euw1-az1\neu-west-1a=euw1-az1,eu-west-1b=euw1-az2\n"
    process = _typed(tmp_path, "platform team\n" + answers, *NEEDED[:-2])
    assert len(_written(tmp_path, process).availability_zones) == 2
    assert "AgentCore supports euw1-az1, euw1-az2, euw1-az3" in process.stderr
    assert "zones is set only once; allowed: 2 or more" in process.stderr


def test_end_of_input_ends_the_command_without_a_file(tmp_path: Path) -> None:
    process = _typed(tmp_path, "first\n\x04")
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.rglob("*.yaml"))


def test_help_has_examples() -> None:
    process = _run(PROJECT, "--help")
    assert "sandpiper init --name web" in process.stdout
