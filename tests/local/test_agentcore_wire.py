"""The emulator's responses match the service's: each file in tests/wire is a published response.

The `fidelity` of a file states how exact it is. Verbatim responses are compared completely, except for execution times
and for what differs between machines. `NOT_COMPARED` lists the files without a test, with the reason.
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.eventstream import InvalidPayloadLength
from botocore.exceptions import ClientError, EventStreamError, ParamValidationError

from local_agentcore.faults import Rule
from sandpiper_contract.aws import MANAGED_INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.admin_client import EmulatorClock, FaultInjector

    Invoke = Callable[..., dict[str, Any]]

CASES = Path(__file__).resolve().parents[1] / "wire"
COLOR = re.compile("\x1b\\[[0-9;]*m")

NOT_COMPARED = {
    "environment_commands_2025_08": "the software installed on the service's machines",
    "execute_command_pip_install_public_ok": "the packages come from PyPI, in the versions of that day",
}
"""Published responses that no test reads, each with the reason."""

MAX_SESSION_SECONDS = 28_800


def case(name: str) -> dict[str, Any]:
    """Returns a published response."""
    loaded: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return loaded


def test_each_published_response_is_compared_or_listed_as_not_compared() -> None:
    source = Path(__file__).read_text()
    named = {path.stem: source.count(f'"{path.stem}"') for path in CASES.iterdir()}
    assert [name for name, times in named.items() if times == 0] == []
    assert sorted(NOT_COMPARED) == [
        name for name in sorted(NOT_COMPARED) if named.get(name) == 1
    ]  # only in NOT_COMPARED


@contextmanager
def started_session(agentcore: Any, seconds: int = 900) -> Generator[str]:
    """Starts a session of the managed interpreter and yields its id."""
    identifier: str = agentcore.start_code_interpreter_session(
        codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionTimeoutSeconds=seconds
    )["sessionId"]
    yield identifier
    try:
        agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=identifier)
    except ClientError as error:
        response: Any = error.response
        if response["Error"]["Code"] != "ConflictException":  # the test has stopped the session
            raise


def tool_calls(agentcore: Any, session: str) -> Invoke:
    """Returns a function that calls a tool in the session and returns its result."""

    def call(name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        response = agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session, name=name, arguments=arguments or {}
        )
        (event,) = response["stream"]
        result: dict[str, Any] = event["result"]
        return result

    return call


@pytest.fixture(scope="module")
def shared_session(agentcore: Any) -> Generator[str]:
    """The id of a session for tests that need no new one. Tests that advance the clock do not end it."""
    with started_session(agentcore, MAX_SESSION_SECONDS) as session:
        yield session


@pytest.fixture
def session(agentcore: Any) -> Generator[str]:
    """The id of a new session."""
    with started_session(agentcore) as session:
        yield session


@pytest.fixture
def invoke(agentcore: Any, shared_session: str) -> Invoke:
    """Calls a tool in the shared session."""
    return tool_calls(agentcore, shared_session)


@pytest.fixture
def invoke_new(agentcore: Any, session: str) -> Invoke:
    """Calls a tool in the new session."""
    return tool_calls(agentcore, session)


def code_of(error: Any) -> str:
    """Returns a service error's code."""
    return str(error.response["Error"]["Code"])


def without_time(result: dict[str, Any]) -> dict[str, Any]:
    """Returns a result without its execution time, after checking that it is a number of seconds."""
    content = dict(result.get("structuredContent", {}))
    if content:
        assert 0 <= content.pop("executionTime") < 60
    return {**result, "structuredContent": content} if content else result


def replay(invoke: Invoke, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sends a published request. Returns the emulator's and the published result."""
    published = case(name)
    response = invoke(published["request"]["name"], published["request"]["arguments"])
    return without_time(response), without_time(published["events"][0]["result"])


@pytest.mark.parametrize(
    "name",
    [
        "execute_code_python_ok",
        "execute_code_ok_langchain_exec_c22_0",
        "execute_command_ok",
        "execute_command_nonzero_output_in_stderr",
        "execute_command_not_found",
    ],
)
def test_a_run_matches_the_published_response(invoke: Invoke, name: str) -> None:
    response, published = replay(invoke, name)
    assert response == published


def test_a_program_with_missing_columns_matches_the_published_response(invoke: Invoke) -> None:
    invoke("writeFiles", {"content": [{"path": "data.csv", "text": "Name,Preferred_Animal\nKimberly Lee,Crocodile\n"}]})
    response, published = replay(invoke, "execute_code_ok_langchain_eda_c34_0")
    assert response == published


def test_printed_file_lines_match_the_published_response(invoke: Invoke) -> None:
    name, title = "execute_code_ok_langchain_eda_c34_1", "\n\nFirst few lines of data.csv:\n"
    lines = case(name)["events"][0]["result"]["structuredContent"]["stdout"].partition(title)[2]
    invoke("writeFiles", {"content": [{"path": "data.csv", "text": f"{lines}\nnot this one\n"}]})
    response, published = replay(invoke, name)
    # Before these lines it lists the working directory, in the order of the file system.
    assert response["structuredContent"]["stdout"].partition(title)[1:] == (title, lines)
    assert response["structuredContent"].keys() == published["structuredContent"].keys()


def test_numbers_tables_and_charts_match_the_published_response(invoke: Invoke) -> None:
    response, published = replay(invoke, "execute_code_ok_langchain_eda_c32_1")
    # The service sometimes prints an empty line between two prints, and its last table is from an older pandas.
    printed: list[str] = [result["structuredContent"]["stdout"] for result in (response, published)]
    lines, expected = ([line for line in text.partition("Value Counts")[0].splitlines() if line] for text in printed)
    assert lines == expected
    listed = {block["name"] for block in invoke("listFiles", {"path": ""})["content"]}
    assert listed >= {"distributions.png", "boxplots.png", "correlation_matrix.png", "sample_data.csv"}


def test_counts_of_299130_rows_match_the_published_response(invoke: Invoke) -> None:
    """The rows were not published, but their counts were. The test creates a file with these counts."""
    code = """both, kimberlys, crocodiles = 120, 7149, 5953
rows = ['Kimberly X,Crocodile'] * both + ['Kimberly X,Goat'] * (kimberlys - both)
rows += ['A B,Crocodile'] * (crocodiles - both)
with open('data.csv', 'w') as file:
    file.write('\\n'.join(['Name,Preferred_Animal', *rows, *['A B,Goat'] * (299130 - len(rows))]))"""
    assert invoke("executeCode", {"code": code, "language": "python"})["isError"] is False
    response, published = replay(invoke, "execute_code_ok_langchain_eda_c34_2")
    # The service sometimes prints an empty line between two prints.
    printed: list[str] = [result["structuredContent"]["stdout"] for result in (response, published)]
    lines, expected = ([line for line in text.splitlines() if line] for text in printed)
    assert lines == expected
    assert response["isError"] is published["isError"]


def test_a_table_from_a_cleared_context_matches_the_published_response(invoke: Invoke) -> None:
    """The program and data were not published, but their counts were. The test creates columns with these counts."""
    code = """import pandas as pd
def column(top, times, different):
    rest = [f'{top} {number % (different - 1)}' for number in range(299130 - times)]
    return [top] * times + rest
table = pd.DataFrame({'Name': column('Lisa White', 222, 1722), 'Place': column('Prague', 5587, 55),
                      'Animal': column('Goat', 6141, 50), 'Thing': column('Pencil', 6058, 51)})
print(table.describe())"""
    invoke("executeCode", {"code": "before = 1", "language": "python"})
    published = case("execute_code_clear_context_describe")
    response = invoke("executeCode", {**published["request"]["arguments"], "code": code})
    assert without_time(response) == without_time(published["events"][0]["result"])
    assert "NameError" in invoke("executeCode", {"code": "before", "language": "python"})["structuredContent"]["stderr"]


def test_pip_without_a_network_matches_the_published_response(invoke: Invoke) -> None:
    published = case("execute_command_pip_install_sandbox_fails")
    response = invoke(published["request"]["name"], published["request"]["arguments"])
    content, expected = response["structuredContent"], published["structuredContent"]
    lines, expected_lines = COLOR.sub("", content["stderr"]).splitlines(), expected["stderr"].splitlines()
    assert len(lines) == len(expected_lines)
    assert (lines[0], lines[-2:]) == (
        expected_lines[0],
        expected_lines[-2:],
    )  # the published lines in between are abbreviated
    assert (content["stdout"], content["exitCode"]) == (expected["stdout"], expected["exitCode"])
    assert response["isError"] is published["isError"]


def test_the_working_directory_of_commands_matches_the_published_response(invoke_new: Invoke) -> None:
    published = case("execute_command_uname_pwd_ls_2026")
    response = invoke_new("executeCommand", published["request"]["arguments"])["structuredContent"]["stdout"]
    lines, expected = response.splitlines(), published["printed_text"].splitlines()
    assert lines[0] == expected[0]  # the working directory
    assert {line.split()[-1]: line.split()[2:4] for line in lines[4:-1]} == {
        line.split()[-1]: line.split()[2:4] for line in expected[4:-1]
    }  # its entries and their owners
    assert lines[-1].split()[:2] == expected[-1].split()[:2]  # the host name; the kernel is this machine's


def test_file_tools_match_the_published_responses(invoke: Invoke) -> None:
    names = ("write_files_two_ok", "execute_code_reads_written_file", "read_files_text_ok", "remove_files_two_ok")
    for name in names:
        response, published = replay(invoke, name)
        assert response == published, name


def test_writing_one_file_uses_the_plural_as_published(invoke: Invoke) -> None:
    response, published = replay(invoke, "write_files_one_ok")
    assert response == published


def test_a_traceback_matches_the_published_response(invoke_new: Invoke) -> None:
    for _ in range(3):
        invoke_new("executeCode", {"code": "pass", "language": "python"})
    response, published = replay(invoke_new, "execute_code_error_langchain_eda_c32_0")
    assert response == published


def test_a_failing_run_with_output_has_stdout_before_stderr(invoke: Invoke) -> None:
    response, published = replay(invoke, "execute_code_error_after_stdout")
    assert response["isError"] is published["isError"]
    assert [block["type"] for block in response["content"]] == [block["type"] for block in published["content"]]
    assert response["content"][0] == published["content"][0]
    assert response["structuredContent"].keys() == published["structuredContent"].keys()
    assert response["structuredContent"]["stderr"].endswith(published["structuredContent"]["stderr"])
    assert response["content"][1]["text"] == response["structuredContent"]["stderr"]


def test_javascript_and_typescript_match_the_published_output(invoke: Invoke) -> None:
    facts = case("behaviour_limits_and_languages")["facts"]  # the other facts are about networks and times
    response = invoke("executeCode", {"code": "console.log(6*7)", "language": "javascript"})
    assert response["structuredContent"]["stdout"] == facts["javascript console.log(6*7)"]
    response = invoke("executeCode", {"code": "const n: number = 42; console.log(n)", "language": "typescript"})
    assert response["structuredContent"]["stdout"] == facts["typescript const n: number"]


@pytest.mark.parametrize("name", ["start_command_execution_ok", "start_command_execution_short_id"])
def test_a_canceled_task_matches_the_published_responses(invoke: Invoke, name: str) -> None:
    request = case("start_command_execution_ok")["request"]
    response, published = invoke(request["name"], request["arguments"]), case(name)["events"][0]["result"]
    task = response["structuredContent"]["taskId"]
    assert response == {**published, "structuredContent": {**published["structuredContent"], "taskId": task}}
    assert invoke("getTask", {"taskId": task}) == case("get_task_working")["events"][0]["result"]
    assert invoke("stopTask", {"taskId": task}) == case("stop_task_ok")["events"][0]["result"]
    assert invoke("getTask", {"taskId": task})["structuredContent"] == case("get_task_canceled")["structuredContent"]


def test_a_completed_task_matches_the_published_responses(invoke: Invoke) -> None:
    published = case("get_task_completed")
    printed = published["structuredContent"]["stdout"].rstrip()
    task = invoke("startCommandExecution", {"command": f"echo {printed}"})["structuredContent"]["taskId"]
    response = invoke("getTask", {"taskId": task})
    while response["structuredContent"]["taskStatus"] == "working":
        response = invoke("getTask", {"taskId": task})
    assert response["isError"] is published["isError"]
    assert without_time(response)["structuredContent"] == without_time(published)["structuredContent"]
    refused = case("stop_task_completed_error")["events"][0]["result"]
    assert invoke("stopTask", {"taskId": task}) == refused


@pytest.mark.parametrize("name", ["list_files_root", "list_files_root_csv_py"])
def test_listed_files_have_a_media_type_and_folders_have_none(invoke_new: Invoke, name: str) -> None:
    published = {block["name"]: block for block in case(name)["events"][0]["result"]["content"]}
    files = [block["name"] for block in published.values() if block["description"] == "File"]
    invoke_new("writeFiles", {"content": [{"path": file, "text": "x"} for file in files]})
    listed = {block["name"]: block for block in invoke_new("listFiles", {"path": ""})["content"]}
    assert {name: listed[name] for name in published} == published


def test_the_files_of_a_new_session_match_the_published_list(invoke_new: Invoke) -> None:
    listed = invoke_new("listFiles", {"directoryPath": "."})["content"]
    names = case("list_files_fresh_2026")["names"]
    for description, expected in names.items():
        assert sorted(block["name"] for block in listed if block["description"] == description) == sorted(expected)
    assert len(listed) == sum(len(expected) for expected in names.values())


def test_a_binary_file_is_read_as_a_blob(invoke: Invoke) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    invoke("writeFiles", {"content": [{"path": "chart.png", "blob": image}]})
    published = case("read_files_binary_shape")
    response = invoke("readFiles", published["request"]["arguments"])
    expected = published["events"][0]["result"]
    expected["content"][0]["resource"]["blob"] = image
    assert response == expected


def test_the_members_of_each_result_match_the_published_ones(invoke_new: Invoke) -> None:
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "executeCode python": ("executeCode", {"code": "print(1)", "language": "python"}),
        "executeCommand": ("executeCommand", {"command": "echo 1"}),
        "writeFiles": ("writeFiles", {"content": [{"path": "a.txt", "text": "a"}]}),
        "listFiles": ("listFiles", {"directoryPath": ""}),
        "readFiles": ("readFiles", {"paths": ["a.txt"]}),
        "executeCode raising": ("executeCode", {"code": "1/0", "language": "python"}),
    }
    for row in case("result_matrix_observed")["rows"]:
        result = invoke_new(*calls[row["call"]])
        content = result.get("structuredContent")
        observed = {
            "call": row["call"],
            "isError": result["isError"],
            "content": [block["type"] for block in result["content"]],
            "structuredContent": None if content is None else sorted(content),
        }
        members = row["structuredContent"]
        assert observed == {**row, "structuredContent": None if members is None else sorted(members)}


def test_the_exit_code_of_sys_exit_matches_the_published_one(invoke: Invoke) -> None:
    published = case("behaviour_systemexit")
    result = invoke("executeCode", {"code": published["code"], "language": "python"})
    assert result["structuredContent"]["exitCode"] == published["structuredContent"]["exitCode"]


def test_two_million_characters_are_returned_completely(invoke: Invoke) -> None:
    published = case("behaviour_large_stdout")
    result = invoke("executeCode", {"code": published["code"], "language": "python"})
    assert len(result["structuredContent"]["stdout"]) == published["returned_chars"]


def test_a_network_error_in_sandbox_mode_matches_the_published_response(invoke: Invoke) -> None:
    published = case("execute_code_network_unreachable_sandbox")
    (event,) = published["events"]
    result = invoke(published["request"]["name"], published["request"]["arguments"])
    # The end of the message differs: here the name is unknown, as in later responses of the service.
    printed, published_text = (one["structuredContent"].pop("stdout") for one in (result, event["result"]))
    assert printed.startswith("Error executing: HTTPSConnectionPool(host='pokeapi.co', port=443): Max retries exceeded")
    assert printed.partition("(Caused by")[0] == published_text.partition("(Caused by")[0]
    assert [block["type"] for block in result.pop("content")] == [
        block["type"] for block in event["result"].pop("content")
    ]
    for one in (result, event["result"]):
        assert one["structuredContent"].pop("executionTime") > 0
    assert result == event["result"]


def test_the_response_size_limit_matches_aws(invoke: Invoke) -> None:
    assert "InvalidPayloadLength" in case("behaviour_read_limit_24MiB")["results"]["blob 18 MiB"]
    invoke("executeCommand", {"command": "head -c 17M /dev/zero >17.bin; head -c 18M /dev/zero >18.bin"})
    content = invoke("readFiles", {"paths": ["17.bin"]})["content"]
    assert len(content[0]["resource"]["blob"]) == 17 << 20
    with pytest.raises(InvalidPayloadLength):
        invoke("readFiles", {"paths": ["18.bin"]})


def test_absolute_paths_and_path_traversal_are_rejected(invoke: Invoke) -> None:
    text = case("error_absolute_path_path_traversal")["error"]["contains"]
    block = {"path": "/tmp/x", "text": "x"}  # noqa: S108  a path that is rejected
    for name, arguments in (
        ("readFiles", {"paths": ["/etc/passwd"]}),
        ("readFiles", {"paths": ["log/../../x"]}),
        ("writeFiles", {"content": [block]}),
        ("listFiles", {"directoryPath": "/"}),
        ("removeFiles", {"paths": ["../x"]}),
    ):
        result = invoke(name, arguments)
        assert result["isError"], name
        assert text in result["content"][0]["text"], name


def test_the_response_headers_match_the_published_ones(agentcore: Any, shared_session: str) -> None:
    published = case("invoke_http_headers")["response_metadata"]["HTTPHeaders"]
    response = agentcore.invoke_code_interpreter(
        codeInterpreterIdentifier=MANAGED_INTERPRETER,
        sessionId=shared_session,
        name="listFiles",
        arguments={"path": ""},
    )
    headers = response["ResponseMetadata"]["HTTPHeaders"]
    assert list(response["stream"])
    assert response["sessionId"] == headers["x-amzn-code-interpreter-session-id"] == shared_session
    assert headers["content-type"] == published["content-type"]
    assert headers["transfer-encoding"] == published["transfer-encoding"]
    assert set(headers) >= set(published) - {"connection"}  # uvicorn uses HTTP/1.1's default


def test_an_ended_session_rejects_invoke_and_stop_as_published(agentcore: Any, session: str) -> None:
    agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
    with pytest.raises(ClientError) as invoked:
        agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session, name="listFiles"
        )
    with pytest.raises(ClientError) as stopped:
        agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
    for name, error in (("error_session_not_active", invoked.value), ("error_stop_already_terminated", stopped.value)):
        published = case(name)
        message = published["error"]["Message"]
        for placeholder in ("01M0AEVN6ENN7RJ2EPQ65VKE9Z", "<sessionId>"):
            message = message.replace(placeholder, session)
        response: Any = error.response
        assert response["Error"] == {**published["error"], "Message": message}
        assert response["ResponseMetadata"]["HTTPStatusCode"] == published["http_status"]


def test_stopping_a_session_fails_its_running_call_as_published(
    agentcore: Any, session: str, invoke_new: Invoke
) -> None:
    refusals: list[Any] = []

    def run() -> None:
        try:
            invoke_new("executeCode", {"code": "open('begun', 'w')\nwhile True: pass", "language": "python"})
        except ClientError as error:
            refusals.append(error.response)

    running = threading.Thread(target=run)
    running.start()
    while not any(block["name"] == "begun" for block in invoke_new("listFiles", {"path": ""})["content"]):
        time.sleep(0.02)
    agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
    running.join()
    published = case("error_inflight_terminated")
    (response,) = refusals
    assert response["Error"]["Code"] == published["error"]["Code"]
    parts = published["error"]["Message"].split("…")  # an omission in the published text
    assert re.fullmatch(".*".join(re.escape(part.strip()) for part in parts), response["Error"]["Message"])
    assert session in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == published["http_status"]


def test_a_session_id_is_a_ulid(shared_session: str) -> None:
    for identifier in (shared_session, *case("session_lifecycle_shapes")["session_id_examples"]):
        assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", identifier)


def test_a_session_expires_as_published_with_and_without_activity(
    agentcore: Any, agentcore_clock: EmulatorClock
) -> None:
    published = case("behaviour_ttl_hard")
    seconds: int = published["sessionTimeoutSeconds"]

    def start() -> str:
        response = agentcore.start_code_interpreter_session(
            codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionTimeoutSeconds=seconds
        )
        identifier: str = response["sessionId"]
        return identifier

    def outcome(session: str) -> str:
        try:
            agentcore.invoke_code_interpreter(
                codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session, name="listFiles"
            )
        except ClientError as error:
            return code_of(error)
        return "ok"

    for times in (published["active"], published["idle"]):
        session, passed, outcomes = start(), 0, dict[str, str]()
        for time_of_call in times:
            agentcore_clock.advance(int(time_of_call) - passed)
            passed = int(time_of_call)
            outcomes[time_of_call] = outcome(session)
        assert outcomes == times


def test_a_retrying_client_of_long_code_finally_gets_session_not_active(
    agentcore_endpoint: str, agentcore_clock: EmulatorClock, agentcore_faults: FaultInjector
) -> None:
    """Like the published case, but with a read timeout of 1 s: three attempts, then the session expires."""
    published = case("behaviour_sleep600_timeout300")
    short_timeout: Any = botocore.session.get_session().create_client(
        "bedrock-agentcore",
        endpoint_url=agentcore_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not check it
        config=Config(read_timeout=1, retries={"total_max_attempts": 3}),
    )
    started = short_timeout.start_code_interpreter_session(
        codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionTimeoutSeconds=900
    )
    agentcore_faults.inject(Rule("latency", "executeCode", seconds=0))  # counts the attempts
    outcome: list[str] = []

    def run() -> None:
        with pytest.raises(ClientError) as raised:
            short_timeout.invoke_code_interpreter(
                codeInterpreterIdentifier=MANAGED_INTERPRETER,
                sessionId=started["sessionId"],
                name="executeCode",
                arguments={"code": "import time; time.sleep(600)", "language": "python"},
            )
        outcome.append(code_of(raised.value))

    running = threading.Thread(target=run)
    running.start()
    while agentcore_faults.injected() != [3]:
        time.sleep(0.02)
    agentcore_clock.advance(900)
    running.join()
    assert outcome == [published["observed"].split()[0]]


def test_a_stream_error_matches_the_published_one(invoke: Invoke, agentcore_faults: FaultInjector) -> None:
    published = case("behaviour_stream_exception_member")
    (kind,) = re.findall(r":exception-type (\w+)", published["wire"])
    agentcore_faults.inject(Rule("stream_error", "listFiles", code="ValidationException"))
    with pytest.raises(EventStreamError) as raised:
        invoke("listFiles", {"path": ""})
    assert code_of(raised.value) == kind
    assert f"code '{kind}'" in published["raised"]


def test_string_arguments_are_rejected_by_the_client(agentcore: Any, shared_session: str) -> None:
    with pytest.raises(ParamValidationError) as raised:
        agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED_INTERPRETER,
            sessionId=shared_session,
            name="executeCode",
            arguments='{"code": "1"}',
        )
    assert type(raised.value).__name__ in case("error_param_validation_client_side")["error"]["Code"]
