"""The emulator answers as the service did: each file in tests/wire is an answer of the service that was published.

Its `fidelity` says how far a case may be trusted. Verbatim ones are compared whole, but for the time that a run took,
and but for what differs between machines. A file that is compared with nothing is in `NOT_COMPARED`, with the reason.
"""

from __future__ import annotations

import json
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.eventstream import InvalidPayloadLength
from botocore.exceptions import ClientError, EventStreamError, ParamValidationError

from local_agentcore.faults import Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.admin_client import EmulatorClock, FaultInjector

    Invoke = Callable[..., dict[str, Any]]

MANAGED = "aws.codeinterpreter.v1"
CASES = Path(__file__).resolve().parents[1] / "wire"
COLOUR = re.compile("\x1b\\[[0-9;]*m")

NOT_COMPARED = {
    "environment_commands_2025_08": "what is installed on the service's machines",
    "execute_command_pip_install_public_ok": "its packages come from PyPI, in the versions of that day",
}
"""Published answers that no test reads, each with the reason."""


def case(name: str) -> dict[str, Any]:
    """Reads a published answer."""
    loaded: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return loaded


def test_each_published_answer_is_compared_or_said_not_to_be() -> None:
    source = Path(__file__).read_text()
    named = {path.stem: source.count(f'"{path.stem}"') for path in CASES.iterdir()}
    assert [name for name, times in named.items() if times == 0] == []
    assert sorted(NOT_COMPARED) == [name for name in sorted(NOT_COMPARED) if named.get(name) == 1]  # here alone


@pytest.fixture
def session(agentcore: Any) -> Generator[str]:
    """A fresh session of the managed interpreter."""
    identifier: str = agentcore.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED)["sessionId"]
    yield identifier
    try:
        agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionId=identifier)
    except ClientError as error:
        answer: Any = error.response
        if answer["Error"]["Code"] != "ConflictException":  # the test has stopped it itself
            raise


@pytest.fixture
def invoke(agentcore: Any, session: str) -> Invoke:
    """Calls a tool in that session and returns its one result."""

    def call(name: str, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED, sessionId=session, name=name, arguments=arguments or {}
        )
        (event,) = answer["stream"]
        result: dict[str, Any] = event["result"]
        return result

    return call


def code_of(error: Any) -> str:
    """Returns a service error's code."""
    return str(error.response["Error"]["Code"])


def without_time(result: dict[str, Any]) -> dict[str, Any]:
    """Returns a result with its time, which has to be a number of seconds, taken out."""
    content = dict(result.get("structuredContent", {}))
    if content:
        assert 0 <= content.pop("executionTime") < 60
    return {**result, "structuredContent": content} if content else result


def replay(invoke: Invoke, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sends a case's request. Returns what the emulator and what the service answered."""
    published = case(name)
    answer = invoke(published["request"]["name"], published["request"]["arguments"])
    return without_time(answer), without_time(published["events"][0]["result"])


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
def test_a_run_is_answered_word_for_word(invoke: Invoke, name: str) -> None:
    answer, published = replay(invoke, name)
    assert answer == published


def test_a_program_that_misses_its_columns_is_answered_word_for_word(invoke: Invoke) -> None:
    invoke("writeFiles", {"content": [{"path": "data.csv", "text": "Name,Preferred_Animal\nKimberly Lee,Crocodile\n"}]})
    answer, published = replay(invoke, "execute_code_ok_langchain_eda_c34_0")
    assert answer == published


def test_lines_of_a_file_are_printed_word_for_word(invoke: Invoke) -> None:
    name, title = "execute_code_ok_langchain_eda_c34_1", "\n\nFirst few lines of data.csv:\n"
    lines = case(name)["events"][0]["result"]["structuredContent"]["stdout"].partition(title)[2]
    invoke("writeFiles", {"content": [{"path": "data.csv", "text": f"{lines}\nnot this one\n"}]})
    answer, published = replay(invoke, name)
    # Before them it lists the working directory, in the order of the file system.
    assert answer["structuredContent"]["stdout"].partition(title)[1:] == (title, lines)
    assert answer["structuredContent"].keys() == published["structuredContent"].keys()


def test_numbers_tables_and_charts_come_out_as_published(invoke: Invoke) -> None:
    answer, published = replay(invoke, "execute_code_ok_langchain_eda_c32_1")
    # The service sometimes has an empty line between two prints, and its last table is that of an older pandas.
    printed: list[str] = [result["structuredContent"]["stdout"] for result in (answer, published)]
    lines, expected = ([line for line in text.partition("Value Counts")[0].splitlines() if line] for text in printed)
    assert lines == expected
    listed = {block["name"] for block in invoke("listFiles", {"path": ""})["content"]}
    assert listed >= {"distributions.png", "boxplots.png", "correlation_matrix.png", "sample_data.csv"}


def test_a_file_of_299130_rows_is_counted_as_published(invoke: Invoke) -> None:
    """Its rows were not published, but their numbers were: this makes a file that has those."""
    made = """both, kimberlys, crocodiles = 120, 7149, 5953
rows = ['Kimberly X,Crocodile'] * both + ['Kimberly X,Goat'] * (kimberlys - both)
rows += ['A B,Crocodile'] * (crocodiles - both)
with open('data.csv', 'w') as file:
    file.write('\\n'.join(['Name,Preferred_Animal', *rows, *['A B,Goat'] * (299130 - len(rows))]))"""
    assert invoke("executeCode", {"code": made, "language": "python"})["isError"] is False
    answer, published = replay(invoke, "execute_code_ok_langchain_eda_c34_2")
    # The service sometimes has an empty line between two prints.
    printed: list[str] = [result["structuredContent"]["stdout"] for result in (answer, published)]
    lines, expected = ([line for line in text.splitlines() if line] for text in printed)
    assert lines == expected
    assert answer["isError"] is published["isError"]


def test_a_table_is_printed_as_published_from_a_cleared_context(invoke: Invoke) -> None:
    """Neither program nor data were published, but what the data count up to was: this makes columns that do."""
    code = """import pandas as pd
def column(top, times, different):
    rest = [f'{top} {number % (different - 1)}' for number in range(299130 - times)]
    return [top] * times + rest
table = pd.DataFrame({'Name': column('Lisa White', 222, 1722), 'Place': column('Prague', 5587, 55),
                      'Animal': column('Goat', 6141, 50), 'Thing': column('Pencil', 6058, 51)})
print(table.describe())"""
    invoke("executeCode", {"code": "before = 1", "language": "python"})
    published = case("execute_code_clear_context_describe")
    answer = invoke("executeCode", {**published["request"]["arguments"], "code": code})
    assert without_time(answer) == without_time(published["events"][0]["result"])
    assert "NameError" in invoke("executeCode", {"code": "before", "language": "python"})["structuredContent"]["stderr"]


def test_pip_without_a_network_fails_in_the_published_words(invoke: Invoke) -> None:
    published = case("execute_command_pip_install_sandbox_fails")
    answer = invoke(published["request"]["name"], published["request"]["arguments"])
    content, expected = answer["structuredContent"], published["structuredContent"]
    lines, expected_lines = COLOUR.sub("", content["stderr"]).splitlines(), expected["stderr"].splitlines()
    assert len(lines) == len(expected_lines)
    assert (lines[0], lines[-2:]) == (expected_lines[0], expected_lines[-2:])  # those between were abbreviated
    assert (content["stdout"], content["exitCode"]) == (expected["stdout"], expected["exitCode"])
    assert answer["isError"] is published["isError"]


def test_a_command_runs_where_the_services_does(invoke: Invoke) -> None:
    published = case("execute_command_uname_pwd_ls_2026")
    answer = invoke("executeCommand", published["request"]["arguments"])["structuredContent"]["stdout"]
    lines, expected = answer.splitlines(), published["printed_text"].splitlines()
    assert lines[0] == expected[0]  # the working directory
    assert {line.split()[-1]: line.split()[2:4] for line in lines[4:-1]} == {
        line.split()[-1]: line.split()[2:4] for line in expected[4:-1]
    }  # what is in it, and whose it is
    assert lines[-1].split()[:2] == expected[-1].split()[:2]  # the host's name; the kernel is this machine's


def test_files_are_written_used_read_and_removed_word_for_word(invoke: Invoke) -> None:
    names = ("write_files_two_ok", "execute_code_reads_written_file", "read_files_text_ok", "remove_files_two_ok")
    for name in names:
        answer, published = replay(invoke, name)
        assert answer == published, name


def test_writing_one_file_has_no_singular(invoke: Invoke) -> None:
    answer, published = replay(invoke, "write_files_one_ok")
    assert answer == published


def test_a_traceback_is_ipythons_word_for_word(invoke: Invoke) -> None:
    for _ in range(3):
        invoke("executeCode", {"code": "pass", "language": "python"})
    answer, published = replay(invoke, "execute_code_error_langchain_eda_c32_0")
    assert answer == published


def test_a_run_that_prints_and_fails_has_both_streams_in_order(invoke: Invoke) -> None:
    answer, published = replay(invoke, "execute_code_error_after_stdout")
    assert answer["isError"] is published["isError"]
    assert [block["type"] for block in answer["content"]] == [block["type"] for block in published["content"]]
    assert answer["content"][0] == published["content"][0]
    assert answer["structuredContent"].keys() == published["structuredContent"].keys()
    assert answer["structuredContent"]["stderr"].endswith(published["structuredContent"]["stderr"])
    assert answer["content"][1]["text"] == answer["structuredContent"]["stderr"]


def test_javascript_and_typescript_print_as_published(invoke: Invoke) -> None:
    facts = case("behaviour_limits_and_languages")["facts"]  # the rest of it is about networks and times
    answer = invoke("executeCode", {"code": "console.log(6*7)", "language": "javascript"})
    assert answer["structuredContent"]["stdout"] == facts["javascript console.log(6*7)"]
    answer = invoke("executeCode", {"code": "const n: number = 42; console.log(n)", "language": "typescript"})
    assert answer["structuredContent"]["stdout"] == facts["typescript const n: number"]


@pytest.mark.parametrize("name", ["start_command_execution_ok", "start_command_execution_short_id"])
def test_a_task_is_submitted_works_and_is_canceled_word_for_word(invoke: Invoke, name: str) -> None:
    request = case("start_command_execution_ok")["request"]
    answer, published = invoke(request["name"], request["arguments"]), case(name)["events"][0]["result"]
    task = answer["structuredContent"]["taskId"]
    assert answer == {**published, "structuredContent": {**published["structuredContent"], "taskId": task}}
    assert invoke("getTask", {"taskId": task}) == case("get_task_working")["events"][0]["result"]
    assert invoke("stopTask", {"taskId": task}) == case("stop_task_ok")["events"][0]["result"]
    assert invoke("getTask", {"taskId": task})["structuredContent"] == case("get_task_canceled")["structuredContent"]


def test_a_task_completes_word_for_word(invoke: Invoke) -> None:
    published = case("get_task_completed")
    printed = published["structuredContent"]["stdout"].rstrip()
    task = invoke("startCommandExecution", {"command": f"echo {printed}"})["structuredContent"]["taskId"]
    answer = invoke("getTask", {"taskId": task})
    while answer["structuredContent"]["taskStatus"] == "working":
        answer = invoke("getTask", {"taskId": task})
    assert answer["isError"] is published["isError"]
    assert without_time(answer)["structuredContent"] == without_time(published)["structuredContent"]
    refused = case("stop_task_completed_error")["events"][0]["result"]
    assert invoke("stopTask", {"taskId": task}) == refused


@pytest.mark.parametrize("name", ["list_files_root", "list_files_root_csv_py"])
def test_a_file_that_is_listed_has_a_type_and_a_folder_has_none(invoke: Invoke, name: str) -> None:
    published = {block["name"]: block for block in case(name)["events"][0]["result"]["content"]}
    files = [block["name"] for block in published.values() if block["description"] == "File"]
    invoke("writeFiles", {"content": [{"path": file, "text": "x"} for file in files]})
    listed = {block["name"]: block for block in invoke("listFiles", {"path": ""})["content"]}
    assert {name: listed[name] for name in published} == published


def test_a_fresh_session_lists_what_the_services_does(invoke: Invoke) -> None:
    listed = invoke("listFiles", {"directoryPath": "."})["content"]
    names = case("list_files_fresh_2026")["names"]
    for description, expected in names.items():
        assert sorted(block["name"] for block in listed if block["description"] == description) == sorted(expected)
    assert len(listed) == sum(len(expected) for expected in names.values())


def test_a_binary_file_is_read_as_a_blob(invoke: Invoke) -> None:
    image = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    invoke("writeFiles", {"content": [{"path": "chart.png", "blob": image}]})
    published = case("read_files_binary_shape")
    answer = invoke("readFiles", published["request"]["arguments"])
    expected = published["events"][0]["result"]
    expected["content"][0]["resource"]["blob"] = image
    assert answer == expected


def test_the_members_of_each_result_are_the_services(invoke: Invoke) -> None:
    calls: dict[str, tuple[str, dict[str, Any]]] = {
        "executeCode python": ("executeCode", {"code": "print(1)", "language": "python"}),
        "executeCommand": ("executeCommand", {"command": "echo 1"}),
        "writeFiles": ("writeFiles", {"content": [{"path": "a.txt", "text": "a"}]}),
        "listFiles": ("listFiles", {"directoryPath": ""}),
        "readFiles": ("readFiles", {"paths": ["a.txt"]}),
        "executeCode raising": ("executeCode", {"code": "1/0", "language": "python"}),
    }
    for row in case("result_matrix_observed")["rows"]:
        result = invoke(*calls[row["call"]])
        content = result.get("structuredContent")
        observed = {
            "call": row["call"],
            "isError": result["isError"],
            "content": [block["type"] for block in result["content"]],
            "structuredContent": None if content is None else sorted(content),
        }
        members = row["structuredContent"]
        assert observed == {**row, "structuredContent": None if members is None else sorted(members)}


def test_the_exit_code_of_sys_exit_is_lost(invoke: Invoke) -> None:
    published = case("behaviour_systemexit")
    result = invoke("executeCode", {"code": published["code"], "language": "python"})
    assert result["structuredContent"]["exitCode"] == published["structuredContent"]["exitCode"]


def test_two_million_characters_are_returned_whole(invoke: Invoke) -> None:
    published = case("behaviour_large_stdout")
    result = invoke("executeCode", {"code": published["code"], "language": "python"})
    assert len(result["structuredContent"]["stdout"]) == published["returned_chars"]


def test_code_in_sandbox_mode_has_no_network_and_the_run_succeeds(invoke: Invoke) -> None:
    published = case("execute_code_network_unreachable_sandbox")
    (event,) = published["events"]
    result = invoke(published["request"]["name"], published["request"]["arguments"])
    # Of the words the end differs: here the name is not known, as in later answers of the service.
    said, theirs = (one["structuredContent"].pop("stdout") for one in (result, event["result"]))
    assert said.startswith("Error executing: HTTPSConnectionPool(host='pokeapi.co', port=443): Max retries exceeded")
    assert said.partition("(Caused by")[0] == theirs.partition("(Caused by")[0]
    assert [block["type"] for block in result.pop("content")] == [
        block["type"] for block in event["result"].pop("content")
    ]
    for one in (result, event["result"]):
        assert one["structuredContent"].pop("executionTime") > 0
    assert result == event["result"]


def test_the_reply_limit_is_met_as_on_aws(invoke: Invoke) -> None:
    assert "InvalidPayloadLength" in case("behaviour_read_limit_24MiB")["results"]["blob 18 MiB"]
    invoke("executeCommand", {"command": "head -c 17M /dev/zero >17.bin; head -c 18M /dev/zero >18.bin"})
    content = invoke("readFiles", {"paths": ["17.bin"]})["content"]
    assert len(content[0]["resource"]["blob"]) == 17 << 20
    with pytest.raises(InvalidPayloadLength):
        invoke("readFiles", {"paths": ["18.bin"]})


def test_an_absolute_path_and_a_way_up_are_refused(invoke: Invoke) -> None:
    words = case("error_absolute_path_path_traversal")["error"]["contains"]
    block = {"path": "/tmp/x", "text": "x"}  # noqa: S108  a path to be refused
    for name, arguments in (
        ("readFiles", {"paths": ["/etc/passwd"]}),
        ("readFiles", {"paths": ["log/../../x"]}),
        ("writeFiles", {"content": [block]}),
        ("listFiles", {"directoryPath": "/"}),
        ("removeFiles", {"paths": ["../x"]}),
    ):
        result = invoke(name, arguments)
        assert result["isError"], name
        assert words in result["content"][0]["text"], name


def test_the_answers_headers_are_the_services(agentcore: Any, session: str) -> None:
    published = case("invoke_http_headers")["response_metadata"]["HTTPHeaders"]
    answer = agentcore.invoke_code_interpreter(
        codeInterpreterIdentifier=MANAGED, sessionId=session, name="listFiles", arguments={"path": ""}
    )
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert list(answer["stream"])
    assert answer["sessionId"] == headers["x-amzn-code-interpreter-session-id"] == session
    assert headers["content-type"] == published["content-type"]
    assert headers["transfer-encoding"] == published["transfer-encoding"]
    assert set(headers) >= set(published) - {"connection"}  # which uvicorn leaves to HTTP/1.1's default


def test_a_session_that_is_over_is_not_active_and_cannot_be_stopped(agentcore: Any, session: str) -> None:
    agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionId=session)
    with pytest.raises(ClientError) as invoked:
        agentcore.invoke_code_interpreter(codeInterpreterIdentifier=MANAGED, sessionId=session, name="listFiles")
    with pytest.raises(ClientError) as stopped:
        agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionId=session)
    for name, error in (("error_session_not_active", invoked.value), ("error_stop_already_terminated", stopped.value)):
        published = case(name)
        message = published["error"]["Message"]
        for placeholder in ("01M0AEVN6ENN7RJ2EPQ65VKE9Z", "<sessionId>"):
            message = message.replace(placeholder, session)
        response: Any = error.response
        assert response["Error"] == {**published["error"], "Message": message}
        assert response["ResponseMetadata"]["HTTPStatusCode"] == published["http_status"]


def test_a_call_that_is_running_when_its_session_stops_is_told_so(agentcore: Any, session: str, invoke: Invoke) -> None:
    refusals: list[Any] = []

    def run() -> None:
        try:
            invoke("executeCode", {"code": "open('begun', 'w')\nwhile True: pass", "language": "python"})
        except ClientError as error:
            refusals.append(error.response)

    running = threading.Thread(target=run)
    running.start()
    while not any(block["name"] == "begun" for block in invoke("listFiles", {"path": ""})["content"]):
        time.sleep(0.02)
    agentcore.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionId=session)
    running.join()
    published = case("error_inflight_terminated")
    (response,) = refusals
    assert response["Error"]["Code"] == published["error"]["Code"]
    words = published["error"]["Message"].split("…")  # where its author left something out
    assert re.fullmatch(".*".join(re.escape(part.strip()) for part in words), response["Error"]["Message"])
    assert session in response["Error"]["Message"]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == published["http_status"]


def test_a_session_id_is_a_ulid_as_the_services_are(session: str) -> None:
    for identifier in (session, *case("session_lifecycle_shapes")["session_id_examples"]):
        assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", identifier)


def test_a_session_ends_at_its_time_whether_it_is_used_or_not(agentcore: Any, agentcore_clock: EmulatorClock) -> None:
    published = case("behaviour_ttl_hard")
    seconds: int = published["sessionTimeoutSeconds"]

    def start() -> str:
        answer = agentcore.start_code_interpreter_session(
            codeInterpreterIdentifier=MANAGED, sessionTimeoutSeconds=seconds
        )
        identifier: str = answer["sessionId"]
        return identifier

    def outcome(session: str) -> str:
        try:
            agentcore.invoke_code_interpreter(codeInterpreterIdentifier=MANAGED, sessionId=session, name="listFiles")
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


def test_a_client_that_sends_long_code_again_is_told_in_the_end_that_its_session_is_over(
    agentcore_endpoint: str, agentcore_clock: EmulatorClock, agentcore_faults: FaultInjector
) -> None:
    """As published, with a second for the client's five minutes: three attempts, and the session's time passes."""
    published = case("behaviour_sleep600_timeout300")
    impatient: Any = botocore.session.get_session().create_client(
        "bedrock-agentcore",
        endpoint_url=agentcore_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not look at it
        config=Config(read_timeout=1, retries={"total_max_attempts": 3}),
    )
    started = impatient.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED, sessionTimeoutSeconds=900)
    agentcore_faults.inject(Rule("latency", "executeCode", seconds=0))  # which counts the attempts
    outcome: list[str] = []

    def run() -> None:
        with pytest.raises(ClientError) as raised:
            impatient.invoke_code_interpreter(
                codeInterpreterIdentifier=MANAGED,
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


def test_an_error_within_the_stream_is_raised_as_measured(invoke: Invoke, agentcore_faults: FaultInjector) -> None:
    published = case("behaviour_stream_exception_member")
    (kind,) = re.findall(r":exception-type (\w+)", published["wire"])
    agentcore_faults.inject(Rule("stream_error", "listFiles", code="ValidationException"))
    with pytest.raises(EventStreamError) as raised:
        invoke("listFiles", {"path": ""})
    assert code_of(raised.value) == kind
    assert f"code '{kind}'" in published["raised"]


def test_arguments_as_a_text_do_not_leave_the_client(agentcore: Any, session: str) -> None:
    with pytest.raises(ParamValidationError) as raised:
        agentcore.invoke_code_interpreter(
            codeInterpreterIdentifier=MANAGED, sessionId=session, name="executeCode", arguments='{"code": "1"}'
        )
    assert type(raised.value).__name__ in case("error_param_validation_client_side")["error"]["Code"]
