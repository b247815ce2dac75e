"""The Lambda runtime: AWS's runtime client runs bundles, and failures are reported as by Lambda."""

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

from local_aws import process_tree
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
    functions = Functions(tmp_path, Runtimes.from_checkout().lambda_python, {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    yield functions
    functions.close()


def invoke(functions: Functions, event: object, **changes: Any) -> Any:
    credentials = {"AWS_ACCESS_KEY_ID": "ASIA0"}
    return functions.invoke(config(**changes), bundle(HANDLER), event, "request-1", lambda: credentials)


def test_a_function_has_its_environment_and_no_variable_of_the_host(
    functions: Functions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "1")
    result = invoke(functions, {})
    assert not result.failed
    environment = result.body["environment"]
    assert environment["GREETING"] == "hello"
    assert environment["AWS_ACCESS_KEY_ID"] == "ASIA0"
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "f"
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert "HOST_SECRET" not in environment
    assert result.body["missing"] == "ministack"
    assert 0 < result.body["left"] <= 2000
    assert "handling request-1" in result.log


def test_an_exception_is_reported_by_its_class_and_the_worker_stays_warm(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    result = invoke(functions, {"raise": True})
    assert result.failed
    assert (result.body["errorType"], result.body["errorMessage"]) == ("Throttled", "too many")
    assert invoke(functions, {}).body["pid"] == first


def test_a_timeout_and_an_exit_end_the_worker_with_lambdas_errors(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    timed_out = invoke(functions, {"sleep": 5}, Timeout=1)
    assert timed_out.body == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": "RequestId: request-1 Error: Task timed out after 1.00 seconds",
    }
    exited = invoke(functions, {"exit": True}, Timeout=1)
    assert exited.body["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in exited.body["errorMessage"]
    assert invoke(functions, {}, Timeout=1).body["pid"] != first


def test_concurrent_events_run_in_separate_workers(functions: Functions) -> None:
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(invoke, functions, {"sleep": 0.5}) for _ in range(4)]
        results = [future.result() for future in futures]
    assert len({result.body["pid"] for result in results}) == 4


def test_new_code_and_new_configuration_start_new_workers(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    assert invoke(functions, {}).body["pid"] == first
    assert invoke(functions, {}, CodeSha256="2").body["pid"] != first
    changed = invoke(functions, {}, Environment={"Variables": {"GREETING": "welcome"}})
    assert changed.body["environment"]["GREETING"] == "welcome"


def test_an_import_error_of_a_bundle_is_reported(functions: Functions) -> None:
    result = functions.invoke(config(), bundle("import numpy"), {}, "request-1", dict)
    assert result.failed
    assert result.body["errorType"] == "Runtime.ImportModuleError"
    assert "numpy" in result.body["errorMessage"]


def test_an_import_error_is_reported_for_every_event(functions: Functions) -> None:
    results = [functions.invoke(config(), bundle("import numpy"), {}, "request-1", dict) for _ in range(3)]
    assert [result.body["errorType"] for result in results] == ["Runtime.ImportModuleError"] * 3


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_an_event_succeeds_after_an_idle_worker_was_killed(functions: Functions) -> None:
    first = invoke(functions, {}).body["pid"]
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: process_tree.start_time(first) is None)
    second = invoke(functions, {})
    assert not second.failed
    assert second.body["pid"] != first


def test_a_new_role_starts_workers_with_its_credentials(functions: Functions) -> None:
    def key_of(role: str) -> str:
        credentials = {"AWS_ACCESS_KEY_ID": f"ASIA-{role}"}
        result = functions.invoke(config(Role=role), bundle(HANDLER), {}, "request-1", lambda: credentials)
        return result.body["environment"]["AWS_ACCESS_KEY_ID"]

    assert [key_of("one"), key_of("two")] == ["ASIA-one", "ASIA-two"]


def test_a_busy_worker_of_old_code_finishes_its_event_and_ends(functions: Functions) -> None:
    pid = invoke(functions, {}).body["pid"]
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(invoke, functions, {"sleep": 1})
        time.sleep(0.3)
        assert not invoke(functions, {}, CodeSha256="2").failed
        assert future.result().body["pid"] == pid
    wait_until(lambda: process_tree.start_time(pid) is None)


def test_stopped_workers_leave_no_thread(functions: Functions) -> None:
    before = threading.active_count()
    for version in range(4):
        assert not invoke(functions, {}, CodeSha256=str(version)).failed
    functions.close()
    wait_until(lambda: threading.active_count() <= before)


def test_the_log_group_is_the_configured_one_or_the_default(functions: Functions) -> None:
    def group(**changes: Any) -> str:
        return invoke(functions, {}, **changes).body["environment"]["AWS_LAMBDA_LOG_GROUP_NAME"]

    assert group() == "/aws/lambda/f"
    assert group(LoggingConfig={"LogFormat": "JSON", "LogGroup": "/ours"}) == "/ours"


def test_a_response_above_six_megabytes_fails_with_lambdas_error(functions: Functions) -> None:
    assert len(invoke(functions, {"size": 6_291_554}).body) == 6_291_554
    result = invoke(functions, {"size": 6_291_555})
    assert result.failed
    assert result.body == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": (
            "Response payload size (6291557 bytes) exceeded maximum allowed payload size (6291556 bytes)."
        ),
    }


def test_an_unusable_directory_is_reported_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    functions = Functions(tmp_path / "file", Runtimes.from_checkout().lambda_python, {})
    result = invoke(functions, {})
    functions.close()
    assert result.failed
    assert result.body["errorMessage"].startswith(f"no worker can be started in {tmp_path}/file: Not a directory; free")
