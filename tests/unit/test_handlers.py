"""The Lambda handler rejects invalid events with InvalidRequest before any call to AWS."""

from __future__ import annotations

import importlib
import io
import json
import sys
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from code_runner.cost import configured_prices
from sandpiper_contract import settings as variables
from sandpiper_contract.errors import AccessDenied, CodeFailed, InvalidRequest, RunError, ServiceFault, StorageError
from sandpiper_contract.events import Event
from sandpiper_contract.files import OutputFile, SkippedFile, SkipReason
from sandpiper_contract.metric_table import OWN
from sandpiper_contract.requests import OpenSession, RunCode, StartCommand
from sandpiper_contract.results import RunResult
from tests.support.contract_values import JSON, nearly_valid_events
from tests.support.failing_clients import FailingClients

if TYPE_CHECKING:
    from types import ModuleType

REQUEST = {"code": "print(1)"}
EVENT = {"operation": "run_code", "run": {"execution": "execution-1"}, "request": REQUEST}


@dataclass(frozen=True)
class Context:
    """Lambda's context of an invocation."""

    function_name: str = "session-function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:session-function"
    aws_request_id: str = "1"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000


@pytest.fixture(scope="module")
def handlers() -> Any:
    """Imports the handler module with the environment variables of Lambda."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variables.BUCKET, "data")
        patch.setenv(variables.PREFIX, "tenants/one")
        patch.setenv(variables.INTERPRETERS, json.dumps({"sandbox": "sandbox-1", "short": "short-1", "long": "long-1"}))
        patch.setenv(variables.SESSION_SECONDS, json.dumps({"short": [120, 600], "long": [300, 28_800]}))
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "one")
        patch.setattr(sys, "tracebacklimit", 1_000, raising=False)  # the function changes it
        yield importlib.import_module("code_runner.handlers")


def rejection(handlers: ModuleType, event: object) -> str:
    """Returns the error message for an invalid event. Asserts that no client was used."""
    clients = FailingClients()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InvalidRequest) as error:
        patch.setattr(handlers, "CLIENTS", clients)
        handlers.run_operation(event, Context())
    assert clients.accesses == 0
    json.dumps(str(error.value)).encode()
    return str(error.value)


def is_valid(event: object) -> bool:
    try:
        Event.from_json(event, "event").typed_request()
    except InvalidRequest:
        return False
    return True


def test_valid_event_calls_aws(handlers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    clients = FailingClients()
    monkeypatch.setattr(handlers, "CLIENTS", clients)
    with pytest.raises(ServiceFault, match="RuntimeError"):
        handlers.run_operation(EVENT, Context())
    assert clients.accesses == 1


def metrics_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Returns the lines in the embedded metric format."""
    return [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]


class FakeSessions:
    """A client whose sessions start and stop."""

    def start_code_interpreter_session(self, **_: object) -> dict[str, str]:
        return {"sessionId": "1"}

    def stop_code_interpreter_session(self, **_: object) -> None: ...


class FakeClients(FailingClients):
    """Clients of which only `sessions` can be used."""

    sessions: Any = FakeSessions()


def test_invocation_publishes_files_sessions_calls_and_cost(
    handlers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = OutputFile(path="a.txt", name="a.txt", content_type="text/plain", size=7, sha256="0", base64=b"content")
    many, unreadable = SkipReason.TOO_MANY_FILES, SkipReason.UNREADABLE
    complete = RunResult(
        stdout="",
        stderr="",
        exit_code=0,
        execution_time_ms=3_600_000,
        files=(file,),
        skipped=tuple(SkippedFile(str(number), 1, reason) for number, reason in enumerate((many, many, unreadable))),
    )

    def run_code(operations: Any, _: object) -> RunResult:
        session = operations.clients.sessions.start_code_interpreter_session(codeInterpreterIdentifier="long-1")
        operations.clients.sessions.stop_code_interpreter_session(sessionId=session["sessionId"])
        operations.on_result(complete)
        return replace(complete, files=(), skipped=())

    monkeypatch.setattr(handlers, "CLIENTS", FakeClients())
    monkeypatch.setattr(handlers.Operations, "run_code", run_code)
    handlers.run_operation(EVENT, Context())
    lines = metrics_of(capsys)
    (own,) = (line for line in lines if "Runs" in line)
    names = ("FilesKept", "BytesKept", "FilesSkipped", "Calls", "SessionsStarted", "SessionsEnded")
    assert [sum(own[name]) for name in names] == [1, 7, 3, 2, 1, 1]
    assert sum(own["DuplicateExecutions"]) == 0
    # One vCPU hour, and almost no time of a session and of the function.
    assert own["EstimatedUsd"] == [pytest.approx(0.0895, abs=0.00001)]
    units = {metric["Name"]: metric["Unit"] for metric in own["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {row.name: row.unit for row in OWN.values() if row.name in units}
    reasons = {line["reason"]: sum(line["FilesSkipped"]) for line in lines if "reason" in line}
    assert reasons == {"TOO_MANY_FILES": 2, "UNREADABLE": 1}


STANDARD = "arn:aws:states:eu-west-1:123456789012:execution:sandpiper-prod-claims-run-code:monday"


class Clock:
    """The clock of the function, which the tests set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1_800_000_000 + self.now


def hour_in_one_session(operations: Any, clock: Clock) -> RunResult:
    """Runs a program for half an hour in a session that is live for an hour."""
    session = operations.clients.sessions.start_code_interpreter_session(codeInterpreterIdentifier="long-1")
    clock.now += 3_600
    operations.clients.sessions.stop_code_interpreter_session(sessionId=session["sessionId"])
    result = RunResult(stdout="", stderr="", exit_code=0, execution_time_ms=1_800_000)
    operations.on_result(result)
    return result


@pytest.mark.parametrize(
    ("prices", "sessions_usd"),
    [
        # 0.5 h x 1 vCPU x 0.0895 + 1 h x 1 GB x 0.00945
        ({}, 0.0542),
        # 0.5 h x 2 vCPU x 0.05 + 1 h x 4 GB x 0.01
        ({"vcpu_hour": 0.05, "gb_hour": 0.01, "assumed_vcpus": 2, "assumed_gb": 4}, 0.09),
    ],
)
def test_an_hour_of_a_session_costs_the_hand_calculated_amount(
    handlers: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prices: dict[str, float],
    sessions_usd: float,
) -> None:
    clock = Clock()
    monkeypatch.setattr("code_runner.invocation_metrics.time", clock)
    monkeypatch.setattr("code_runner.agentcore.counted_clients.time", clock)
    monkeypatch.setenv(variables.PRICES, json.dumps(prices))
    monkeypatch.setattr("code_runner.invocation_metrics.PRICES", configured_prices())
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(handlers, "CLIENTS", FakeClients())

    def run_code(operations: Any, _: object) -> RunResult:
        return hour_in_one_session(operations, clock)

    monkeypatch.setattr(handlers.Operations, "run_code", run_code)
    response = handlers.run_operation(EVENT | {"run": {"execution": STANDARD}}, Context())
    # 3,600 s x 1 GB x 0.0000166667 + a request + a state transition
    usd = round(sessions_usd + 0.06000012 + 0.0000002 + 0.000025, 9)
    assert response["usage"] == {"calls": 2, "sessionSeconds": 3_600.0, "estimatedUsd": usd}
    assert RunResult.from_json(response, "result").usage is not None
    lines = metrics_of(capsys)
    costs = {
        tuple(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]): (
            line["EstimatedUsd"],
            line["EstimatedSessionUsd"],
        )
        for line in lines
    }
    assert {frozenset(names) for names in costs} == {
        frozenset(("service", *more)) for more in ((), ("interpreter",), ("workflow",))
    }
    assert {*map(str, costs.values())} == {str(([usd], [sessions_usd]))}
    values = {line.get("interpreter") or line.get("workflow") for line in lines}
    assert values == {None, "long", "sandpiper-prod-claims-run-code"}


HANDLE = {"interpreter": "long", "sessionId": "1"}


@pytest.mark.parametrize(
    ("started", "seconds"),
    [(None, 0), (1_800_000_000, 1_800), (1_800_009_999, 0), (1, 28_800)],
    ids=["an older handle", "half an hour", "in the future", "longer than a session can be live"],
)
def test_the_time_of_a_session_is_counted_when_it_is_closed(
    handlers: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    started: int | None,
    seconds: float,
) -> None:
    clock = Clock()
    clock.now = 1_800
    monkeypatch.setattr("code_runner.operations.time", clock)
    monkeypatch.setattr(handlers, "CLIENTS", FakeClients())
    session = HANDLE if started is None else HANDLE | {"started": started}
    event = {"operation": "close_session", "run": {"execution": STANDARD}, "request": {"session": session}}
    response = handlers.run_operation(event, Context())
    assert response["usage"]["sessionSeconds"] == seconds
    (interpreter,) = {line["interpreter"] for line in metrics_of(capsys) if "interpreter" in line}
    assert interpreter == "long"


def test_an_unknown_interpreter_and_an_execution_outside_step_functions_create_no_metric(
    handlers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(handlers, "CLIENTS", FakeClients())
    request = {"session": {"interpreter": "unknown", "sessionId": "1"}}
    with pytest.raises(RunError, match="unknown"):
        handlers.run_operation(EVENT | {"operation": "close_session", "request": request}, Context())
    assert not [line for line in metrics_of(capsys) if "interpreter" in line or "workflow" in line]


def test_code_that_was_accepted_twice_is_counted(
    handlers: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_code(operations: Any, _: object) -> RunResult:
        operations.on_duplicate("s3://data/claim.json")
        return RunResult(stdout="", stderr="", exit_code=0, execution_time_ms=1)

    monkeypatch.setattr(handlers.Operations, "run_code", run_code)
    handlers.run_operation(EVENT, Context())
    (own,) = metrics_of(capsys)
    assert sum(own["DuplicateExecutions"]) == 1


def checked(handlers: Any, workflow: str, request: object) -> Any:
    """Returns a valid input of a workflow with its defaults."""
    event = {
        "operation": "check_request",
        "run": {"execution": "1"},
        "request": {"workflow": workflow, "request": request},
    }
    return handlers.run_operation(event, Context())["request"]


def test_an_input_of_a_workflow_is_returned_with_its_defaults(handlers: Any) -> None:
    request = checked(handlers, "run-command", {"command": "make", "outputs": {"paths": ["*.log"]}})
    assert (request["command"], request["failOnError"], request["outputs"]["maxFiles"]) == ("make", False, 10)
    (step,) = checked(handlers, "run-session", {"steps": [{"inputs": [{"path": "a", "text": "b"}]}]})["steps"]
    assert (step["continueOnError"], step["clearContext"], "command" in step) == (False, False, False)
    step["approval"] = {"message": "Publish?"}
    (again,) = checked(handlers, "run-session", {"steps": [step]})["steps"]
    assert again["approval"] == {"message": "Publish?", "timeoutSeconds": 86_400}


SHORT = {"interpreter": "short", "sessionTimeoutSeconds": 601}
APPROVAL = {"message": "?", "timeoutSeconds": 1}
INVALID_INPUTS: list[tuple[str, Any, str]] = [
    ("run-session", {"steps": []}, "steps is a list of 0; allowed: a list of 1 to 50"),
    ("run-session", {"steps": [{}] * 51}, "steps is a list of 51; allowed: a list of 1 to 50"),
    ("run-session", {"steps": [{}, {"code": "1", "command": "2"}]}, "steps[1]: code and command are set; allowed: at "),
    ("run-session", {"steps": [{"outputs": {"figures": True}}]}, "steps[0]: outputs.figures is true; allowed: only wi"),
    ("run-session", {"steps": [{"approval": APPROVAL}]}, "steps[0].approval.timeoutSeconds is 1; allowed: a whole num"),
    ("run-session", {"steps": [{}], **SHORT}, "sessionTimeoutSeconds is 601; allowed: 60 to 600 seconds for the inter"),
    ("run-command", {"command": "make", **SHORT}, "sessionTimeoutSeconds is 601; allowed: 60 to 600 seconds for the "),
    ("run-command", {"command": "make", "outputs": {"figures": True}}, "outputs.figures is true; not allowed: "),
    ("run-code", {}, "none of code, codeS3Uri is set; allowed: exactly one of them"),
    ("run-codes", {}, "workflow is 'run-codes'; allowed: run-code | run-command | run-session"),
]


@pytest.mark.parametrize(("workflow", "request_", "message"), INVALID_INPUTS)
def test_an_invalid_input_of_a_workflow_is_rejected(handlers: Any, workflow: str, request_: Any, message: str) -> None:
    event = {"operation": "check_request", "run": {"execution": "1"}}
    assert rejection(handlers, event | {"request": {"workflow": workflow, "request": request_}}).startswith(message)


def storage_error(code: str) -> StorageError:
    """Returns the error of a run to which S3 responded with an error code."""
    error = StorageError("reading s3://data/a")
    error.__cause__ = ClientError({"Error": {"Code": code}}, "GetObject")
    return error


@pytest.mark.parametrize(
    ("error", "is_denied"),
    [
        (AccessDenied("starting a session"), True),
        (storage_error("AccessDenied"), True),
        # The code of HeadObject, also for an object that does not exist.
        (storage_error("403"), False),
        (storage_error("NoSuchKey"), False),
        (InvalidRequest("code is missing"), False),
        (CodeFailed("exit code 1"), False),
    ],
)
def test_failed_runs_are_counted_by_error_and_denials_by_service(
    handlers: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: RunError,
    is_denied: bool,
) -> None:
    def run_code(_: Any, __: object) -> NoReturn:
        raise error

    monkeypatch.setattr(handlers.Operations, "run_code", run_code)
    with pytest.raises(type(error)):
        handlers.run_operation(EVENT, Context())
    lines = metrics_of(capsys)
    by_error, by_service = sorted(lines, key=lambda line: "FailedRuns" not in line)
    assert (by_error["FailedRuns"], by_error["error"], by_error["service"]) == ([1], type(error).__name__, "one")
    (metrics,) = by_error["_aws"]["CloudWatchMetrics"]
    assert (metrics["Namespace"], sorted(metrics["Dimensions"][0])) == ("Sandpiper", ["error", "service"])
    assert by_service.get("AccessDenied") == ([1] if is_denied else None)
    assert by_service["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]


QUIET = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUIET
@given(event=JSON | st.dictionaries(st.sampled_from(["operation", "run", "request"]), JSON))
def test_json_that_is_not_an_event_is_rejected(handlers: Any, event: object) -> None:
    assert "\n" not in rejection(handlers, event)


@QUIET
@given(event=nearly_valid_events())
def test_almost_valid_event_is_rejected(handlers: Any, event: object) -> None:
    assume(not is_valid(event))
    assert "allowed: " in rejection(handlers, event)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ([], "event is a list of 0; allowed: a JSON object"),
        ({}, "event.operation is missing; allowed: run_code | "),
        (EVENT | {"operation": "__class__"}, "event.operation is '__class__'; allowed: run_code | "),
        (EVENT | {"run": None}, "event.run is null; allowed: a JSON object"),
        ({"operation": "run_code", "run": EVENT["run"]}, "event.request is missing; allowed: any JSON"),
        (EVENT | {"request": None}, "request is null; allowed: a JSON object"),
        (EVENT | {"request": REQUEST | {"a\nb": 1}}, r"'a\nb' is an unknown field"),
        (
            EVENT | {"request": REQUEST | {"sessionTimeoutSeconds": 10**5000}},
            "sessionTimeoutSeconds is a number; allow",
        ),
    ],
)
def test_rejection_states_the_problem(handlers: Any, event: object, expected: str) -> None:
    message = rejection(handlers, event)
    assert message.startswith(expected)
    assert message.endswith(f". Retryable: no. {InvalidRequest.remedy}")


def test_traceback_of_an_unexpected_error_is_logged_but_not_returned(
    handlers: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = io.StringIO()
    monkeypatch.setattr(handlers.logger.registered_handler, "stream", log)
    monkeypatch.setattr(handlers, "CLIENTS", FailingClients())
    for count in (1, 2):  # the second follows a returned error
        with pytest.raises(ServiceFault) as fault:
            handlers.run_operation(EVENT, Context())
        assert traceback.extract_tb(fault.tb) == []
        assert log.getvalue().count("in _fail") == count


def test_session_timeout_above_the_maximum_of_the_interpreter_is_rejected(handlers: Any) -> None:
    request = {"code": "1", "interpreter": "short", "sessionTimeoutSeconds": 601}
    message = rejection(handlers, {"operation": "run_code", "run": EVENT["run"], "request": request})
    assert message.startswith("sessionTimeoutSeconds is 601; allowed: 60 to 600 seconds for the interpreter short")


def test_session_timeout_above_an_hour_is_rejected_unless_the_interpreter_allows_it(handlers: Any) -> None:
    request = {"code": "1", "sessionTimeoutSeconds": 3_601}
    message = rejection(handlers, {"operation": "run_code", "run": EVENT["run"], "request": request})
    assert message.startswith("sessionTimeoutSeconds is 3601; allowed: 60 to 3,600 seconds for the interpreter sandbox")


def test_timeout_that_the_interpreter_has_no_session_for_is_rejected(handlers: Any) -> None:
    request = {"code": "1", "interpreter": "short", "timeoutSeconds": 581}
    message = rejection(handlers, {"operation": "run_code", "run": EVENT["run"], "request": request})
    assert message.startswith("timeoutSeconds is 581; allowed: 1 to 580 seconds for the interpreter short")


@pytest.mark.parametrize(
    ("request_type", "fields", "seconds"),
    [
        (RunCode, {"code": "1"}, 300),
        (RunCode, {"code": "1", "session_timeout_seconds": 3_600}, 3_600),
        (RunCode, {"code": "1", "interpreter": "long", "session_timeout_seconds": 28_800}, 28_800),
        (RunCode, {"code": "1", "interpreter": "short"}, 120),
        (RunCode, {"code": "1", "interpreter": "short", "session_timeout_seconds": 600}, 600),
        (OpenSession, {"interpreter": "short"}, 120),
        # A command continues without a waiting caller, so its default is longer.
        (StartCommand, {"command": "make"}, 3_600),
        (StartCommand, {"command": "make", "interpreter": "short"}, 600),
        # The session outlasts the program, so that its files can be collected.
        (RunCode, {"code": "1", "timeout_seconds": 1}, 300),
        (RunCode, {"code": "1", "timeout_seconds": 840}, 860),
        (RunCode, {"code": "1", "timeout_seconds": 40, "session_timeout_seconds": 60}, 60),
        (RunCode, {"code": "1", "interpreter": "short", "timeout_seconds": 580}, 600),
        (StartCommand, {"command": "make", "timeout_seconds": 3_300}, 3_600),
        (StartCommand, {"command": "make", "interpreter": "long", "timeout_seconds": 3_600}, 3_900),
        (StartCommand, {"command": "make", "interpreter": "long", "timeout_seconds": 28_780}, 28_800),
    ],
)
def test_request_or_interpreter_determines_the_session_lifetime(
    handlers: Any, request_type: Any, fields: dict[str, Any], seconds: int
) -> None:
    assert handlers.TENANT.lifetime_seconds(request_type(**fields)) == seconds
