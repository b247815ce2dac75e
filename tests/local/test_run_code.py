"""Runs of the deployed workflow: results, errors, output files, inputs, logs and networks."""

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
def no_live_sessions(product: Product) -> Any:
    """Asserts that no session runs after a test."""
    yield
    assert product.live_sessions() == []


def example(name: str) -> str:
    """Returns the program of an example."""
    return (EXAMPLES / f"{name}.py").read_text()


def test_calculation_example_prints_its_total(product: Product) -> None:
    result = product.run(example("claims_total")).result
    assert result["stdout"] == "Total claims: $44,700"
    assert (result["stderr"], result["exitCode"], result["files"], result["skipped"]) == ("", 0, [], [])
    assert 0 < result["executionTimeMs"] < 60_000


def test_chart_example_is_downloaded_and_stored_in_s3(product: Product) -> None:
    finished = product.run(example("bar_chart"))
    assert finished.result["stdout"] == "Chart saved"
    (file,) = finished.result["files"]
    chart = (product.out / "chart.png").read_bytes()
    assert chart.startswith(PNG)
    assert (file["name"], file["contentType"], file["size"]) == ("chart.png", "image/png", len(chart))
    assert file["sha256"] == hashlib.sha256(chart).hexdigest()
    assert file["s3Uri"].startswith(f"s3://{product.deployment.bucket}/{product.deployment.prefix}/runs/")
    assert finished.result["skipped"] == []


def test_report_example_is_downloaded_unchanged(product: Product) -> None:
    finished = product.run(example("csv_report"))
    (file,) = finished.result["files"]
    assert (file["name"], file["contentType"], file["size"]) == ("claims.csv", "text/csv", 65)
    assert (product.out / "claims.csv").read_bytes() == (
        b"ClaimID,Amount,Status\r\nC001,45000,Rejected\r\nC002,12000,Approved\r\n"
    )


def test_result_of_failing_code_has_its_traceback(product: Product) -> None:
    result = product.run("print('before')\n1/0").result
    assert result["exitCode"] == 1
    assert result["stdout"] == "before"
    assert "ZeroDivisionError: division by zero" in result["stderr"]
    assert "Cell In[1], line 2" in result["stderr"]


def test_changed_regular_files_are_returned_and_other_types_are_skipped(product: Product) -> None:
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
        inputs=[{"path": "in.txt", "text": "original"}, {"path": "same.txt", "text": "original"}],
    )
    downloaded = {file["path"]: (product.out / file["path"]).read_bytes() for file in finished.result["files"]}
    assert downloaded == {
        "deep/er/Grüße 2026.txt": b"Servus",
        "deep/bytes.bin": bytes(range(256)),
        "empty": b"",
        "crlf.txt": b"a\r\nb\r\n",
        "in.txt": b"changed",
    }
    reasons = {file["path"]: file["reason"] for file in finished.result["skipped"]}
    assert reasons == {"link": "not a regular file", "pipe": "not a regular file"}


def test_unsupported_names_and_unreadable_folders_are_skipped_with_a_reason(product: Product) -> None:
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


def test_files_over_the_default_limits_are_skipped_with_a_reason(product: Product) -> None:
    many = product.run("for n in range(11): open(f'{n:02}.txt', 'w').write('x')").result
    assert len(many["files"]) == 10
    assert many["skipped"] == [{"path": "10.txt", "size": 1, "reason": "more files than outputs.maxFiles"}]
    large = product.run("open('a', 'wb').write(b'x' * 9_000_000); open('b', 'wb').write(b'x' * 2_000_000)").result
    assert [file["path"] for file in large["files"]] == ["a"]
    assert large["skipped"] == [{"path": "b", "size": 2_000_000, "reason": "more bytes in all than outputs.maxBytes"}]


def test_files_larger_than_one_response_are_transferred_in_several(product: Product) -> None:
    code = "import random\nfor n in range(3): open(f'{n}', 'wb').write(random.Random(n).randbytes(9_000_000))"
    finished = product.run(code, outputs={"maxBytes": 30_000_000})
    assert [(product.out / str(n)).read_bytes() for n in range(3)] == [
        random.Random(n).randbytes(9_000_000) for n in range(3)
    ]
    assert finished.result["skipped"] == []


def test_long_stdout_is_truncated_in_the_result_and_complete_in_s3(product: Product) -> None:
    result = product.run("print('a' * 2_000_000)").result
    assert len(json.dumps(result)) < 256 * 1024
    bucket, key = result["stdoutUri"].removeprefix("s3://").split("/", 1)
    assert product.session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() == b"a" * 2_000_000


def test_s3_inputs_are_accepted_only_below_the_tenants_inputs_folder(product: Product) -> None:
    bucket, prefix = product.deployment.bucket, product.deployment.prefix
    product.session.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/inputs/t/data.csv", Body=b"1,2")
    allowed = [{"path": "data.csv", "s3Uri": f"s3://{bucket}/{prefix}/inputs/t/data.csv"}]
    assert product.run("print(open('data.csv').read())", inputs=allowed).result["stdout"] == "1,2"
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
        ({"code": "1", "color": "red"}, "color is an unknown field; allowed: "),
        ({"code": "1", "inputs": [{"path": "run", "text": ""}]}, "inputs\\[0\\].path is 'run'; allowed: "),
    ],
)
def test_invalid_request_fails_before_a_session_starts(
    product: Product, request_: dict[str, Any], message: str
) -> None:
    sessions_before = sum(1 for _ in all_sessions(product))
    with pytest.raises(CliError, match=f"^InvalidRequest: {message}"):
        run_unchecked(product, request_)
    assert sum(1 for _ in all_sessions(product)) == sessions_before


def test_logs_contain_neither_code_nor_data(product: Product) -> None:
    """Lambda logs raised errors, so that error messages must not repeat invalid values."""
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
    """Sends a request without the validation of the command line."""
    workflows = product.session.client("stepfunctions")
    execution = workflows.start_execution(stateMachineArn=product.deployment.run_code_arn, input=json.dumps(request))
    while (state := workflows.describe_execution(executionArn=execution["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.1)
    if state["status"] == "FAILED":
        raise CliError(f"{state.get('error')}: {json.loads(state.get('cause', '{}'))['errorMessage']}")


def all_sessions(product: Product) -> Any:
    """Yields the sessions of all interpreters of the tenant."""
    data = product.session.client("bedrock-agentcore")
    for identifier in product.deployment.interpreters.values():
        pagination: dict[str, Any] = {}
        while True:
            page = data.list_code_interpreter_sessions(codeInterpreterIdentifier=identifier, **pagination)
            yield from page["items"]
            if "nextToken" not in page:
                break
            pagination = {"nextToken": page["nextToken"]}


def test_unknown_interpreter_is_rejected_with_the_allowed_keys(product: Product) -> None:
    keys = r" \| ".join(product.deployment.interpreters)
    with pytest.raises(CliError, match=f"InterpreterNotFound: interpreter is 'gpu'; allowed: {keys}"):
        product.run("1", interpreter="gpu")


@pytest.mark.skipif(ON_AWS, reason="the test listens on the machine of the embedded AWS")
def test_public_interpreter_does_not_use_the_network_of_the_host(product: Product) -> None:
    interfaces = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert product.run(interfaces, interpreter="public").result["stdout"] == "['lo', 'tap0']"
    with socket.create_server(("127.0.0.1", 0)) as server:
        connect = f"import socket; socket.create_connection({server.getsockname()!r}, timeout=5)"
        refused = product.run(connect, interpreter="public").result
    assert refused["exitCode"] == 1
    assert "Connection refused" in refused["stderr"]


@pytest.mark.skipif(ON_AWS, reason="the page uses the local environment")
@pytest.mark.usefixtures("deployed")
def test_program_of_the_run_code_page_starts_a_run() -> None:
    (program,) = re.findall(r"```python\n(.*?)```", (PROJECT / "docs/run-code.md").read_text(), re.DOTALL)
    process = subprocess.run([sys.executable, "-"], input=program, capture_output=True, text=True)
    assert (process.stdout, process.stderr) == ("42\n", "")


def test_output_larger_than_a_response_is_shortened_in_the_result(product: Product) -> None:
    finished = product.run("open('file.txt', 'w').write('x')\nprint('first' + 'x' * 20_000_000 + 'last')\n1 / 0")
    result = finished.result
    assert (result["exitCode"], [file["path"] for file in result["files"]]) == (1, ["file.txt"])
    assert re.fullmatch(r"firstx+\n… about 19,9\d\d,\d{3} bytes omitted; the output is .* …\nx+last", result["stdout"])
    assert "ZeroDivisionError" in result["stderr"]
    assert "stdoutUri" not in result  # nowhere is a complete text
