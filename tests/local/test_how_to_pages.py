"""Runs the steps of the pages in docs/how-to in an account with an environment called `dev`.

The commands are those of the pages. `cdk` sends its arguments to the test process, which has a process of the CDK CLI,
and `sandpiper` to the process that forks for each command.
The app that the CLI runs requests the environment's assembly from the test process, in which the CDK is already loaded.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_aws.settings import ACCOUNT, REGION
from sandpiper.environment import InvalidEnvironment
from tests.support import cdk_commands
from tests.support.checkout import run
from tests.support.cli import write_forwarder
from tests.support.environments import HEAD, Environments, synthesize
from tests.support.iam import any_client
from tests.support.project import PROJECT
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.skipif(ON_AWS, reason="the tests create their own environment")

PATIENCE_SECONDS = 120
AWS_CLI = PROJECT / "local" / "runtimes" / "sandbox" / ".venv" / "bin" / "python"
"""A Python with the AWS CLI of the sandbox."""


REQUESTING_APP = """\
import json, os, sys, urllib.error, urllib.request
name = json.loads(os.environ["CDK_CONTEXT_JSON"])["environment"]
paths = json.dumps([os.path.abspath(each) for each in (f"environments/{name}.yaml", os.environ["CDK_OUTDIR"])])
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], paths.encode()).read()
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""
"""Replaces `app.py`. It requests the assembly from the test process."""
REQUESTING_CDK = """\
#!{python} -IS
import http.client, json, os, sys
connection = http.client.HTTPConnection("127.0.0.1", {port})
command = {{"arguments": sys.argv[1:], "directory": os.getcwd(), "environment": dict(os.environ)}}
connection.request("POST", "/cdk", json.dumps(command))
response = json.load(connection.getresponse())
sys.stderr.write(response["output"])
sys.exit(response["code"])
"""
"""Replaces `cdk`. It requests the command from the test process."""


class RequestHandler(BaseHTTPRequestHandler):
    """Writes the assembly of an environment file to a folder, or runs a command of the CDK CLI (at `/cdk`)."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, body = self._run(**request) if self.path == "/cdk" else self._synthesize(*request)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body.encode())

    def _synthesize(self, file: str, output: str) -> tuple[int, str]:
        """Returns the status and the errors of the file."""
        try:
            synthesize(Path(file), Path(output), {})
        except InvalidEnvironment as error:
            return 422, str(error)
        return 200, ""

    def _run(self, arguments: list[str], directory: str, environment: dict[str, str]) -> tuple[int, str]:
        """Returns the status, and the exit code and output of the command as JSON."""
        lines: list[str] = []
        code = cdk_commands.run(arguments, Path(directory), environment, lines.append)
        return 200, json.dumps({"code": code, "output": "".join(f"{line}\n" for line in lines)})


@pytest.fixture(scope="module")
def port() -> Generator[int]:
    """Yields the port of the server to which the app and `cdk` send requests."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), RequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@pytest.fixture
def checkout_with_aws(checkout: Path, environments: Environments, port: int) -> Generator[Path]:
    """Yields a checkout without environments and with the AWS CLI. Its environment `dev` is deleted after the test."""
    (checkout / "environments").unlink()
    (checkout / "environments").mkdir()
    tools = checkout / "test-tools"
    tools.mkdir()
    (tools / "aws").write_text(f'#!/bin/sh\nexec {AWS_CLI} -m awscli "$@"\n')
    write_forwarder(tools / "sandpiper")
    (tools / "cdk").write_text(REQUESTING_CDK.format(python=sys.executable, port=port))
    for tool in ("aws", "cdk"):
        (tools / tool).chmod(0o755)
    (tools / "app.py").write_text(REQUESTING_APP)
    settings = json.loads((checkout / "cdk.json").read_text())
    (checkout / "cdk.json").unlink()
    app = f".venv/bin/python -I test-tools/app.py http://127.0.0.1:{port}/"
    (checkout / "cdk.json").write_text(json.dumps({**settings, "app": app}))
    environments.folder = checkout
    yield checkout
    environments.deployed += (checkout / "environments").glob("dev.yaml")


SHELL = "export PATH=$PWD/test-tools:$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH AWS_PAGER=\n"


def steps(page: str, only: str = "") -> str:
    """Returns a script of a page's steps: it writes each YAML block to the file, and runs each command, in order."""
    text = (PROJECT / "docs" / "how-to" / page).read_text()
    if only:
        text = text.partition(f"## {only}\n")[2].partition("\n## ")[0]
    script = [SHELL]
    for language, block in re.findall(r"^```(yaml|sh)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if language == "yaml":
            script.append(f"printf %s {shlex.quote(whole_file(block))} > environments/dev.yaml")
            script.append('[ -z "${new:-}" ] || sed -i "s|key: KEY|key: $new|" environments/dev.yaml')
        else:
            script.append(block)
    return "\n".join(script)


def whole_file(block: str) -> str:
    """Returns a complete environment file from the part that a page shows."""
    head, section, options = HEAD.partition("data_bucket:\n")
    rest = block.replace(section, section + options, 1) if section in block else f"{section}{options}{block}"
    return f"name: dev\n{head}{rest}"


def interpreters() -> list[str]:
    control: Any = boto3.client("bedrock-agentcore-control")
    summaries = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    return sorted(each["name"].rpartition("_")[0] for each in summaries if each["name"].startswith("dev__"))


def test_the_steps_rename_and_remove_a_tenant_and_an_interpreter(checkout_with_aws: Path) -> None:
    completed = run(checkout_with_aws, steps("rename.md"))
    assert completed.stdout.count("Total claims: $44,700") == 2
    assert interpreters() == ["dev__claims__charts", "dev__claims__sandbox", "dev__motor__sandbox"]

    control: Any = boto3.client("bedrock-agentcore-control")
    summaries = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    (old,) = [each["codeInterpreterId"] for each in summaries if each["name"].startswith("dev__claims__sandbox_")]
    boto3.client("bedrock-agentcore").start_code_interpreter_session(codeInterpreterIdentifier=old)

    s3: Any = boto3.client("s3")
    sample_object = {"Bucket": f"sandpiper-dev-{ACCOUNT}-{REGION}", "Key": "tenants/claims/sandbox/sandbox/kept.txt"}
    s3.put_object(**sample_object, Body=b"kept")
    completed = run(checkout_with_aws, steps("remove.md"))
    bucket = f"sandpiper-dev-{ACCOUNT}-{REGION}"
    stays = f"the data of tenant motor stays in s3://{bucket}/tenants/motor/, and no lifecycle rule deletes it"
    assert stays in completed.stdout
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    (days,) = (each["Expiration"]["Days"] for each in rules if "tenants/motor/" in str(each))
    assert days == 30
    assert interpreters() == ["dev__claims__charts"]
    assert s3.get_object(**sample_object)["Body"].read() == b"kept"
    remaining = s3.list_objects_v2(Bucket=sample_object["Bucket"], Prefix="tenants/")["Contents"]
    assert not [each["Key"] for each in remaining if each["Key"].startswith("tenants/motor/")]


def test_the_steps_move_an_interpreter_to_another_network_and_back(checkout_with_aws: Path) -> None:
    first = "interpreters:\n  tools:\n"
    (checkout_with_aws / "environments" / "dev.yaml").write_text(f"name: dev\n{HEAD}{first}")
    run(checkout_with_aws, SHELL + "cdk deploy --all -c environment=dev --require-approval never")
    completed = run(checkout_with_aws, steps("move-to-another-network.md"))
    assert "dev__main__tools" in completed.stdout
    assert interpreters() == ["dev__main__tools"]


def test_the_steps_rotate_and_replace_the_key(checkout_with_aws: Path) -> None:
    completed = run(checkout_with_aws, steps("rotate-the-key.md"))
    assert "true" in completed.stdout
    (new,) = re.findall(r"^arn:aws:kms:.*$", completed.stdout, re.MULTILINE)
    template = boto3.client("cloudformation").get_template(StackName="sandpiper-dev-storage")["TemplateBody"]
    assert new in str(template)
    assert "Total claims: $44,700" in completed.stdout


def test_the_steps_use_an_existing_bucket(checkout_with_aws: Path) -> None:
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="existing-data")
    completed = run(checkout_with_aws, steps("use-existing-resources.md", "A bucket"))
    assert "tenants/main/runs/" in completed.stdout
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert "sandpiper-dev-storage" not in {each["StackName"] for each in stacks}


def test_the_steps_use_an_existing_interpreter_in_another_app(checkout_with_aws: Path) -> None:
    control: Any = boto3.client("bedrock-agentcore-control")
    interpreter = control.create_code_interpreter(name="before", networkConfiguration={"networkMode": "SANDBOX"})
    page = (PROJECT / "docs" / "how-to" / "use-existing-resources.md").read_text()
    (checkout_with_aws / "adopt.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    app = f"INTERPRETER_ARN={interpreter['codeInterpreterArn']} .venv/bin/python adopt.py"
    options = "--require-approval never -o adopted.out"
    run(checkout_with_aws, f"{SHELL}cdk deploy adopted --app {shlex.quote(app)} {options}")
    machines = boto3.client("stepfunctions").list_state_machines()["stateMachines"]
    assert "adopted-run-code" in {each["name"] for each in machines}
    run(checkout_with_aws, f"{SHELL}cdk destroy adopted --app adopted.out --force")
    assert control.get_code_interpreter(codeInterpreterId=interpreter["codeInterpreterId"])["status"] == "READY"
    control.delete_code_interpreter(codeInterpreterId=interpreter["codeInterpreterId"])


TRIGGERS = ("nightly-batch", "run-on-upload", "claims-process", "approved-batch")


def test_the_steps_start_runs_by_clients_schedules_uploads_and_other_state_machines(checkout_with_aws: Path) -> None:
    stepfunctions, schedules = boto3.client("stepfunctions"), any_client("scheduler")
    try:
        started = run(checkout_with_aws, steps("start-a-run.md")).stdout
        assert ('"SUCCEEDED"' in started, '\\"stdout\\": \\"42\\"' in started) == (True, True)
        assert '{"index": 1, "error": {"name": "CodeFailed"' in started
        assert "TypeError" in started  # the output of the failed item
        page = (PROJECT / "docs" / "how-to" / "start-a-run.md").read_text()
        (checkout_with_aws / "start_run.py").write_text(page.partition("```python\n")[2].partition("```")[0])
        assert run(checkout_with_aws, f"{SHELL}python start_run.py").stdout == "42\n"

        listed = run(checkout_with_aws, triggered("run-on-a-schedule.md", is_first=True)).stdout
        assert "run-batch" in listed
        schedule = schedules.get_schedule(Name="nightly-batch")
        machine = schedule["Target"]["Arn"]
        before = len(stepfunctions.list_executions(stateMachineArn=machine)["executions"])
        now = datetime.now(UTC).strftime("at(%Y-%m-%dT%H:%M:%S)")
        schedules.create_schedule(
            Name="once",
            ScheduleExpression=now,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target=schedule["Target"],
            ActionAfterCompletion="DELETE",
        )
        until = time.monotonic() + PATIENCE_SECONDS
        while len(executions := stepfunctions.list_executions(stateMachineArn=machine)["executions"]) == before:
            assert time.monotonic() < until
            time.sleep(0.5)
        assert [each["status"] for each in wait_until_ended(executions)] == ["SUCCEEDED"] * len(executions)

        uploaded = run(checkout_with_aws, triggered("run-on-upload.md")).stdout
        assert json.loads(uploaded.splitlines()[-1])["stdout"] == "1500.0"

        nested = run(checkout_with_aws, triggered("nested-state-machine.md")).stdout
        assert '\\"score\\":\\"0.93\\"' in nested.replace(": ", ":")
        assert '"CodeFailed"' in nested

        approved = run(checkout_with_aws, triggered("approve-a-nightly-batch.md")).stdout
        assert '{"index": 1, "error": {"name": "CodeFailed"' in approved
        assert "TypeError" in approved
        assert "published 1 results" in approved
    finally:
        for name in TRIGGERS:
            boto3.client("cloudformation").delete_stack(StackName=name)


def triggered(page: str, *, is_first: bool = False) -> str:
    """Returns the steps of a page, without the repetition of what an earlier page has deployed or synthesized."""
    script = steps(page)
    if page not in (
        "run-on-upload.md",
        "approve-a-nightly-batch.md",
    ):  # the others have the environment of the first page, or a part of it
        head, _, rest = script.partition("cdk deploy --all -c environment=dev --require-approval never\n")
        script = head.partition("printf %s")[0] + rest
    app = '"python examples/triggers/app.py" -c environment=dev -c tenant=claims'
    assert app in script
    return script if is_first else script.replace(app, "triggers.out").replace(" -o triggers.out", "")


def wait_until_ended(executions: list[Any]) -> list[Any]:
    """Returns the descriptions of executions when they have ended."""
    client, until = boto3.client("stepfunctions"), time.monotonic() + PATIENCE_SECONDS
    while True:
        described: list[Any] = [client.describe_execution(executionArn=each["executionArn"]) for each in executions]
        if all(each["status"] != "RUNNING" for each in described):
            return described
        assert time.monotonic() < until
        time.sleep(0.5)


def test_the_steps_deploy_an_environment_with_a_small_role(checkout_with_aws: Path) -> None:
    (checkout_with_aws / "environments" / "dev.yaml").write_text(f"name: dev\n{HEAD}interpreters:\n  sandbox:\n")
    try:
        run(checkout_with_aws, steps("deploy-with-a-small-role.md"))
        role = f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
        attached = boto3.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        policies = sorted(each.stem for each in (checkout_with_aws / "out" / "policies").iterdir())
        assert policies == ["sandpiper-dev-deployment-1", "sandpiper-dev-deployment-2"]
        assert [each.get("PolicyName") for each in attached] == policies
        assert interpreters() == ["dev__main__sandbox"]
    finally:
        administrator = "--cloudformation-execution-policies arn:aws:iam::aws:policy/AdministratorAccess"
        run(checkout_with_aws, f"{SHELL}cdk bootstrap aws://{ACCOUNT}/{REGION} -c environment=dev {administrator}")
