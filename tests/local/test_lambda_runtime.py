"""The Lambda runtime alone: AWS's runtime client on a bundle, with Lambda's own answers to what goes wrong."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from local_aws import running_instance
from local_aws.lambda_runtime.functions import Functions
from local_aws.settings import Runtimes

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

HANDLER = """
import os, sys, time

class Throttled(Exception):
    pass

def handler(event, context):
    print("handling", context.aws_request_id)
    if event.get("raise"):
        raise Throttled("too many")
    if event.get("exit"):
        os._exit(3)
    if event.get("size"):
        return "x" * event["size"]
    time.sleep(event.get("sleep", 0))
    try:
        import ministack
    except ImportError as error:
        missing = error.name
    return {"pid": os.getpid(), "environment": dict(os.environ), "missing": missing, "path": sys.path,
            "left": context.get_remaining_time_in_millis()}
"""


def bundle(source: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("index.py", source)
    return archive.getvalue()


def config(**changes: Any) -> dict[str, Any]:
    return {
        "FunctionName": "f",
        "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
        "Handler": "index.handler",
        "Timeout": 2,
        "CodeSha256": "1",
        "Environment": {"Variables": {"GREETING": "hello"}},
        **changes,
    }


@pytest.fixture
def functions(tmp_path: Path) -> Generator[Functions]:
    made = Functions(tmp_path, Runtimes.of_checkout().lambda_python, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    yield made
    made.close()


def invoke(functions: Functions, event: object, **changes: Any) -> Any:
    credentials = {"AWS_ACCESS_KEY_ID": "ASIA0"}
    return functions.invoke(config(**changes), bundle(HANDLER), event, "request-1", lambda: credentials)


def test_a_function_gets_its_own_environment_and_nothing_of_the_host(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "1")
    answer = invoke(functions, {})
    assert not answer.failed
    environment = answer.body["environment"]
    assert environment["GREETING"] == "hello"
    assert environment["AWS_ACCESS_KEY_ID"] == "ASIA0"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert "HOST_SECRET" not in environment
    assert answer.body["missing"] == "ministack"
    assert 0 < answer.body["left"] <= 2000
    assert "handling request-1" in answer.log


def test_the_name_of_an_exception_reaches_the_caller_and_the_worker_stays(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    answer = invoke(functions, {"raise": True})
    assert answer.failed
    assert (answer.body["errorType"], answer.body["errorMessage"]) == ("Throttled", "too many")
    assert invoke(functions, {}).body["pid"] == first


def test_a_timeout_and_an_exit_end_the_worker_in_lambdas_words(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    late = invoke(functions, {"sleep": 5}, Timeout=1)
    assert late.body == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: request-1 Error: Task timed out after 1.00 seconds",
    }
    gone = invoke(functions, {"exit": True}, Timeout=1)
    assert gone.body["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in gone.body["errorMessage"]
    assert invoke(functions, {}, Timeout=1).body["pid"] != first


def test_events_at_the_same_time_have_a_worker_each(functions: Functions) -> None:
    with ThreadPoolExecutor(4) as threads:
        started = [threads.submit(invoke, functions, {"sleep": 0.5}) for _ in range(4)]
        answers = [future.result() for future in started]
    assert len({answer.body["pid"] for answer in answers}) == 4


def test_new_code_and_new_settings_mean_new_workers(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    assert invoke(functions, {}).body["pid"] == first
    assert invoke(functions, {}, CodeSha256="2").body["pid"] != first
    changed = invoke(functions, {}, Environment={"Variables": {"GREETING": "servus"}})
    assert changed.body["environment"]["GREETING"] == "servus"


def test_a_bundle_that_cannot_be_imported_says_so(functions: Functions) -> None:
    answer = functions.invoke(config(), bundle("import numpy"), {}, "request-1", dict)
    assert answer.failed
    assert answer.body["errorType"] == "Runtime.ImportModuleError"
    assert "numpy" in answer.body["errorMessage"]


def test_it_says_so_every_time(functions: Functions) -> None:
    broken = [functions.invoke(config(), bundle("import numpy"), {}, "request-1", dict) for _ in range(3)]
    assert [answer.body["errorType"] for answer in broken] == ["Runtime.ImportModuleError"] * 3


def eventually(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_worker_that_died_while_idle_costs_no_event(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    os.kill(first, signal.SIGKILL)
    eventually(lambda: running_instance.process_start(first) is None)
    second = invoke(functions, {})
    assert not second.failed
    assert second.body["pid"] != first


def test_another_role_means_its_credentials(functions: Functions) -> None:
    def key_of(role: str) -> str:
        credentials = {"AWS_ACCESS_KEY_ID": f"ASIA-{role}"}
        answer = functions.invoke(config(Role=role), bundle(HANDLER), {}, "request-1", lambda: credentials)
        return answer.body["environment"]["AWS_ACCESS_KEY_ID"]

    assert [key_of("one"), key_of("two")] == ["ASIA-one", "ASIA-two"]


def test_a_busy_worker_of_old_code_answers_and_ends(functions: Functions) -> None:
    idle = invoke(functions, {}).body["pid"]
    with ThreadPoolExecutor(1) as threads:
        busy = threads.submit(invoke, functions, {"sleep": 1})
        time.sleep(0.3)
        assert not invoke(functions, {}, CodeSha256="2").failed
        assert busy.result().body["pid"] == idle
    eventually(lambda: running_instance.process_start(idle) is None)


def test_a_stopped_worker_leaves_no_thread(functions: Functions) -> None:
    before = threading.active_count()
    for version in range(4):
        assert not invoke(functions, {}, CodeSha256=str(version)).failed
    functions.close()
    eventually(lambda: threading.active_count() <= before)


def test_the_log_group_is_the_configured_one(functions: Functions) -> None:
    def group(**changes: Any) -> str:
        return invoke(functions, {}, **changes).body["environment"]["AWS_LAMBDA_LOG_GROUP_NAME"]

    assert group() == "/aws/lambda/f"
    assert group(LoggingConfig={"LogFormat": "JSON", "LogGroup": "/ours"}) == "/ours"


def test_an_answer_above_six_megabytes_is_refused_in_lambdas_words(functions: Functions) -> None:
    assert len(invoke(functions, {"size": 6_291_554}).body) == 6_291_554
    answer = invoke(functions, {"size": 6_291_555})
    assert answer.failed
    assert answer.body == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": (
            "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
        ),
    }


def test_a_disk_that_takes_nothing_is_said_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    functions = Functions(tmp_path / "file", Runtimes.of_checkout().lambda_python, {})
    answer = invoke(functions, {})
    functions.close()
    assert answer.failed
    assert answer.body["errorMessage"].startswith(f"no worker can be started in {tmp_path}/file: Not a directory; free")
