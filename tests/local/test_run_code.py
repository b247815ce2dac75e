"""The workflow from end to end: what its author sees of programs that work, fail, and leave all kinds of files."""

from __future__ import annotations

import hashlib
import json
import random
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.cdk_cli import PROJECT
from sandpiper.errors import CliError
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from tests.support.product import Product

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def no_session_stays(product: Product) -> Any:
    """Whatever a test does, no session runs after it."""
    yield
    assert product.live_sessions() == []


def example(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text()


def test_the_calculation_prints_its_total(product: Product) -> None:
    result = product.run(example("claims_total")).result
    assert result["stdout"] == "Total claims: $44,700"
    assert (result["stderr"], result["exitCode"], result["files"], result["skipped"]) == ("", 0, [], [])
    assert 0 < result["executionTimeMs"] < 60_000


def test_the_chart_comes_back_whole_and_lies_in_s3(product: Product) -> None:
    finished = product.run(example("bar_chart"))
    assert finished.result["stdout"] == "Chart saved"
    (file,) = finished.result["files"]
    chart = (product.out / "chart.png").read_bytes()
    assert chart.startswith(PNG)
    assert (file["name"], file["contentType"], file["size"]) == ("chart.png", "image/png", len(chart))
    assert file["sha256"] == hashlib.sha256(chart).hexdigest()
    assert file["s3Uri"].startswith(f"s3://{product.place.bucket}/{product.place.prefix}/runs/")
    assert finished.result["skipped"] == []


def test_the_report_has_the_bytes_that_csv_wrote(product: Product) -> None:
    finished = product.run(example("csv_report"))
    (file,) = finished.result["files"]
    assert (file["name"], file["contentType"], file["size"]) == ("claims.csv", "text/csv", 65)
    assert (product.out / "claims.csv").read_bytes() == (
        b"ClaimID,Amount,Status\r\nC001,45000,Rejected\r\nC002,12000,Approved\r\n"
    )


def test_code_that_raises_is_a_result_with_its_traceback(product: Product) -> None:
    result = product.run("print('before')\n1/0").result
    assert result["exitCode"] == 1
    assert result["stdout"] == "before"
    assert "ZeroDivisionError: division by zero" in result["stderr"]
    assert "Cell In[1], line 2" in result["stderr"]


def test_files_of_every_kind_are_kept_or_named(product: Product) -> None:
    finished = product.run(
        "import os, pathlib\n"
        "pathlib.Path('deep/er').mkdir(parents=True)\n"
        "pathlib.Path('deep/er/Grüße 2026.txt').write_text('Servus')\n"
        "pathlib.Path('deep/bytes.bin').write_bytes(bytes(range(256)))\n"
        "pathlib.Path('empty').touch()\n"
        "pathlib.Path('crlf.txt').write_bytes(b'a\\r\\nb\\r\\n')\n"
        "pathlib.Path('in.txt').write_text('changed')\n"
        "os.symlink('/etc/passwd', 'link')\n"
        "os.mkfifo('pipe')\n",
        inputs=[{"path": "in.txt", "text": "given"}, {"path": "same.txt", "text": "given"}],
    )
    kept = {file["path"]: (product.out / file["path"]).read_bytes() for file in finished.result["files"]}
    assert kept == {
        "deep/er/Grüße 2026.txt": b"Servus",
        "deep/bytes.bin": bytes(range(256)),
        "empty": b"",
        "crlf.txt": b"a\r\nb\r\n",
        "in.txt": b"changed",
    }
    reasons = {file["path"]: file["reason"] for file in finished.result["skipped"]}
    assert reasons == {"link": "not a regular file", "pipe": "not a regular file"}


def test_names_that_no_tool_takes_and_folders_that_nobody_may_enter_are_named(product: Product) -> None:
    result = product.run(
        "import os\n"
        "open(b'bad\\xff.txt', 'w').write('1')\n"
        "open('two\\nlines.txt', 'w').write('1')\n"
        "open('json.py', 'w').write('raise SystemExit(1)')\n"
        "os.mkdir('closed'); open('closed/in', 'w').write('1'); os.chmod('closed', 0)\n"
        "deep = '/'.join(['d' * 40] * 20); os.makedirs(deep); open(deep + '/file', 'w').write('1')\n"
    ).result
    assert [file["path"] for file in result["files"]] == ["json.py"]
    reasons = {file["path"]: file["reason"] for file in result["skipped"]}
    assert reasons == {
        r"bad\xff.txt": "it could not be read",
        "closed": "it could not be read",
        "two\nlines.txt": "its path has control characters",
        "/".join(["d" * 40] * 20) + "/file": "its path is longer than 255 characters",
    }


def test_an_eleventh_file_and_one_past_ten_megabytes_are_skipped_with_the_reason(product: Product) -> None:
    many = product.run("for n in range(11): open(f'{n:02}.txt', 'w').write('x')").result
    assert len(many["files"]) == 10
    assert many["skipped"] == [{"path": "10.txt", "size": 1, "reason": "more files than outputs.maxFiles"}]
    large = product.run("open('a', 'wb').write(b'x' * 9_000_000); open('b', 'wb').write(b'x' * 2_000_000)").result
    assert [file["path"] for file in large["files"]] == ["a"]
    assert large["skipped"] == [{"path": "b", "size": 2_000_000, "reason": "more bytes in all than outputs.maxBytes"}]


def test_more_bytes_than_one_answer_carries_come_in_several(product: Product) -> None:
    code = "import random\nfor n in range(3): open(f'{n}', 'wb').write(random.Random(n).randbytes(9_000_000))"
    finished = product.run(code, outputs={"maxBytes": 30_000_000})
    assert [(product.out / str(n)).read_bytes() for n in range(3)] == [
        random.Random(n).randbytes(9_000_000) for n in range(3)
    ]
    assert finished.result["skipped"] == []


def test_a_long_stdout_is_cut_in_the_result_and_whole_in_s3(product: Product) -> None:
    result = product.run("print('a' * 2_000_000)").result
    assert len(json.dumps(result)) < 256 * 1024
    bucket, key = result["stdoutUri"].removeprefix("s3://").split("/", 1)
    assert product.session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"a" * 2_000_000


def test_an_input_may_lie_in_s3_below_the_tenants_inputs_only(product: Product) -> None:
    bucket, prefix = product.place.bucket, product.place.prefix
    product.session.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/inputs/t/data.csv", Body=b"1,2")
    given = [{"path": "data.csv", "s3Uri": f"s3://{bucket}/{prefix}/inputs/t/data.csv"}]
    assert product.run("print(open('data.csv').read())", inputs=given).result["stdout"] == "1,2"
    elsewhere = [{"path": "data.csv", "s3Uri": f"s3://{bucket}/tenants/other/inputs/t/data.csv"}]
    with pytest.raises(CliError, match=r"^InvalidRequest: inputs\[0\].s3Uri is .*; allowed: objects below "):
        product.run("1", inputs=elsewhere)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"code": ""}, "code is empty; allowed: "),
        ({"code": "1", "sessionTimeoutSeconds": 59}, "sessionTimeoutSeconds is 59; allowed: .* from 60 to 28,800"),
        (
            {"code": "1", "sessionTimeoutSeconds": 28_801},
            "sessionTimeoutSeconds is 28801; allowed: .* from 60 to 28,800",
        ),
        ({"code": "1", "inputs": [{"path": "../x", "text": ""}]}, "inputs\\[0\\].path is '../x'; allowed: "),
        ({"code": "1", "colour": "red"}, "colour is an unknown field; allowed: "),
        ({"code": "1", "inputs": [{"path": "run", "text": ""}]}, "inputs\\[0\\].path is 'run'; allowed: "),
    ],
)
def test_a_bad_request_fails_by_name_before_any_session(
    product: Product, request_: dict[str, Any], message: str
) -> None:
    sessions_before = sum(1 for _ in all_sessions(product))
    with pytest.raises(CliError, match=f"^InvalidRequest: {message}"):
        run_unchecked(product, request_)
    assert sum(1 for _ in all_sessions(product)) == sessions_before


def test_code_and_data_are_in_no_log(product: Product) -> None:
    """Lambda logs what a function raises, so a refusal must not repeat what was refused."""
    secrets = {"code": {"password": "hunter2-code"}}, {"code": "1", "inputs": [{"path": "a", "base64": "hunter2-data"}]}
    for request in secrets:
        with pytest.raises(CliError):
            run_unchecked(product, request)
    product.run("print('hunter2-stdout'); raise ValueError('hunter2-stderr')")
    logs = product.session.client("logs")
    groups = [group.get("logGroupName", "") for group in logs.describe_log_groups()["logGroups"]]
    events = [event for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]
    assert any("InvalidRequest" in event.get("message", "") for event in events)
    assert "hunter2" not in json.dumps(events)


def run_unchecked(product: Product, request: dict[str, Any]) -> None:
    """Sends a request as it is, past the command line's own check."""
    workflows = product.session.client("stepfunctions")
    execution = workflows.start_execution(stateMachineArn=product.place.run_code_arn, input=json.dumps(request))
    while (state := workflows.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.1)
    if state["status"] == "FAILED":
        raise CliError(f"{state.get('error')}: {json.loads(state.get('cause', '{}'))['errorMessage']}")


def all_sessions(product: Product) -> Any:
    data = product.session.client("bedrock-agentcore")
    for identifier in product.place.interpreters.values():
        more: dict[str, Any] = {}
        while True:
            page = data.list_code_interpreter_sessions(codeInterpreterIdentifier=identifier, **more)
            yield from page["items"]
            if "nextToken" not in page:
                break
            more = {"nextToken": page["nextToken"]}


def test_an_unknown_interpreter_is_named_with_those_there_are(product: Product) -> None:
    keys = r" \| ".join(product.place.interpreters)
    with pytest.raises(CliError, match=f"InterpreterNotFound: interpreter is 'gpu'; allowed: {keys}"):
        product.run("1", interpreter="gpu")


@pytest.mark.skipif(ON_AWS, reason="on AWS nothing listens on this machine for it")
def test_public_code_has_a_network_that_is_not_this_machine_s(product: Product) -> None:
    interfaces = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert product.run(interfaces, interpreter="public").result["stdout"] == "['lo', 'tap0']"
    with socket.create_server(("127.0.0.1", 0)) as here:
        connect = f"import socket; socket.create_connection({here.getsockname()!r}, timeout=5)"
        refused = product.run(connect, interpreter="public").result
    assert refused["exitCode"] == 1
    assert "Connection refused" in refused["stderr"]


@pytest.mark.skipif(ON_AWS, reason="the page names the local environment")
@pytest.mark.usefixtures("deployed")
def test_the_program_of_the_page_starts_it() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs/run-code.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("42\n", "")


def test_printing_more_than_an_answer_carries_says_so(product: Product) -> None:
    with pytest.raises(CliError, match=r"PayloadTooLarge: .*the program ran, but its output exceeds one response"):
        product.run("print('x' * 20_000_000)")
