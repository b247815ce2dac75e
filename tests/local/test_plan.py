"""`sandpiper plan` for an environment that is deployed, changed and deployed again."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

import boto3
import pytest

from sandpiper.errors import CliError
from sandpiper.review.baseline.entries import entries_of
from sandpiper.review.baseline.file import Baseline, to_text
from sandpiper.review.review import Target, load_model
from tests.support.cli import sandpiper
from tests.support.environments import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.environments import Environments

NO_CHANGES, CHANGES, ERROR = 0, 2, 1

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
EXPIRED = CHANGED.replace("owner: a test\n", "owner: a test\n        expires: 2020-01-01\n")


def plan(code: int, *arguments: str | Path) -> str:
    """Runs the command, asserts its exit code, and returns its output."""
    process = sandpiper("plan", *arguments)
    assert process.returncode == code, process.stdout + process.stderr
    return process.stdout


def test_the_plan_reports_changes_before_their_deployment_and_none_after(environments: Environments) -> None:
    def changed(rest: str, code: int = CHANGES) -> str:
        return plan(code, "--assembly", environments.synthesize(environments.write("planned", rest)))

    file = environments.write("planned", FIRST)
    text = changed(FIRST)
    assert "sandpiper-planned-claims (tenant claims): new" in text
    assert "+ interpreter run is created with network SANDBOX" in text
    environments.deploy(file)
    assert "No changes: " in plan(NO_CHANGES, "-e", file)

    tenant = environments.tenant(file, "claims")
    boto3.client("s3").put_object(Bucket=tenant.bucket, Key="tenants/claims/runs/one", Body=b"kept")
    data = boto3.client("bedrock-agentcore")
    identifier = tenant.interpreters["run"]
    session = data.start_code_interpreter_session(codeInterpreterIdentifier=identifier)["sessionId"]
    text = changed(CHANGED)
    first, rest = text.split("sandpiper-planned-claims (tenant claims): changed")
    assert (
        f"interpreter run is replaced, so 1 live session ends with its files and variables: {session} since " in first
    )
    assert "NetworkConfiguration.NetworkMode SANDBOX → PUBLIC" in rest
    assert "± execution role of interpreter run is replaced" in rest
    assert "is now allowed s3:GetObject on arn:aws:s3:::shared-data/prices/* if aws:ResourceAccount is" in rest
    assert "! Data loss" in first.splitlines()
    assert "objects below tenants/claims/runs/" in text
    assert "expire after 14 days instead of 90 days; 0 are older and expire" in text
    assert "~ function SessionFunction is updated in place: ReservedConcurrentExecutions not set → 40" in rest
    assert "live sessions: 40 of 1,000, 960 left (reserved, one session per run)" in text
    data.stop_code_interpreter_session(codeInterpreterIdentifier=identifier, sessionId=session)
    assert session not in changed(CHANGED)

    environments.deploy(file)
    assert environments.tenant(file, "claims").interpreters["run"] != identifier
    assert "No changes: " in changed(CHANGED, NO_CHANGES)
    assert "There were no differences" in environments.cdk("diff", file)
    printed = json.loads(plan(NO_CHANGES, "--json", "--assembly", environments.synthesize(file)))
    assert printed["hasChanges"] is False
    assert {stack["change"] for stack in printed["stacks"]} == {"unchanged"}

    check_approval(environments, file)

    text = changed(FOLDER)
    assert "is now allowed s3:GetObject on arn:aws:s3:::shared-data/rates/* if aws:ResourceAccount is" in text
    assert "replaced" not in text

    text = changed(RENAMED)
    assert "sandpiper-planned-payments (tenant payments): new" in text
    assert "sandpiper-planned-claims (tenant claims): no longer in the environment file, but still deployed" in text
    assert f"its data stays in s3://{tenant.bucket}/tenants/claims/" in text
    read = sandpiper("status", "-e", file, "--no-drift")
    assert read.returncode == NO_CHANGES
    orphaned = read.stdout.partition("stack sandpiper-planned-claims: ")[2].splitlines()[1]
    assert orphaned.strip().startswith("orphaned: the environment file no longer contains it; to delete it, run `aws")
    assert read.stdout.count("orphaned") == 1

    # Commands that read do not depend on an approval, and an expired one stops its own stack only.
    text = changed(EXPIRED)
    assert "sandpiper-planned-claims cannot be deployed: " in text
    assert "the approval of internet access expired on 2020-01-01 (owner: a test)" in text
    read = sandpiper("status", "-e", file, "--no-drift")
    assert read.returncode == NO_CHANGES
    warning = "tenants.claims.interpreters.run.expires: expired on 2020-01-01; its stack cannot be deployed until you"
    assert warning in read.stdout
    assert sandpiper("deployment-policy", "-e", file).returncode == NO_CHANGES
    environments.deploy(file, "sandpiper-planned-storage", "sandpiper-planned-fleet")
    with pytest.raises(CliError, match="the approval of internet access expired on 2020-01-01"):
        environments.deploy(file, "sandpiper-planned-claims")
    environments.cdk("destroy", file, "sandpiper-planned-claims", "--force")
    assert "sandpiper-planned-claims (tenant claims): new" in plan(CHANGES, "-e", file)


def check_approval(environments: Environments, file: Path) -> None:
    """With an approval next to the environment file, the plan has the grants that are not approved."""
    approval = file.with_name("planned.review.json")
    entries = entries_of(load_model([Target(environments.synthesize(file), "")]))
    approval.write_text(to_text(Baseline("planned", "Ada", datetime.date(2026, 11, 30), entries, {})))
    text = plan(NO_CHANGES, "-e", file)
    assert "changes since the approval of 2026-11-30 by Ada" in text
    assert "everything that is allowed is approved" in text
    folder = environments.synthesize(environments.write("planned", FOLDER))
    found = json.loads(plan(CHANGES, "-e", file, "--json", "--assembly", folder))["approval"]
    assert (found["approvedBy"], found["approved"], found["limitsRemoved"]) == ("Ada", False, [])
    assert all("rates" in one["grant"] and "rates" in one["example"] for one in found["granted"])
    (revoked,) = found["revoked"]
    assert (len(found["granted"]), "s3:GetObject" in revoked["grant"], "rates" in revoked["grant"]) == (2, True, False)
    approval.write_text("{")
    broken = sandpiper("plan", "-e", file, "--assembly", folder)
    assert (broken.returncode, "is not JSON" in broken.stderr) == (ERROR, True), broken.stderr
    approval.unlink()


@pytest.mark.usefixtures("bootstrapped")
def test_an_environment_name_is_resolved_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "environments").mkdir()
    text = f"name: elsewhere\n{HEAD}{FIRST}".replace("us-east-1", "ca-west-1")
    (tmp_path / "environments" / "elsewhere.yaml").write_text(text)
    process = sandpiper("plan", "-e", "elsewhere", cwd=tmp_path)
    assert process.returncode == CHANGES, process.stderr
    assert "region: ca-west-1 was not known to offer code interpreters" in process.stdout
    assert (
        "is not bootstrapped, so nothing can be deployed: run `cdk bootstrap aws://123456789012/ca-west-1`"
        in process.stdout
    )


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("-e", "nowhere"), {}, "environments/nowhere.yaml: the file does not exist"),
        (("-e", "No/Such"), {}, "--environment is 'No/Such'; allowed: at most 20 of a-z 0-9, starting with a letter"),
        (("--assembly", "docs"), {}, "docs is not the cloud assembly of an environment: manifest.json: No such file"),
        (("-e", "dev"), {}, "the credentials are of account 123456789012, but the environment is in"),
        (("--no-such-option",), {}, "No such option"),
    ],
)
def test_an_error_is_one_message_without_a_traceback(
    arguments: tuple[str, ...], variables: dict[str, str], message: str
) -> None:
    process = sandpiper("plan", *arguments, variables=variables)
    assert (process.returncode, process.stdout) == (ERROR, "")
    assert message in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.usefixtures("bootstrapped")
def test_missing_credentials_or_a_missing_region_are_reported(environments: Environments, tmp_path: Path) -> None:
    no_credentials = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SESSION_TOKEN": "",
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }
    file = environments.write("signedout", FIRST)
    assembly = environments.synthesize(file)
    process = sandpiper("plan", "--assembly", assembly, variables=no_credentials)
    assert (process.returncode, process.stderr.count("\n")) == (ERROR, 1)
    assert "error: no credentials: sign in" in process.stderr

    manifest = assembly / "manifest.json"
    manifest.write_text(manifest.read_text().replace("/us-east-1", "/unknown-region"))
    process = sandpiper(
        "plan", "--assembly", assembly, variables={"AWS_REGION": "", "AWS_DEFAULT_REGION": "", **no_credentials}
    )
    assert process.returncode == ERROR
    assert "no region: set AWS_REGION" in process.stderr
