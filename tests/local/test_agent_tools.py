"""The agent tools: examples of tool input, six usage patterns, sessions, uploads and the workspace."""

from __future__ import annotations

import base64
import hashlib
import inspect
import io
import json
import runpy
import subprocess
import sys
import time
import uuid
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator

from code_runner.agent_tools.results import (
    MAX_SHOWN_CHARACTERS,
    ExecutionResult,
    Failed,
    FilesChanged,
    FilesListed,
    FilesPushed,
    FilesRead,
    WorkspaceFile,
    WorkspaceListing,
)
from code_runner.agent_tools.specs import TOOL_SPECS, TOOLS
from code_runner.agent_tools.tools import SESSION_REPLACED, CodeInterpreterTools
from code_runner.agentcore.boto_clients import AwsClients
from local_agentcore.admin_client import EmulatorClock
from local_agentcore.faults import Rule
from local_agentcore.process import client, running_emulator
from sandpiper_contract.aws import MANAGED_INTERPRETER
from sandpiper_contract.errors import InvalidRequest, RunError
from tests.support import https_server

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.admin_client import FaultInjector
    from tests.support.product import Product

    Make = Callable[..., CodeInterpreterTools]

EXAMPLES = Path(__file__).parents[2] / "examples" / "agent_skill"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


PIP = b"[global]\ncert = ca.pem\n"
"""Configuration of pip: trusts the certificate of the local package index."""


def program(name: str) -> str:
    return (EXAMPLES / f"{name}.py").read_text()


@pytest.fixture
def make(product: Product) -> Generator[Make]:
    """Creates tools in the deployed product, each with a separate workspace, and closes them after the test."""
    created: list[CodeInterpreterTools] = []
    not_stopped: list[str] = []

    def tools(**options: Any) -> CodeInterpreterTools:
        options = {"prefix": f"agents/{uuid.uuid4()}", "bucket": product.deployment.bucket, **options}
        interpreter = next(iter(product.deployment.interpreters.values()))

        def on_stop_failed(session_id: str, _: RunError) -> None:
            not_stopped.append(session_id)

        created.append(
            CodeInterpreterTools(options.pop("interpreter_id", interpreter), on_stop_failed=on_stop_failed, **options)
        )
        return created[-1]

    yield tools
    for each in created:
        each.close()
    assert (product.live_sessions(), not_stopped) == ([], [])


@pytest.fixture
def tools(make: Make) -> CodeInterpreterTools:
    return make()


def executed(result: object) -> ExecutionResult:
    assert isinstance(result, ExecutionResult), result
    return result


def failed(result: object) -> Failed:
    assert isinstance(result, Failed), result
    assert "Traceback" not in result.message
    return result


def end_session(product: Product) -> None:
    """Stops the running session. The service then returns the same error as after its lifetime."""
    (session,) = product.live_sessions()
    product.session.client("bedrock-agentcore").stop_code_interpreter_session(
        codeInterpreterIdentifier=next(iter(product.deployment.interpreters.values())), sessionId=session
    )


# Examples of tool input, in one session.


def test_every_example_of_tool_input_runs(tools: CodeInterpreterTools) -> None:
    called: set[str] = set()

    def example(tool: str, index: int = 0) -> Any:
        called.add(f"{tool}-{index}")
        return tools.call(tool, TOOLS[tool].examples[index])

    assert "mean   2.0  5.0" in executed(example("execute_code")).stdout
    chart = executed(example("execute_code", 1))
    assert (chart.stdout, chart.exit_code) == ("Done", 0)
    assert [file.path for file in chart.saved] == ["code-interpreter/sine.png"]
    checked = executed(example("execute_command", 1))
    assert checked.stdout.startswith("Python 3.")
    assert checked.exit_code == 0
    executed(tools.execute_command("pip config set global.retries 0"))  # the interpreter has no network
    assert "No matching distribution" in executed(example("execute_command")).stderr
    assert example("file_operations") == FilesChanged(operation="write", paths=("config.json",))
    assert json.loads(executed(tools.execute_command("cat config.json")).stdout) == {"key": "value"}
    listed = example("file_operations", 1)
    assert isinstance(listed, FilesListed)
    assert {"config.json", "sine.png"} <= {entry.path for entry in listed.entries if entry.kind == "file"}
    executed(tools.execute_code("open('output.csv', 'w').write('a,b\\n1,2\\n')"))
    read = example("file_operations", 2)
    assert isinstance(read, FilesRead)
    assert [file.text for file in read.files] == ["a,b\n1,2\n"]
    executed(tools.execute_code("open('results.json', 'w').write('{}'); open('chart.png', 'wb').write(b'\\x89PNG')"))
    pushed = example("ci_push_to_workspace")
    assert isinstance(pushed, FilesPushed)
    assert [file.path for file in pushed.saved] == ["code-interpreter/chart.png", "code-interpreter/results.json"]
    everything = example("ci_push_to_workspace", 1)
    assert isinstance(everything, FilesPushed)
    names = {"chart.png", "config.json", "output.csv", "results.json", "sine.png"}
    assert {file.source for file in everything.saved} == names
    assert everything.not_saved == ()
    picture = example("workspace_read")
    assert isinstance(picture, WorkspaceFile)
    assert (picture.base64, picture.text, picture.content_type) == (b"\x89PNG", None, "image/png")
    results = example("workspace_read", 1)
    assert isinstance(results, WorkspaceFile)
    assert (results.text, results.content_type) == ("{}", "application/json")
    listing = example("workspace_list")
    assert isinstance(listing, WorkspaceListing)
    assert {file.path for file in listing.files} == {f"code-interpreter/{name}" for name in names}
    assert called == {f"{tool.name}-{index}" for tool in TOOLS.values() for index in range(len(tool.examples))}


# The six usage patterns.


def test_data_analysis_pattern(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code(program("data_analysis")))
    assert result.exit_code == 0
    assert result.stdout.startswith("=== Summary Statistics ===")
    assert "Profit Margin: " in result.stdout


def test_visualization_pattern(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code(program("visualization"), output_filename="dashboard.png"))
    assert result.stdout == "Dashboard saved"
    (saved,) = result.saved
    picture = tools.workspace_read(saved.path)
    assert isinstance(picture, WorkspaceFile)
    assert picture.base64 is not None
    assert picture.base64.startswith(b"\x89PNG")
    assert hashlib.sha256(picture.base64).hexdigest() == saved.sha256 == picture.sha256


def test_machine_learning_pattern(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code(program("machine_learning")))
    assert result.exit_code == 0, result.stderr
    assert "virginica" in result.stdout


def test_sql_pattern(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code(program("sql_with_duckdb")))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[1].split() == ["Customer_19", "5", "1282.5"]


def test_several_steps_pattern(tools: CodeInterpreterTools) -> None:
    load = "import pandas as pd\ndf = pd.DataFrame({'sales': [10, None, 30]}).dropna()\nprint(len(df))"
    assert executed(tools.execute_code(load)).stdout == "2"
    chart = (
        "import matplotlib\nmatplotlib.use('Agg')\nimport matplotlib.pyplot as plt\n"
        "df['sales'].plot()\nplt.savefig('sales.png')"
    )
    assert [file.path for file in executed(tools.execute_code(chart, output_filename="sales.png")).saved] == [
        "code-interpreter/sales.png"
    ]
    assert executed(tools.execute_code("df.to_csv('clean.csv', index=False)")).exit_code == 0
    read = tools.file_operations("read", ["clean.csv"])
    assert isinstance(read, FilesRead)
    assert [file.text for file in read.files] == ["sales\n10.0\n30.0\n"]


@pytest.fixture(scope="module")
def public_agentcore(
    agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[str, str, bytes]]:
    """Starts an emulator with local web servers. Returns its address, a PUBLIC interpreter and the certificate."""
    with https_server.serving(tmp_path_factory.mktemp("web")) as served:
        hosts = [f"--public-host={name}:443=127.0.0.1:{served.port}" for name in (https_server.API, https_server.INDEX)]
        with running_emulator(
            agentcore_runtime, tmp_path_factory.mktemp("agentcore"), *hosts, "--public-hosts-only"
        ) as emulator:
            control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
            created = control.create_code_interpreter(name="public", networkConfiguration={"networkMode": "PUBLIC"})
            yield emulator.address, created["codeInterpreterId"], served.certificate


@pytest.fixture
def public_tools(
    make: Make, public_agentcore: tuple[str, str, bytes], monkeypatch: pytest.MonkeyPatch
) -> CodeInterpreterTools:
    """Returns tools whose code can access the local web servers and trusts their certificate."""
    address, interpreter, certificate = public_agentcore
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", address)
    uploads = {"ca.pem": certificate, ".config/pip/pip.conf": PIP}
    clients = AwsClients()
    clients.warm_up()
    return make(interpreter_id=interpreter, uploads=uploads, clients=clients)


def test_data_from_the_web_pattern(public_tools: CodeInterpreterTools) -> None:
    executed(public_tools.execute_code("import os; os.environ['REQUESTS_CA_BUNDLE'] = 'ca.pem'"))
    result = executed(public_tools.execute_code(program("fetch_data_from_web")))
    assert result.exit_code == 0, result.stderr
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["name", "value"],
        ["0", "first", "1"],
        ["1", "second", "2"],
    ]


def test_a_package_can_be_installed_with_network_access(public_tools: CodeInterpreterTools) -> None:
    installed = executed(public_tools.call("execute_command", TOOLS["execute_command"].examples[0]))
    assert (installed.exit_code, installed.hint) == (0, None), installed.stderr
    assert executed(public_tools.execute_code("import yfinance; print(yfinance.__version__)")).stdout == "0.0.1"


def test_installing_a_package_without_network_access_returns_a_hint(tools: CodeInterpreterTools) -> None:
    result = executed(tools.call("execute_command", TOOLS["execute_command"].examples[0]))
    assert result.exit_code == 1
    assert result.hint is not None
    assert "network mode PUBLIC" in result.hint


def test_an_expired_session_is_replaced_with_a_notice(
    public_tools: CodeInterpreterTools, public_agentcore: tuple[str, str, bytes]
) -> None:
    assert executed(public_tools.execute_code("x = 1; print(x)")).notice is None
    EmulatorClock(public_agentcore[0]).advance(901)
    result = executed(public_tools.execute_code("print('x' in globals())"))
    assert (result.stdout, result.notice) == ("False", SESSION_REPLACED)
    listed = public_tools.file_operations("list")
    assert isinstance(listed, FilesListed)
    assert "ca.pem" in {entry.path for entry in listed.entries}
    assert listed.notice is None


# The session.


def test_the_session_starts_when_needed_and_stops_at_the_end(make: Make, product: Product) -> None:
    with make() as tools:
        assert isinstance(tools.workspace_list("code-interpreter/"), WorkspaceListing)
        failed(tools.execute_code(""))
        assert product.live_sessions() == []
        executed(tools.execute_code("1"))
        assert len(product.live_sessions()) == 1
    assert product.live_sessions() == []
    assert "closed" in failed(tools.execute_code("1")).message
    assert product.live_sessions() == []


def test_concurrent_calls_share_one_session(tools: CodeInterpreterTools, product: Product) -> None:
    results = list(ThreadPoolExecutor(4).map(tools.execute_code, [f"x{n} = 1; print({n})" for n in range(4)]))
    assert [executed(result).stdout for result in results] == ["0", "1", "2", "3"]
    assert len(product.live_sessions()) == 1
    assert executed(tools.execute_code("print(x0 + x1 + x2 + x3)")).stdout == "4"


def test_an_exception_stops_the_session(make: Make, product: Product) -> None:
    with pytest.raises(KeyError), make() as tools:
        executed(tools.execute_code("1"))
        raise KeyError
    assert product.live_sessions() == []


CALLS: dict[str, Callable[[CodeInterpreterTools], Any]] = {
    "execute_code": lambda tools: tools.execute_code("print('ran')"),
    "execute_command": lambda tools: tools.execute_command("echo ran"),
    "read": lambda tools: tools.file_operations("read", ["input.txt"]),
    "write": lambda tools: tools.file_operations("write", content=[{"path": "a.txt", "text": "a"}]),
    "list": lambda tools: tools.file_operations("list", ["."]),
    "remove": lambda tools: tools.file_operations("remove", ["input.txt"]),
    "push": lambda tools: tools.ci_push_to_workspace(["input.txt"]),
    "push all": lambda tools: tools.ci_push_to_workspace(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
def test_an_ended_session_is_replaced_once_with_a_notice(
    make: Make, product: Product, call: Callable[[CodeInterpreterTools], Any]
) -> None:
    tools = make(uploads={"input.txt": b"input"})
    executed(tools.execute_code("x = 1; open('new.txt', 'w').write('new')"))
    end_session(product)
    result = call(tools)
    assert (result.ok, result.notice) == (True, SESSION_REPLACED)
    if isinstance(result, FilesPushed):
        assert [file.source for file in result.saved] == ["input.txt"]
    after = executed(tools.execute_code("import os; print('x' in globals(), os.path.exists('new.txt'))"))
    assert (after.stdout, after.notice) == ("False False", None)


def test_failed_call_after_a_replaced_session_has_the_notice(
    tools: CodeInterpreterTools, product: Product, faults: FaultInjector
) -> None:
    executed(tools.execute_code("1"))
    end_session(product)
    faults.inject(Rule("error", "StartCodeInterpreterSession", code="AccessDeniedException"))
    result = failed(tools.execute_code("print(1)"))
    assert (result.error, result.notice) == ("AccessDenied", SESSION_REPLACED)
    faults.clear()
    assert executed(tools.execute_code("print(1)")).stdout == "1"


def test_code_that_may_have_run_is_not_repeated(
    tools: CodeInterpreterTools, product: Product, faults: FaultInjector
) -> None:
    executed(tools.execute_code("count = 0"))
    faults.inject(Rule("disconnect", "executeCode", at="after", times=1))
    result = failed(tools.execute_code("count += 1"))
    assert (result.error, result.retryable) == ("SessionLost", False)
    assert "may have run" in result.message
    assert executed(tools.execute_code("print(count)")).stdout == "1"
    faults.inject(Rule("session_dies", "executeCode", seconds=0.2, times=1))
    result = failed(tools.execute_code("while True: pass"))
    assert (result.error, result.notice) == ("SessionLost", None)
    assert product.live_sessions() == []
    assert executed(tools.execute_code("print(1)")).notice == SESSION_REPLACED


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> tuple[AwsClients, list[str]]:
    """Returns clients that record each start of a session. Allows session lifetimes of a few seconds."""
    monkeypatch.setattr("code_runner.agent_tools.tools.SESSION_TIMEOUT_SECONDS", (1, 900))
    clients, recorded = AwsClients(), list[str]()

    def record(**_: object) -> None:
        recorded.append("start")

    clients.sessions.meta.events.register("before-call.bedrock-agentcore.StartCodeInterpreterSession", record)
    return clients, recorded


def test_code_interrupted_by_the_end_of_the_lifetime_is_not_repeated(
    make: Make, starts: tuple[AwsClients, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("code_runner.session.program_seconds", Mock(return_value=60))  # after the lifetime
    clients, recorded = starts
    tools = make(clients=clients, session_timeout_seconds=3)
    result = failed(tools.execute_code("import time; time.sleep(60)"))
    assert (result.error, result.retryable, result.notice) == ("DeadlineExceeded", False, SESSION_REPLACED)
    assert recorded == ["start"]
    assert executed(tools.execute_code("print(1)")).notice is None
    assert recorded == ["start", "start"]


def test_code_and_commands_that_time_out_have_a_result_and_keep_the_session(make: Make) -> None:
    tools = make()
    arguments = {"code": "kept = 41\nprint('tick')\nwhile True: pass", "timeout_seconds": 1}
    result = executed(tools.call("execute_code", arguments))
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 124, "tick")
    assert result.to_json()["timedOut"] is True
    result = executed(tools.call("execute_command", {"command": "echo tick; sleep 60", "timeout_seconds": 1}))
    assert (result.timed_out, result.exit_code) == (True, 124)
    assert executed(tools.execute_code("print(kept + 1)")).stdout == "42"
    assert failed(tools.call("execute_command", {"command": "ls", "timeout_seconds": 0})).error == "InvalidRequest"


def test_code_after_the_end_of_the_lifetime_runs_in_a_new_session(
    make: Make, product: Product, starts: tuple[AwsClients, list[str]]
) -> None:
    clients, recorded = starts
    tools = make(clients=clients, session_timeout_seconds=3)
    executed(tools.execute_code("x = 1"))
    while product.live_sessions():
        time.sleep(0.2)
    time.sleep(1)  # until the latest possible end of the lifetime by the clock of the tools
    result = executed(tools.execute_code("print('x' in globals())"))
    assert (result.stdout, result.notice, recorded) == ("False", SESSION_REPLACED, ["start", "start"])


# Uploads.


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as packed:
        packed.writestr(
            zipfile.ZipInfo("inside.csv"), "a,b\n1,2\n"
        )  # a fixed timestamp, so that the bytes are always the same
    return data.getvalue()


def test_uploads_are_written_before_the_first_call(make: Make, product: Product) -> None:
    folder = f"uploads/{uuid.uuid4()}/"
    s3 = boto3.client("s3")
    for name, data in {"in.zip": archive(), "sub/é.txt": "ünï".encode(), "empty.txt": b""}.items():
        s3.put_object(Bucket=product.deployment.bucket, Key=f"{folder}{name}", Body=data)
    tools = make(uploads={"p.png": PIXEL}, uploads_uri=f"s3://{product.deployment.bucket}/{folder}")
    read = tools.file_operations("read", ["in.zip", "sub/é.txt", "p.png", "empty.txt"])
    assert isinstance(read, FilesRead)
    contents = [file.base64 if file.text is None else file.text for file in read.files]
    assert contents == [archive(), "ünï", PIXEL, ""]
    unpack = "import zipfile; print(zipfile.ZipFile('in.zip').read('inside.csv').decode())"
    assert executed(tools.execute_code(unpack)).stdout == "a,b\n1,2"


@pytest.mark.parametrize("path", ["/a", "../a", "a/../b", "", "log/x"])
def test_an_invalid_upload_path_is_rejected_before_any_request(path: str) -> None:
    with pytest.raises(InvalidRequest, match="allowed: "):
        CodeInterpreterTools(MANAGED_INTERPRETER, bucket="b", uploads={path: b""})


def test_missing_uploads_leave_no_running_session(make: Make, product: Product) -> None:
    tools = make(uploads_uri="s3://a-bucket-that-does-not-exist/folder/")
    assert failed(tools.execute_code("1")).error == "StorageError"
    assert product.live_sessions() == []


def test_uploads_that_cannot_be_written_leave_no_running_session(
    make: Make, product: Product, faults: FaultInjector
) -> None:
    faults.inject(Rule("error", "writeFiles", code="AccessDeniedException"))
    tools = make(uploads={"a.txt": b"a"})
    assert failed(tools.execute_code("1")).error == "AccessDenied"
    assert product.live_sessions() == []


# Saving files.


def test_a_missing_output_file_is_reported_in_the_result(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code("print('Done')", output_filename="chart.png"))
    assert (result.stdout, result.exit_code, result.saved) == ("Done", 0, ())
    (missing,) = result.not_saved
    assert missing.path == "chart.png"
    assert "no such file" in missing.reason


def test_the_latest_file_replaces_earlier_versions_which_are_kept(
    tools: CodeInterpreterTools, product: Product
) -> None:
    versions: list[str | None] = []
    for number in (1, 2):
        result = executed(tools.execute_code(f"open('n.txt', 'w').write('{number}')", output_filename="n.txt"))
        versions.append(result.saved[0].version_id)
    latest = tools.workspace_read("code-interpreter/n.txt")
    assert isinstance(latest, WorkspaceFile)
    assert latest.text == "2"
    s3 = boto3.client("s3")
    listing = s3.list_object_versions(Bucket=product.deployment.bucket, Prefix="agents/")
    keys = {version.get("VersionId"): version.get("Key", "") for version in listing.get("Versions", [])}
    assert len(set(versions)) == 2
    older = s3.get_object(Bucket=product.deployment.bucket, Key=keys[versions[0]], VersionId=versions[0] or "")
    assert older["Body"].read() == b"1"
    assert keys[versions[0]].endswith("/code-interpreter/n.txt")


def test_binary_content_and_special_names_are_preserved(tools: CodeInterpreterTools) -> None:
    content = bytes(range(256)) * 40
    names = ["a b.bin", "[x]*.bin", "ünï.bin"]
    code = (
        f"for name in {names!r}:\n    with open(name, 'wb') as f: f.write(bytes(range(256)) * 40)\nopen('xx.bin','w')"
    )
    executed(tools.execute_code(code))
    pushed = tools.ci_push_to_workspace(names)
    assert isinstance(pushed, FilesPushed)
    assert pushed.not_saved == ()
    assert {file.source for file in pushed.saved} == set(names)
    assert {file.sha256 for file in pushed.saved} == {hashlib.sha256(content).hexdigest()}
    for file in pushed.saved:
        saved = tools.workspace_read(file.path)
        assert isinstance(saved, WorkspaceFile)
        assert saved.base64 == content


def test_a_path_can_begin_with_dot_slash(tools: CodeInterpreterTools) -> None:
    assert tools.file_operations("write", content=[{"path": "./sub/a.txt", "text": "a"}]).ok
    saved = executed(tools.execute_code("open('b.txt', 'w').write('b')", output_filename="./b.txt")).saved
    assert [file.source for file in saved] == ["b.txt"]
    pushed = tools.ci_push_to_workspace(["./sub/a.txt"])
    assert isinstance(pushed, FilesPushed)
    assert [file.path for file in pushed.saved] == ["code-interpreter/a.txt"]
    read = tools.file_operations("read", ["././b.txt"])
    assert isinstance(read, FilesRead)
    assert [(file.path, file.text) for file in read.files] == [("b.txt", "b")]
    for folder in ("./", "./sub", "sub/"):
        assert tools.file_operations("list", [folder]).ok
    assert failed(tools.file_operations("read", ["./../x"])).error == "InvalidRequest"


def test_a_large_file_is_complete_or_reported(tools: CodeInterpreterTools) -> None:
    code = "import hashlib, os\nopen('large.bin', 'wb').truncate(100_000_001)\nfor n in (12, 20):\n"
    code += "    data = os.urandom(n << 20); open(f'{n}.bin', 'wb').write(data)"
    printed = executed(tools.execute_code(f"{code}\n    print(hashlib.sha256(data).hexdigest())")).stdout.split()
    pushed = tools.ci_push_to_workspace()
    assert isinstance(pushed, FilesPushed)
    assert [(file.source, file.size, file.sha256) for file in pushed.saved] == [
        ("12.bin", 12 << 20, printed[0]),
        ("20.bin", 20 << 20, printed[1]),
    ]
    assert [file.path for file in pushed.not_saved] == ["large.bin"]
    assert "compress or split it" in pushed.not_saved[0].reason
    saved = tools.workspace_read("code-interpreter/20.bin")
    assert isinstance(saved, WorkspaceFile)
    assert saved.sha256 == printed[1]
    assert "exceeds the size limit of a response" in failed(tools.file_operations("read", ["20.bin"])).message


def test_push_without_paths_saves_the_files_of_the_root_folder_only(tools: CodeInterpreterTools) -> None:
    code = "import os\nos.mkdir('sub')\nfor n in ('a.txt', '.hidden', 'sub/b.txt', 'log/c.txt'): open(n, 'w').write(n)"
    assert executed(tools.execute_code(f"{code}\nos.symlink('a.txt', 'link')")).exit_code == 0
    pushed = tools.ci_push_to_workspace()
    assert isinstance(pushed, FilesPushed)
    assert {file.source for file in pushed.saved} == {"a.txt", ".hidden"}
    assert [file.path for file in pushed.not_saved] == ["link"]


def test_two_files_with_the_same_name_are_rejected_and_no_file_is_saved(tools: CodeInterpreterTools) -> None:
    executed(tools.execute_code("import os\nfor d in 'ab':\n    os.mkdir(d); open(f'{d}/x.csv', 'w').write(d)"))
    message = failed(tools.ci_push_to_workspace(["a/x.csv", "b/x.csv"])).message
    assert "paths[1] is 'b/x.csv', and paths[0] has the same file name" in message
    assert tools.workspace_list("code-interpreter/") == WorkspaceListing(files=())
    pushed = tools.ci_push_to_workspace(["b/x.csv"])
    assert isinstance(pushed, FilesPushed)
    assert [file.path for file in pushed.saved] == ["code-interpreter/x.csv"]


def test_an_error_of_s3_is_reported_for_the_file_and_the_result_is_returned(make: Make) -> None:
    tools = make(bucket="a-bucket-that-does-not-exist")
    result = executed(tools.execute_code("open('a.txt', 'w').write('a'); print('ran')", output_filename="a.txt"))
    assert (result.stdout, result.saved) == ("ran", ())
    assert "NoSuchBucket" in result.not_saved[0].reason


# Invalid input from a model.


def test_existing_files_are_read_if_others_are_missing(tools: CodeInterpreterTools) -> None:
    executed(tools.execute_code("open('a.txt', 'w').write('a')"))
    result = tools.file_operations("read", ["a.txt", "none.txt"])
    assert isinstance(result, FilesRead)
    assert [file.path for file in result.files] == ["a.txt"]
    assert [file.path for file in result.not_read] == ["none.txt"]
    assert "no readable file" in failed(tools.file_operations("read", ["none.txt"])).message


INVALID: list[tuple[str, dict[str, Any], str]] = [
    ("execute_code", {}, "code is missing"),
    ("execute_code", {"code": " "}, "code is a string of 1 characters; allowed"),
    ("execute_code", {"code": "1", "language": "r"}, "language is 'r'; allowed: python | javascript | typescript"),
    ("execute_code", {"code": "1", "output_filename": "/etc/passwd"}, "output_filename is '/etc/passwd'; allowed"),
    ("execute_code", {"code": "1", "timeout": 5}, "timeout is an unknown parameter of execute_code"),
    ("execute_command", {"command": ["ls"]}, "command is a list of 1; allowed"),
    ("file_operations", {"operation": "copy"}, "operation is 'copy'; allowed: read | write | list | remove"),
    (
        "file_operations",
        {"operation": "read"},
        "paths is missing or has no file; allowed: at least one file path for the operation read",
    ),
    (
        "file_operations",
        {"operation": "remove", "paths": ["."]},
        "paths is missing or has no file; allowed: at least one file path for the operation remove",
    ),
    ("file_operations", {"operation": "read", "paths": ["../x"]}, "paths[0] is '../x'; allowed"),
    (
        "file_operations",
        {"operation": "write", "paths": ["x"]},
        "paths is set or content is missing; allowed with write: content only",
    ),
    (
        "file_operations",
        {"operation": "list", "content": []},
        "content is set for the operation list; allowed: only with write",
    ),
    (
        "file_operations",
        {"operation": "write", "content": [{"path": "p.png", "blob": "iVBO"}]},
        "content[0].blob is an unknown field; allowed: path, text. The operation write accepts text only. "
        "Create binary files",
    ),
    (
        "file_operations",
        {"operation": "write", "content": [{"path": "p.png", "text": PIXEL}]},
        "Create binary files with execute_code",
    ),
    (
        "file_operations",
        {"operation": "write", "content": [{"path": "p.png", "text": PIXEL.decode("latin-1")}]},
        "content[0].text has a null character; allowed: text. The operation write accepts text only",
    ),
    (
        "file_operations",
        {"operation": "write", "content": [{"path": "p", "text": PIXEL.decode("utf-8", "surrogateescape")}]},
        "allowed: a string that can be encoded as UTF-8. The operation write accepts text only",
    ),
    ("ci_push_to_workspace", {"paths": []}, "Omit paths to save all files"),
    ("ci_push_to_workspace", {"paths": "a.txt"}, "paths is a string of 5 characters; allowed: a list"),
    ("workspace_read", {"path": "code-interpreter/../secret"}, "allowed: a relative path"),
    ("workspace_read", {"path": "secret"}, "allowed: code-interpreter/NAME"),
    ("workspace_read", {"path": "code-interpreter/a/b"}, "allowed: code-interpreter/NAME"),
    ("workspace_read", {"path": "code-interpreter/none"}, "which is not in the workspace; allowed: a saved file"),
    ("workspace_list", {"path": ""}, "path is empty"),
    ("workspace_list", {"path": "../"}, "allowed: 'code-interpreter/'"),
    ("delete_everything", {}, "tool is 'delete_everything'; allowed: execute_code"),
]


@pytest.mark.parametrize(("tool", "tool_input", "message"), INVALID)
def test_invalid_input_is_reported_and_starts_no_session(
    tools: CodeInterpreterTools, product: Product, tool: str, tool_input: dict[str, Any], message: str
) -> None:
    result = failed(tools.call(tool, tool_input))
    assert result.error == "InvalidRequest"
    assert message in result.message
    assert product.live_sessions() == []


def test_objects_outside_the_workspace_are_not_listed_or_read(make: Make, product: Product) -> None:
    prefix = f"agents/{uuid.uuid4()}"
    s3 = boto3.client("s3")
    for name in ("code-interpreter/in.txt", "code-interpreter-2/out.txt", "out.txt"):
        s3.put_object(Bucket=product.deployment.bucket, Key=f"{prefix}/{name}", Body=b"x")
    tools = make(prefix=prefix)
    listing = tools.workspace_list("code-interpreter")
    assert isinstance(listing, WorkspaceListing)
    assert [file.path for file in listing.files] == ["code-interpreter/in.txt"]
    assert isinstance(tools.workspace_read("code-interpreter/in.txt"), WorkspaceFile)
    for path in ("out.txt", "code-interpreter-2/out.txt", "code-interpreter/../out.txt"):
        failed(tools.workspace_read(path))


# Output for a model.


def test_a_failing_program_is_a_result_without_a_traceback_of_the_product(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code("1 / 0"))
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert "code_runner" not in result.stderr


def test_long_output_is_truncated_in_json_and_complete_in_python(tools: CodeInterpreterTools) -> None:
    result = executed(tools.execute_code("print('x' * 100_000)"))
    assert result.stdout == "x" * 100_000
    stdout = str(result.to_json()["stdout"])
    assert "60,000 characters omitted" in stdout
    assert len(stdout) < MAX_SHOWN_CHARACTERS + 200


def test_results_are_json(tools: CodeInterpreterTools) -> None:
    result = executed(
        tools.execute_code("open('p.png', 'wb').write(b'\\x89PNG\\0'); print(1)", output_filename="p.png")
    )
    parsed = json.loads(json.dumps(result.to_json()))
    assert (parsed["stdout"], parsed["exitCode"], parsed["saved"][0]["path"]) == ("1", 0, "code-interpreter/p.png")
    read = json.loads(json.dumps(tools.workspace_read("code-interpreter/p.png").to_json()))
    assert base64.b64decode(read["base64"]) == b"\x89PNG\0"
    assert read["contentType"] == "image/png"


def test_the_descriptions_are_valid_for_converse() -> None:
    shape = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape
    request = {"modelId": "any", "toolConfig": {"tools": list(TOOL_SPECS)}}
    assert shape is not None
    assert ParamValidator().validate(request, shape).generate_report() == ""
    for spec in (spec["toolSpec"] for spec in TOOL_SPECS):
        schema = spec["inputSchema"]["json"]
        assert schema.keys() == {"type", "properties", "required"}
        assert all(json.dumps(example) in spec["description"] for example in TOOLS[spec["name"]].examples)
        assert "$ref" not in json.dumps(schema)


class ScriptedModel:
    """A model that returns prepared messages. Requests must be valid for Converse."""

    def __init__(self, *messages: list[dict[str, Any]]) -> None:
        self.messages = list(messages)
        self.results: list[dict[str, Any]] = []

    def converse(self, **request: Any) -> dict[str, Any]:
        shape = botocore.session.get_session().get_service_model("bedrock-runtime").operation_model("Converse")
        assert shape.input_shape is not None
        assert ParamValidator().validate(request, shape.input_shape).generate_report() == ""
        self.results += [block["toolResult"] for block in request["messages"][-1]["content"] if "toolResult" in block]
        return {"output": {"message": {"role": "assistant", "content": self.messages.pop(0)}}}


def test_a_model_uses_the_tools_through_converse(tools: CodeInterpreterTools) -> None:
    def use(identifier: str, name: str, **tool_input: object) -> dict[str, Any]:
        return {"toolUse": {"toolUseId": identifier, "name": name, "input": tool_input}}

    save = "open('a.txt', 'w').write('a'); print(6 * 7)"
    model = ScriptedModel(
        [use("one", "execute_code", code=save, output_filename="a.txt")],
        [use("two", "workspace_read", path="code-interpreter/a.txt"), use("three", "workspace_read", path="../b")],
        [{"text": "It is 42."}],
    )
    example = runpy.run_path(str(EXAMPLES / "converse.py"))
    assert example["ask"](model, "any", tools, "What is six times seven?") == "It is 42."
    results = {result["toolUseId"]: (result["status"], result["content"][0]["json"]) for result in model.results}
    assert [status for status, _ in results.values()] == ["success", "success", "error"]
    assert results["one"][1]["stdout"].startswith("42")
    assert results["two"][1]["text"] == "a"
    assert results["three"][1]["error"] == "InvalidRequest"


def test_the_tools_have_the_documented_parameters_and_defaults() -> None:
    signatures = {name: str(inspect.signature(getattr(CodeInterpreterTools, name))) for name in TOOLS}
    parameters = {name: signature.partition(" ->")[0] for name, signature in signatures.items()}
    assert parameters == {
        "execute_code": "(self, code: 'str', language: 'str' = 'python', output_filename: 'str' = '', "
        "timeout_seconds: 'int | None' = None)",
        "execute_command": "(self, command: 'str', timeout_seconds: 'int | None' = None)",
        "file_operations": "(self, operation: 'str', paths: 'list[str] | None' = None, "
        "content: 'list[dict[str, str]] | None' = None)",
        "ci_push_to_workspace": "(self, paths: 'list[str] | None' = None)",
        "workspace_read": "(self, path: 'str')",
        "workspace_list": "(self, path: 'str')",
    }
    for tool in TOOLS.values():
        method = inspect.signature(getattr(CodeInterpreterTools, tool.name))
        assert [parameter.name for parameter in tool.parameters] == list(method.parameters)[1:]


def test_the_session_function_does_not_import_the_tools() -> None:
    statement = "import code_runner.operations, sys; print([m for m in sys.modules if 'agent_tools' in m])"
    assert subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True).stdout == "[]\n"
