"""The Lambda runtime alone: AWS's runtime client on a bundle, with Lambda's own answers to what goes wrong."""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.lambda_runtime.functions import Functions
from local_aws.settings import Runtimes

if TYPE_CHECKING:
    from collections.abc import Generator
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
