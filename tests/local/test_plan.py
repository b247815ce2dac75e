"""`sandpiper plan` on an environment that is deployed, changed and deployed again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest

from tests.local.environments import HEAD

if TYPE_CHECKING:
    from tests.local.environments import Environments

COMMAND = Path(sys.executable).parent / "sandpiper"
PROJECT = Path(__file__).resolve().parents[2]
NOTHING, CHANGES, ERROR = 0, 2, 1

FIRST = """\
  retention_days:
    runs: 90
tenants:
  claims:
    interpreters:
      run:
"""
CHANGED = """\
  retention_days:
    runs: 14
tenants:
  claims:
    interpreters:
      run:
        network: PUBLIC
        reason: a test
        owner: a test
        read: [s3://shared-data/prices/]
    session_function:
      reserved_concurrency: 40
"""
FOLDER = CHANGED.replace("prices/]", "prices/, s3://shared-data/rates/]")
RENAMED = CHANGED.replace("claims", "payments")


def sandpiper(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    left_out = {name for name, value in variables.items() if not value}
    environment = {name: value for name, value in {**os.environ, **variables}.items() if name not in left_out}
    return subprocess.run(
        [COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=300, cwd=PROJECT
    )


def plan(code: int, *arguments: str | Path) -> str:
    """What it says, in one text; it has to end with a code."""
    done = sandpiper("plan", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_changes_are_told_before_they_are_deployed_and_nothing_after(environments: Environments) -> None:
    def changed(rest: str, code: int = CHANGES) -> str:
        return plan(code, "--assembly", environments.synthesise(environments.write("planned", rest)))

    file = environments.write("planned", FIRST)
    words = plan(CHANGES, "-e", file)
    assert "sandpiper-planned-claims (tenant claims): new" in words
    assert "+ interpreter run is made in SANDBOX" in words
    environments.deploy(file)
    assert "nothing to do: " in plan(NOTHING, "-e", file)

    place = environments.tenant(file, "claims")
    boto3.client("s3").put_object(Bucket=place.bucket, Key="tenants/claims/runs/one", Body=b"kept")
    data = boto3.client("bedrock-agentcore")
    identifier = place.interpreters["run"]
    session = data.start_code_interpreter_session(codeInterpreterIdentifier=identifier)["sessionId"]
    words = changed(CHANGED)
    first, rest = words.split("sandpiper-planned-claims (tenant claims): changed")
    assert f"interpreter run is replaced under 1 live session: {session} since " in first
    assert "NetworkConfiguration.NetworkMode SANDBOX → PUBLIC" in rest
    assert "± execution role of interpreter run is replaced" in rest
    assert "may now s3:GetObject on arn:aws:s3:::shared-data/prices/* where aws:ResourceAccount is" in rest
    assert "! loses data" in first.splitlines()
    assert "objects below tenants/claims/runs/" in words
    assert "live 14 days instead of 90 days; 0 are older and expire" in words
    assert "~ function SessionFunction changes in place: ReservedConcurrentExecutions nothing → 40" in rest
    assert "live sessions: 40 of 1,000, 960 left (reserved, one a run)" in words
    data.stop_code_interpreter_session(codeInterpreterIdentifier=identifier, sessionId=session)
    assert session not in changed(CHANGED)

    environments.deploy(file)
    assert environments.tenant(file, "claims").interpreters["run"] != identifier
    assert "nothing to do: " in changed(CHANGED, NOTHING)
    assert "There were no differences" in environments.cdk("diff", file)
    printed = json.loads(plan(NOTHING, "--json", "--assembly", environments.synthesise(file)))
    assert printed["hasChanges"] is False
    assert {stack["change"] for stack in printed["stacks"]} == {"unchanged"}

    words = changed(FOLDER)
    assert "may now s3:GetObject on arn:aws:s3:::shared-data/rates/* where aws:ResourceAccount is" in words
    assert "replaced" not in words

    words = changed(RENAMED)
    assert "sandpiper-planned-payments (tenant payments): new" in words
    assert "sandpiper-planned-claims (tenant claims): gone from the environment, and still deployed" in words
    assert f"its data stays in s3://{place.bucket}/tenants/claims/" in words


@pytest.mark.usefixtures("bootstrapped")
def test_an_environment_is_read_where_the_command_is_typed(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    text = f"name: elsewhere\n{HEAD}{FIRST}".replace("us-east-1", "us-east-9")
    (tmp_path / "environments" / "elsewhere.yaml").write_text(text)
    done = subprocess.run(
        [COMMAND, "plan", "-e", "elsewhere"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == CHANGES, done.stderr
    assert "region: us-east-9 was not known to offer code interpreters" in done.stdout
    assert "is not bootstrapped, without which nothing is deployed: `cdk bootstrap aws://123456789012/us-east-9`" in (
        done.stdout
    )


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("-e", "nowhere"), {}, "environments/nowhere.yaml: the file does not exist"),
        (("-e", "No/Such"), {}, "--environment is 'No/Such'; allowed: at most 20 of a-z 0-9, a letter first"),
        (("--assembly", "docs"), {}, "docs is not the cloud assembly of an environment: manifest.json: No such file"),
        (("-e", "dev"), {}, "these credentials are those of account 123456789012; the environment is in"),
        (("--no-such-option",), {}, "No such option"),
    ],
)
def test_what_cannot_be_planned_is_said_in_one_message(
    arguments: tuple[str, ...], variables: dict[str, str], told: str
) -> None:
    done = sandpiper("plan", *arguments, **variables)
    assert (done.returncode, done.stdout) == (ERROR, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("bootstrapped")
def test_without_credentials_or_region_it_says_so(environments: Environments, tmp_path: Path) -> None:
    nobody = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SESSION_TOKEN": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    file = environments.write("nobody", FIRST)
    assembly = environments.synthesise(file)
    done = sandpiper("plan", "--assembly", assembly, **nobody)
    assert (done.returncode, done.stderr.count("\n")) == (ERROR, 1)
    assert "error: no credentials: sign in" in done.stderr

    manifest = assembly / "manifest.json"
    manifest.write_text(manifest.read_text().replace("/us-east-1", "/unknown-region"))
    done = sandpiper("plan", "--assembly", assembly, AWS_REGION="", AWS_DEFAULT_REGION="", **nobody)
    assert done.returncode == ERROR
    assert "no region: set AWS_REGION" in done.stderr
