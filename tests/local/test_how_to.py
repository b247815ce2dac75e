"""The pages of docs/how-to, step by step as they stand there, in an account with an environment called `dev`.

The CDK CLI is typed as the pages have it. The app that it runs asks the test's process, which has started the CDK
already, for the environment's assembly.
"""

from __future__ import annotations

import json
import re
import shlex
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local_aws.settings import ACCOUNT, REGION
from sandpiper.environment import InvalidEnvironment
from tests.local.environments import HEAD, Environments, synthesise
from tests.local.target import ON_AWS
from tests.local.test_readme import PROJECT, checkout, run

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["checkout"]
pytestmark = pytest.mark.skipif(ON_AWS, reason="they make an environment of their own")

AWS_CLI = PROJECT / "local" / "runtimes" / "sandbox" / ".venv" / "bin" / "python"
"""Has the AWS CLI that code in a sandbox finds."""


ASKS = """\
import json, os, sys, urllib.error, urllib.request
name = json.loads(os.environ["CDK_CONTEXT_JSON"])["environment"]
asked = json.dumps([os.path.abspath(each) for each in (f"environments/{name}.yaml", os.environ["CDK_OUTDIR"])])
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], asked.encode()).read()
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""
"""The app in the place of `app.py`."""


class Synthesises(BaseHTTPRequestHandler):
    """Answers when the assembly of a file lies in a folder, or with what is wrong with the file."""

    def do_POST(self) -> None:
        file, output = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, said = 200, ""
        try:
            synthesise(Path(file), Path(output), {})
        except InvalidEnvironment as error:
            code, said = 422, str(error)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(said.encode())


@pytest.fixture(scope="module")
def synthesiser() -> Generator[str]:
    """Its address."""
    server = HTTPServer(("127.0.0.1", 0), Synthesises)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def place(checkout: Path, environments: Environments, synthesiser: str) -> Generator[Path]:
    """A checkout with an empty folder of environments, whose `dev` goes after the test, and with `aws` to type."""
    (checkout / "environments").unlink()
    (checkout / "environments").mkdir()
    tools = checkout / "tools-of-the-test"
    tools.mkdir()
    (tools / "aws").write_text(f'#!/bin/sh\nexec {AWS_CLI} -m awscli "$@"\n')
    (tools / "aws").chmod(0o755)
    (tools / "app.py").write_text(ASKS)
    settings = json.loads((checkout / "cdk.json").read_text())
    (checkout / "cdk.json").unlink()
    app = f".venv/bin/python -I tools-of-the-test/app.py {synthesiser}"
    (checkout / "cdk.json").write_text(json.dumps({**settings, "app": app}))
    environments.folder = checkout
    yield checkout
    environments.deployed += (checkout / "environments").glob("dev.yaml")


SHELL = "export PATH=$PWD/tools-of-the-test:$PWD/.venv/bin:$PWD/node_modules/.bin:$PATH AWS_PAGER=\n"


def steps(page: str, only: str = "") -> str:
    """What a reader does: the file of each block of YAML is written, each command is typed, in the page's order."""
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
    """What a page shows of an environment file, under the lines that every file begins with."""
    head, ours, kept = HEAD.partition("data_bucket:\n")
    rest = block.replace(ours, ours + kept, 1) if ours in block else f"{ours}{kept}{block}"
    return f"name: dev\n{head}{rest}"


def interpreters() -> list[str]:
    control: Any = boto3.client("bedrock-agentcore-control")
    found = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    return sorted(each["name"].rpartition("_")[0] for each in found if each["name"].startswith("dev__"))


def test_a_tenant_and_an_interpreter_are_renamed_and_the_old_ones_removed(place: Path) -> None:
    ran = run(place, steps("rename.md"))
    assert ran.stdout.count("Total claims: $44,700") == 2
    assert interpreters() == ["dev__claims__charts", "dev__claims__sandbox", "dev__motor__sandbox"]

    control: Any = boto3.client("bedrock-agentcore-control")
    found = control.list_code_interpreters(type="CUSTOM", maxResults=100)["codeInterpreterSummaries"]
    (old,) = [each["codeInterpreterId"] for each in found if each["name"].startswith("dev__claims__sandbox_")]
    boto3.client("bedrock-agentcore").start_code_interpreter_session(codeInterpreterIdentifier=old)

    s3: Any = boto3.client("s3")
    kept = {"Bucket": f"sandpiper-dev-{ACCOUNT}-{REGION}", "Key": "tenants/claims/sandbox/sandbox/kept.txt"}
    s3.put_object(**kept, Body=b"kept")
    ran = run(place, steps("remove.md"))
    bucket = f"sandpiper-dev-{ACCOUNT}-{REGION}"
    assert (
        f"the data of tenant motor stays in s3://{bucket}/tenants/motor/, and no lifecycle rule deletes it"
        in ran.stdout
    )
    rules = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    (days,) = (each["Expiration"]["Days"] for each in rules if "tenants/motor/" in str(each))
    assert days == 30
    assert interpreters() == ["dev__claims__charts"]
    assert s3.get_object(**kept)["Body"].read() == b"kept"
    left = s3.list_objects_v2(Bucket=kept["Bucket"], Prefix="tenants/")["Contents"]
    assert not [each["Key"] for each in left if each["Key"].startswith("tenants/motor/")]


def test_an_interpreter_moves_to_another_network_and_back(place: Path) -> None:
    first = "interpreters:\n  tools:\n"
    (place / "environments" / "dev.yaml").write_text(f"name: dev\n{HEAD}{first}")
    run(place, SHELL + "cdk deploy --all -c environment=dev --require-approval never")
    ran = run(place, steps("move-to-another-network.md"))
    assert "dev__main__tools" in ran.stdout
    assert interpreters() == ["dev__main__tools"]


def test_the_key_is_rotated_and_replaced(place: Path) -> None:
    ran = run(place, steps("rotate-the-key.md"))
    assert "true" in ran.stdout
    (new,) = re.findall(r"^arn:aws:kms:.*$", ran.stdout, re.MULTILINE)
    template = boto3.client("cloudformation").get_template(StackName="sandpiper-dev-storage")["TemplateBody"]
    assert new in str(template)
    assert "Total claims: $44,700" in ran.stdout


def test_a_bucket_that_exists_is_adopted(place: Path) -> None:
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="somebodys-data")
    ran = run(place, steps("adopt-what-exists.md", "A bucket"))
    assert "tenants/main/runs/" in ran.stdout
    stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
    assert "sandpiper-dev-storage" not in {each["StackName"] for each in stacks}


def test_an_interpreter_that_exists_is_adopted_by_an_app_of_ones_own(place: Path) -> None:
    control: Any = boto3.client("bedrock-agentcore-control")
    made = control.create_code_interpreter(name="before", networkConfiguration={"networkMode": "SANDBOX"})
    page = (PROJECT / "docs" / "how-to" / "adopt-what-exists.md").read_text()
    (place / "adopt.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    types = f"INTERPRETER_ARN={made['codeInterpreterArn']} cdk {{}} adopted --app '.venv/bin/python adopt.py'"
    run(place, f"{SHELL}{types.format('deploy')} --require-approval never -o adopted.out")
    machines = boto3.client("stepfunctions").list_state_machines()["stateMachines"]
    assert "adopted-run-code" in {each["name"] for each in machines}
    run(place, f"{SHELL}{types.format('destroy')} --force -o adopted.out")
    assert control.get_code_interpreter(codeInterpreterId=made["codeInterpreterId"])["status"] == "READY"
    control.delete_code_interpreter(codeInterpreterId=made["codeInterpreterId"])


def test_an_environment_is_deployed_with_a_small_role(place: Path) -> None:
    (place / "environments" / "dev.yaml").write_text(f"name: dev\n{HEAD}interpreters:\n  sandbox:\n")
    try:
        run(place, steps("deploy-with-a-small-role.md"))
        role = f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"
        attached = boto3.client("iam").list_attached_role_policies(RoleName=role)["AttachedPolicies"]
        assert [each.get("PolicyName") for each in attached] == ["sandpiper-dev-deployment-1"]
        assert interpreters() == ["dev__main__sandbox"]
    finally:
        everything = "--cloudformation-execution-policies arn:aws:iam::aws:policy/AdministratorAccess"
        run(place, f"{SHELL}cdk bootstrap aws://{ACCOUNT}/{REGION} -c environment=dev {everything}")
