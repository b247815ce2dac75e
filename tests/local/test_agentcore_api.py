"""The emulated AgentCore from a client's view: resources, sessions, limits, start and shutdown of the server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.emulator import Emulator
from local_agentcore.errors import ValidationError
from local_agentcore.process import client, running_emulator
from local_agentcore.settings import Settings
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.agentcore_sessions import Session, code_of, error_of, message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SANDBOX: dict[str, Any] = {"networkMode": "SANDBOX"}
BAR_CHART = """import matplotlib.pyplot as plt
plt.bar(["Q1", "Q2", "Q3", "Q4"], [12000, 8500, 15000, 9200])
plt.title("Claims by Quarter")
plt.ylabel("Amount ($)")
plt.savefig("chart.png")
print("Chart saved")"""


def new_name() -> str:
    """Returns a unique interpreter name."""
    return f"test_{uuid.uuid4().hex[:12]}"


@pytest.fixture
def sessions(agentcore: Any) -> Generator[Callable[..., Session]]:
    """Returns a function that starts sessions, which are stopped after the test."""
    started: list[Session] = []

    def start(*arguments: Any, **parameters: Any) -> Session:
        started.append(Session(agentcore, *arguments, **parameters))
        return started[-1]

    yield start
    for session in started:
        session.stop()


@pytest.fixture
def interpreter(agentcore_control: Any) -> Generator[str]:
    """Returns the id of a new custom interpreter."""
    response = agentcore_control.create_code_interpreter(name=new_name(), networkConfiguration=SANDBOX)
    identifier: str = response["codeInterpreterId"]
    yield identifier
    try:
        agentcore_control.delete_code_interpreter(codeInterpreterId=identifier)
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise


# Interpreters


def test_create_get_list_and_delete_an_interpreter(agentcore_control: Any) -> None:
    name = new_name()
    role = "arn:aws:iam::123456789012:role/execution"
    created = agentcore_control.create_code_interpreter(
        name=name, description="For a test", executionRoleArn=role, networkConfiguration={"networkMode": "PUBLIC"}
    )
    identifier = created["codeInterpreterId"]
    assert re.fullmatch(f"{name}-[a-zA-Z0-9]{{10}}", identifier)
    arn = f"arn:aws:bedrock-agentcore:us-east-1:123456789012:code-interpreter-custom/{identifier}"
    assert created["codeInterpreterArn"] == arn
    described = agentcore_control.get_code_interpreter(codeInterpreterId=identifier)
    assert described["networkConfiguration"] == {"networkMode": "PUBLIC"}
    assert (described["name"], described["status"], described["executionRoleArn"]) == (name, "READY", role)
    listed = agentcore_control.list_code_interpreters(type="CUSTOM")["codeInterpreterSummaries"]
    assert identifier in {summary["codeInterpreterId"] for summary in listed}
    assert agentcore_control.delete_code_interpreter(codeInterpreterId=identifier)["status"] == "DELETING"
    code, _ = error_of(lambda: agentcore_control.get_code_interpreter(codeInterpreterId=identifier))
    assert code == "ResourceNotFoundException"


def test_the_managed_interpreter_exists_and_cannot_be_deleted(agentcore_control: Any) -> None:
    (summary,) = agentcore_control.list_code_interpreters(type="SYSTEM")["codeInterpreterSummaries"]
    assert (
        summary["codeInterpreterArn"]
        == f"arn:aws:bedrock-agentcore:us-east-1:aws:code-interpreter/{MANAGED_INTERPRETER}"
    )
    code, _ = error_of(lambda: agentcore_control.delete_code_interpreter(codeInterpreterId=MANAGED_INTERPRETER))
    assert code == "ValidationException"


def test_creating_a_second_interpreter_with_the_same_name_is_a_conflict(
    agentcore_control: Any, interpreter: str
) -> None:
    name = interpreter.rpartition("-")[0]
    code, message = error_of(lambda: agentcore_control.create_code_interpreter(name=name, networkConfiguration=SANDBOX))
    assert code == "ConflictException"
    assert name in message
    agentcore_control.delete_code_interpreter(codeInterpreterId=interpreter)
    recreated = agentcore_control.create_code_interpreter(name=name, networkConfiguration=SANDBOX)
    agentcore_control.delete_code_interpreter(codeInterpreterId=recreated["codeInterpreterId"])


def test_tags_are_stored_and_changed_by_arn(agentcore_control: Any) -> None:
    created = agentcore_control.create_code_interpreter(
        name=new_name(), networkConfiguration=SANDBOX, tags={"tenant": "demo", "team": "a"}
    )
    arn = created["codeInterpreterArn"]
    agentcore_control.tag_resource(resourceArn=arn, tags={"team": "b"})
    agentcore_control.untag_resource(resourceArn=arn, tagKeys=["tenant", "none"])
    assert agentcore_control.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "b"}
    agentcore_control.delete_code_interpreter(codeInterpreterId=created["codeInterpreterId"])


def test_creating_an_interpreter_is_idempotent_by_client_token(agentcore_control: Any) -> None:
    request: dict[str, Any] = {"name": new_name(), "networkConfiguration": SANDBOX, "clientToken": str(uuid.uuid4())}
    first = agentcore_control.create_code_interpreter(**request)
    assert agentcore_control.create_code_interpreter(**request)["codeInterpreterId"] == first["codeInterpreterId"]
    code, message = error_of(lambda: agentcore_control.create_code_interpreter(**(request | {"name": new_name()})))
    assert (code, "different parameters" in message) == ("ValidationException", True)
    agentcore_control.delete_code_interpreter(codeInterpreterId=first["codeInterpreterId"])


def test_an_invalid_request_lists_every_invalid_member(agentcore_endpoint: str) -> None:
    body = {"name": "9 lives", "networkConfiguration": {"networkMode": "SPACE"}, "description": ""}
    request = urllib.request.Request(  # noqa: S310  loopback
        f"{agentcore_endpoint}/code-interpreters", json.dumps(body).encode(), method="PUT"
    )
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)  # noqa: S310  loopback
    response = json.loads(raised.value.read())
    assert raised.value.code == 400
    assert raised.value.headers["x-amzn-errortype"] == "ValidationException"
    assert response["reason"] == "FieldValidationFailed"
    names = {field["name"] for field in response["fieldList"]}
    assert names == {"name", "networkConfiguration.networkMode", "description"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"not json", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'{"name": 5, "networkConfiguration": {"networkMode": "SANDBOX"}}', "ValidationException"),
        (b"{}", "ValidationException"),
    ],
)
def test_an_invalid_body_is_rejected(agentcore_endpoint: str, body: bytes, code: str) -> None:
    request = urllib.request.Request(f"{agentcore_endpoint}/code-interpreters", body, method="PUT")  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)  # noqa: S310  loopback
    assert (raised.value.code, raised.value.headers["x-amzn-errortype"]) == (400, code)


def test_deleting_an_interpreter_with_live_sessions_is_a_conflict(
    agentcore_control: Any, interpreter: str, sessions: Callable[..., Session]
) -> None:
    session = sessions(interpreter)
    code, _ = error_of(lambda: agentcore_control.delete_code_interpreter(codeInterpreterId=interpreter))
    assert code == "ConflictException"
    session.stop()
    agentcore_control.delete_code_interpreter(codeInterpreterId=interpreter)


# Sessions


def test_a_session_keeps_variables_files_and_its_cell_count(sessions: Callable[..., Session]) -> None:
    session = sessions()
    session.python("x = 41\nopen('note.txt', 'w').write('kept')")
    assert session.python("print(x + 1, open('note.txt').read())")["stdout"] == "42 kept"
    assert session.invoke("executeCommand", command="cat note.txt")["structuredContent"]["stdout"] == "kept"
    assert "Cell In[3], line 1" in session.python("y")["stderr"]


def test_clear_context_removes_variables_and_keeps_files(sessions: Callable[..., Session]) -> None:
    session = sessions()
    session.python("x = 1\nopen('note.txt', 'w').write('kept')")
    response = session.python("print(open('note.txt').read(), 'x' in globals())", clearContext=True)
    assert response["stdout"] == "kept False"


def test_sessions_share_neither_variables_nor_files(sessions: Callable[..., Session]) -> None:
    first, second = sessions(), sessions()
    first.python("x = 1\nopen('secret.txt', 'w').write('secret')")
    assert first.python("print(x)")["stdout"] == "1"
    assert "NameError" in second.python("x")["stderr"]
    assert "secret.txt" not in second.python("import os; print(os.listdir('.'))")["stdout"]


def test_starting_a_session_is_idempotent_by_client_token(
    agentcore: Any, interpreter: str, sessions: Callable[..., Session]
) -> None:
    token = str(uuid.uuid4())
    first, second = sessions(interpreter, clientToken=token), sessions(interpreter, clientToken=token)
    assert first.identifier == second.identifier
    listed = agentcore.list_code_interpreter_sessions(codeInterpreterIdentifier=interpreter)["items"]
    assert [item["sessionId"] for item in listed] == [first.identifier]
    first.stop()


def test_sessions_are_listed_by_status_and_in_pages(
    agentcore: Any, interpreter: str, sessions: Callable[..., Session]
) -> None:
    live, stopped, other = (sessions(interpreter, name=name) for name in ("live", "stopped", "other"))
    stopped.stop()

    def listed(**parameters: Any) -> dict[str, Any]:
        response: dict[str, Any] = agentcore.list_code_interpreter_sessions(
            codeInterpreterIdentifier=interpreter, **parameters
        )
        return response

    assert [item["sessionId"] for item in listed(status="TERMINATED")["items"]] == [stopped.identifier]
    page = listed(maxResults=2)
    rest = listed(maxResults=2, nextToken=page["nextToken"])
    order = [item["sessionId"] for item in page["items"] + rest["items"]]
    assert order == [other.identifier, stopped.identifier, live.identifier]
    assert "nextToken" not in rest
    described = agentcore.get_code_interpreter_session(
        codeInterpreterIdentifier=interpreter, sessionId=stopped.identifier
    )
    assert (described["status"], described["name"], described["sessionTimeoutSeconds"]) == (
        "TERMINATED",
        "stopped",
        900,
    )
    for session in (live, other):
        session.stop()


def test_unknown_interpreters_and_sessions_are_not_found(
    agentcore: Any, interpreter: str, sessions: Callable[..., Session]
) -> None:
    session = sessions()
    attempts: list[Callable[[], object]] = [
        lambda: agentcore.start_code_interpreter_session(codeInterpreterIdentifier="none-0123456789"),
        lambda: agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId="01K1PPWYE373Z99SS2A8ABW0TX", name="listFiles"
        ),
        lambda: agentcore.stop_code_interpreter_session(
            codeInterpreterIdentifier=interpreter, sessionId=session.identifier
        ),
    ]
    assert [error_of(attempt)[0] for attempt in attempts] == ["ResourceNotFoundException"] * 3


def test_activity_does_not_extend_a_session_lifetime(sessions: Callable[..., Session]) -> None:
    session = sessions(sessionTimeoutSeconds=1)
    assert session.python("print('alive')")["stdout"] == "alive"
    while True:
        try:
            session.python("pass")
        except ClientError as error:
            assert code_of(error) == "ValidationException"
            assert message_of(error) == f"Code interpreter session {session.identifier} is not active"
            break


def test_a_session_expires_after_eight_hours_of_a_test_clock(agentcore_runtime: Path, tmp_path: Path) -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]

    async def live() -> None:
        emulator = Emulator(Settings(runtime=agentcore_runtime, state=tmp_path, pool=0), clock=lambda: now[0])
        await emulator.open()
        try:
            started = await emulator.call(
                "StartCodeInterpreterSession",
                {"codeInterpreterIdentifier": MANAGED_INTERPRETER, "sessionTimeoutSeconds": 28800},
            )
            call = {
                "codeInterpreterIdentifier": MANAGED_INTERPRETER,
                "sessionId": started["sessionId"],
                "name": "executeCode",
                "arguments": {"code": "print(1)", "language": "python"},
            }
            now[0] += timedelta(hours=7, minutes=59)
            response = await emulator.call("InvokeCodeInterpreter", call)
            assert response["stream"][0]["result"]["structuredContent"]["stdout"] == "1"
            now[0] += timedelta(minutes=1)
            with pytest.raises(ValidationError, match="is not active"):
                await emulator.call("InvokeCodeInterpreter", call)
            assert (await emulator.health())["sessions"] == 0
        finally:
            await emulator.close()

    asyncio.run(live())
    assert list(tmp_path.iterdir()) == []


# Running code


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import os; os._exit(0)", "exit code 0"),
        ("import ctypes; ctypes.string_at(0)", "signal 11, SIGSEGV"),
    ],
)
def test_a_kernel_crash_fails_the_run_but_not_the_session(
    sessions: Callable[..., Session], code: str, expected: str
) -> None:
    session = sessions()
    session.python("x = 1\nopen('kept.txt', 'w').write('kept')\nprint('before')")
    died = session.python(code)
    assert died["exitCode"] == 1
    assert expected in died["stderr"]
    after = session.python("print(open('kept.txt').read(), 'x' in globals())")
    assert (after["stdout"], after["exitCode"]) == ("kept False", 0)


def test_a_forking_program_returns_one_result(sessions: Callable[..., Session]) -> None:
    session = sessions()
    session.python("import os\nchild = os.fork()\nif child: os.waitpid(child, 0)")
    assert session.python("print('one')")["stdout"] == "one"


@pytest.mark.parametrize(
    "change",
    [
        "class Tee:\n    def __init__(self, stream): self.write = stream.write\n"
        "sys.stdout, sys.stderr = Tee(sys.stdout), Tee(sys.stderr)",
        "import io; sys.stdout, sys.stderr = sys.__stdout__, io.StringIO()",
    ],
    ids=["without flush", "others"],
)
def test_replacing_the_standard_streams_does_not_break_the_kernel(
    sessions: Callable[..., Session], change: str
) -> None:
    session = sessions()
    assert session.python(f"import sys\nx = 1\nprint('before', end='')\n{change}")["stdout"] == "before"
    failed = session.python("print('printed')\nx / 0")
    assert failed["stdout"] == "printed"
    assert failed["stderr"].endswith("ZeroDivisionError: division by zero")


def test_concurrent_calls_in_one_session_are_serialized(sessions: Callable[..., Session]) -> None:
    session, responses = sessions(), list[dict[str, Any]]()
    cell = "import time\nbegun = globals().get('begun', 0) + 1\ntime.sleep(0.05)\nprint(begun)"
    threads = [threading.Thread(target=lambda: responses.append(session.python(cell))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(response["stdout"] for response in responses) == ["1", "2", "3", "4"]


def test_top_level_await_and_last_values_are_supported(sessions: Callable[..., Session]) -> None:
    response = sessions().python("import asyncio\nawait asyncio.sleep(0)\nprint('printed')\n6 * 7")
    assert response["stdout"] == "printed\n42"


def test_commands_find_python_and_pip_but_no_host_path(sessions: Callable[..., Session]) -> None:
    session = sessions()
    for command, expected in (
        ("python --version", "Python 3."),
        ("python3 -c 'import numpy'", ""),
        ("pip list", "numpy"),
    ):
        content = session.invoke("executeCommand", command=command)["structuredContent"]
        assert content["exitCode"] == 0, content
        assert expected in content["stdout"]
    shown = session.python("import sys, os; print(sys.executable, sys.base_prefix, sys.path, os.getcwd())")["stdout"]
    assert "/opt/amazon/genesis1p-tools/var" in shown
    assert os.path.expanduser("~") not in shown  # noqa: PTH111  as a string
    assert "local/runtimes" not in shown


def test_stderr_of_a_successful_command_is_part_of_stdout(sessions: Callable[..., Session]) -> None:
    content = sessions().invoke("executeCommand", command="echo out; echo err >&2")["structuredContent"]
    assert (content["stdout"], content["stderr"]) == ("out\r\nerr\r\n", "")


def test_saving_a_chart_creates_exactly_one_file(sessions: Callable[..., Session]) -> None:
    session = sessions()
    before = {block["name"] for block in session.invoke("listFiles", path="")["content"]}
    assert session.python(BAR_CHART)["stdout"] == "Chart saved"
    after = {block["name"] for block in session.invoke("listFiles", path="")["content"]}
    assert after - before == {"chart.png"}
    (block,) = session.invoke("readFiles", paths=["chart.png"])["content"]
    assert block["resource"]["mimeType"] == "image/png"
    assert block["resource"]["blob"].startswith(b"\x89PNG")


def test_write_files_creates_folders_and_overwrites_files(sessions: Callable[..., Session]) -> None:
    session = sessions()
    session.invoke("writeFiles", content=[{"path": "a/b/c.txt", "text": "long text"}])
    session.invoke("writeFiles", content=[{"path": "a/b/c.txt", "text": "short"}])
    (block,) = session.invoke("readFiles", paths=["a/b/c.txt"])["content"]
    assert block["resource"] == {"uri": "file:///a/b/c.txt", "mimeType": "text/plain", "text": "short"}
    (entry,) = session.invoke("listFiles", directoryPath="a/b")["content"]
    assert entry["uri"] == "file:///a/b/c.txt"


def test_a_missing_file_is_a_tool_error(sessions: Callable[..., Session]) -> None:
    session = sessions()
    for name in ("readFiles", "removeFiles"):
        result = session.invoke(name, paths=["none.txt"])
        assert result["isError"]
        assert "none.txt" in result["content"][0]["text"]


@pytest.mark.parametrize("path", ["a" * 256, "a/" * 2048 + "a", "a" * 100_000, "\u00e4" * 20_000])
def test_a_too_long_path_is_a_tool_error_and_the_session_continues(sessions: Callable[..., Session], path: str) -> None:
    session = sessions()
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("readFiles", {"paths": [path]}),
        ("removeFiles", {"paths": [path]}),
        ("listFiles", {"directoryPath": path}),
        ("writeFiles", {"content": [{"path": path, "text": ""}]}),
    ]
    for name, arguments in attempts:
        result = session.invoke(name, **arguments)
        assert (result["isError"], "File name too long" in result["content"][0]["text"]) == (True, True)
    assert session.python("print('alive')")["stdout"] == "alive"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("getTask", {"taskId": "a" * 100_000}, "exceed what a sandbox accepts in one call"),
        ("executeCode", {"language": "python"}, "requires the argument 'code'"),
        ("writeFiles", {"content": [{"path": "x"}]}, "either text or blob"),
    ],
)
def test_invalid_tool_arguments_are_rejected_with_a_message(
    sessions: Callable[..., Session], name: str, arguments: dict[str, Any], expected: str
) -> None:
    session = sessions()
    code, message = error_of(lambda: session.invoke(name, **arguments))
    assert code == "ValidationException"
    assert expected in message
    assert session.python("print('alive')")["stdout"] == "alive"


# Limits and the server


def test_exceeding_a_call_limit_is_reported(agentcore_runtime: Path, tmp_path: Path) -> None:
    options = ("--call-seconds", "1", "--output-mib", "1", "--max-sessions", "1", "--pool", "0")
    with running_emulator(agentcore_runtime, tmp_path, *options) as emulator:
        session = Session(client("bedrock-agentcore", emulator.address, "us-east-1"))
        session.python("x = 1")
        slow = session.python("import time; time.sleep(100)")
        assert slow["exitCode"] == 1
        assert "KeyboardInterrupt" in slow["stderr"]
        assert "time limit of 1 s" in slow["stderr"].splitlines()[-1]
        stubborn = session.python("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass")
        assert "signal 9, SIGKILL" in stubborn["stderr"]
        command = session.invoke("executeCommand", command="trap '' INT; sleep 100; sleep 100")["structuredContent"]
        assert "time limit of 1 s" in command["stderr"]
        loud = session.python("print('a' * 3_000_000)")
        assert (loud["exitCode"], len(loud["stdout"])) == (0, 1 << 20)
        assert "output limit of 1 MiB" in loud["stderr"]
        code, message = error_of(lambda: Session(session.client))
        assert (code, "maxCodeInterpreterSessions limit exceeded" in message) == ("ServiceQuotaExceededException", True)


def test_health_reports_the_sandbox_and_sessions(agentcore_endpoint: str, sessions: Callable[..., Session]) -> None:
    def health() -> dict[str, Any]:
        with urllib.request.urlopen(f"{agentcore_endpoint}/_local/health") as response:  # noqa: S310  loopback
            report: dict[str, Any] = json.load(response)
            return report

    before = health()
    assert before["ready"] is True
    assert before["sandbox"] == {"available": True, "reason": None, "fix": None}
    assert any("microVM" in sentence for sentence in before["differs"])
    sessions()
    assert health()["sessions"] == before["sessions"] + 1


def test_without_bubblewrap_no_code_runs_but_the_control_plane_works(agentcore_runtime: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": "/nonexistent"}
    with running_emulator(agentcore_runtime, tmp_path, environment=environment) as emulator:
        assert not emulator.runs_code
        control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
        created = control.create_code_interpreter(name=new_name(), networkConfiguration=SANDBOX)
        data = client("bedrock-agentcore", emulator.address, "us-east-1")
        _, message = error_of(
            lambda: data.start_code_interpreter_session(codeInterpreterIdentifier=created["codeInterpreterId"])
        )
        assert "bubblewrap is not installed" in message
        assert "sudo apt-get install bubblewrap" in message


def test_a_missing_runtime_is_reported(tmp_path: Path) -> None:
    with running_emulator(tmp_path / "none", tmp_path) as emulator:
        assert not emulator.runs_code
        assert str(tmp_path / "none") in emulator.state


def test_a_port_in_use_is_reported_in_one_line(agentcore_runtime: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        command = [sys.executable, "-m", "local_agentcore", "serve", "--port", port]
        options = ["--runtime", str(agentcore_runtime), "--state", str(tmp_path)]
        ended = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "microVM" in ended.stdout.splitlines()[0]
    assert ended.stderr.splitlines() == [
        f"Port {port} of 127.0.0.1 is in use: stop the program that uses it, or choose another port with --port."
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_server_shuts_down_cleanly_during_a_call(
    agentcore_runtime: Path, tmp_path: Path, number: signal.Signals
) -> None:
    outcome: list[str] = []
    with running_emulator(agentcore_runtime, tmp_path) as emulator:
        session = Session(client("bedrock-agentcore", emulator.address, "us-east-1"))
        code = "open('begun', 'w')\nwhile True: pass"
        running = threading.Thread(target=lambda: outcome.append(error_of(lambda: session.python(code))[0]))
        running.start()
        while not any(block["name"] == "begun" for block in session.invoke("listFiles", path="")["content"]):
            time.sleep(0.05)  # stays below the throttling rate
        emulator.process.send_signal(number)
        assert emulator.process.wait(30) == 0
        running.join()
    assert outcome == ["ConflictException"]
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_the_control_plane_accepts_minimal_requests(agentcore_endpoint: str) -> None:
    """A client with an older botocore sends fewer members. This test sends the minimum as plain HTTP."""
    body = json.dumps({"name": new_name(), "networkConfiguration": SANDBOX}).encode()
    create = urllib.request.Request(f"{agentcore_endpoint}/code-interpreters", body, method="PUT")  # noqa: S310
    with urllib.request.urlopen(create) as response:  # noqa: S310  loopback
        assert response.status == 202
        identifier = json.load(response)["codeInterpreterId"]
    delete = urllib.request.Request(f"{agentcore_endpoint}/code-interpreters/{identifier}", method="DELETE")  # noqa: S310
    with urllib.request.urlopen(delete) as response:  # noqa: S310  loopback
        assert response.status == 202


def test_the_readme_example_runs(agentcore_endpoint: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "local" / "agentcore" / "README.md").read_text()
    (example,) = re.findall(r"```python\n(import boto3.*?)```", text, re.DOTALL)
    ended = subprocess.run(
        [sys.executable, "-c", example.replace("http://127.0.0.1:5200", agentcore_endpoint)],
        env={**os.environ, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("42\n", "")
