"""Fault injection: each kind from a client's view, the selection of calls, and the validation of plans."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from dataclasses import fields
from http.client import IncompleteRead
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EventStreamError
from urllib3.exceptions import ProtocolError

from local_agentcore import faults
from local_agentcore.errors import MODEL_STATUSES
from local_agentcore.faults import RULE_SCHEMAS, FaultPlanError, Faults, Plan, Rule, Timing, parse_plan
from local_agentcore.operations import OPERATIONS, SERVICES
from local_agentcore.tools import TOOLS
from tests.support.agentcore_sessions import MANAGED

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from local_agentcore.admin_client import FaultInjector

INVOKE = "InvokeCodeInterpreter"
WRITES_A_MARK = {"language": "python", "code": "open('mark', 'a').write('x'); print('a' * 1000)"}


@pytest.fixture
def session(agentcore: Any) -> Generator[dict[str, str]]:
    """Starts a session and returns the request members that identify it."""
    where = {**MANAGED, "sessionId": agentcore.start_code_interpreter_session(**MANAGED)["sessionId"]}
    yield where
    if agentcore.get_code_interpreter_session(**where)["status"] == "READY":
        agentcore.stop_code_interpreter_session(**where)


@pytest.fixture
def invoke(agentcore: Any, session: dict[str, str]) -> Callable[..., Any]:
    """Returns a function that calls a tool and returns its result."""

    def call(name: str, **arguments: Any) -> Any:
        (event,) = agentcore.invoke_code_interpreter(**session, name=name, arguments=arguments)["stream"]
        return event["result"]

    return call


def error_of(call: Callable[[], object]) -> tuple[str, int]:
    """Returns code and status of the error that a call raises."""
    with pytest.raises(ClientError) as raised:
        call()
    response: Any = raised.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def marks(invoke: Callable[..., Any]) -> int:
    """Returns how often WRITES_A_MARK has run in the session."""
    result = invoke("readFiles", paths=["mark"])
    return 0 if result["isError"] else len(result["content"][0]["resource"]["text"])


# The kinds of faults


def test_injecting_something_other_than_a_rule_is_a_type_error(agentcore_faults: FaultInjector) -> None:
    not_a_rule: Any = "latency"
    with pytest.raises(TypeError) as raised:
        agentcore_faults.inject(not_a_rule)
    assert (
        str(raised.value)
        == f"'latency' is not a Rule; allowed: Rule(kind, …) with kind one of {' | '.join(RULE_SCHEMAS)}"
    )


def test_latency_delays_the_call(agentcore_faults: FaultInjector, invoke: Callable[..., Any]) -> None:
    agentcore_faults.inject(Rule("latency", "executeCode", seconds=0.3))
    code = "import time; print(time.time())"
    started_at = time.time()
    assert float(invoke("executeCode", language="python", code=code)["structuredContent"]["stdout"]) > started_at + 0.3


@pytest.mark.parametrize("code", MODEL_STATUSES)
def test_an_error_before_the_call_has_no_effect(
    agentcore_faults: FaultInjector, invoke: Callable[..., Any], code: str
) -> None:
    agentcore_faults.inject(Rule("error", "executeCode", code=code, times=1))
    assert error_of(lambda: invoke("executeCode", **WRITES_A_MARK)) == (code, MODEL_STATUSES[code])
    assert marks(invoke) == 0
    invoke("executeCode", **WRITES_A_MARK)
    assert marks(invoke) == 1


def test_an_error_after_the_call_hides_its_effect(agentcore_faults: FaultInjector, invoke: Callable[..., Any]) -> None:
    agentcore_faults.inject(Rule("error", "executeCode", at="after"))
    assert error_of(lambda: invoke("executeCode", **WRITES_A_MARK)) == ("InternalServerException", 500)
    assert marks(invoke) == 1


def test_throttling_at_a_rate_is_reproducible_by_seed(agentcore_faults: FaultInjector, agentcore: Any) -> None:
    def outcomes(seed: int) -> list[bool]:
        agentcore_faults.inject(Rule("throttling", "ListCodeInterpreterSessions", rate=0.5), seed=seed)
        injected: list[bool] = []
        for _ in range(40):
            try:
                agentcore.list_code_interpreter_sessions(**MANAGED)
                injected.append(False)
            except ClientError as error:
                response: Any = error.response
                assert response["Error"]["Code"] == "ThrottlingException"
                injected.append(True)
        assert agentcore_faults.injected() == [sum(injected)]
        return injected

    assert outcomes(1) == outcomes(1) != outcomes(2)
    assert 5 < sum(outcomes(1)) < 35


def test_a_stream_error_raises_event_stream_error(agentcore_faults: FaultInjector, invoke: Callable[..., Any]) -> None:
    agentcore_faults.inject(Rule("stream_error", INVOKE, times=1, code="ThrottlingException"))
    with pytest.raises(EventStreamError, match=r"\(throttlingException\)"):
        invoke("executeCode", **WRITES_A_MARK)
    assert marks(invoke) == 1


@pytest.mark.parametrize(
    ("at", "error", "runs"),
    [
        ("before", ConnectionClosedError, 0),
        ("unanswered", ConnectionClosedError, 1),
        ("during", ProtocolError, 1),
    ],
)
def test_a_disconnect_closes_the_tcp_connection(
    agentcore_faults: FaultInjector, invoke: Callable[..., Any], at: Any, error: type[Exception], runs: int
) -> None:
    agentcore_faults.inject(Rule("disconnect", "executeCode", at=at, times=1))
    with pytest.raises(error):
        invoke("executeCode", **WRITES_A_MARK)
    assert marks(invoke) == runs


def test_a_disconnect_after_the_event_cuts_the_end_of_the_stream(
    agentcore_faults: FaultInjector, agentcore: Any, session: dict[str, str]
) -> None:
    agentcore_faults.inject(Rule("disconnect", "executeCode", at="after"))
    response = agentcore.invoke_code_interpreter(**session, name="executeCode", arguments=WRITES_A_MARK)
    events = iter(response["stream"])
    assert next(events)["result"]["isError"] is False
    with pytest.raises(ProtocolError):
        next(events)


@pytest.mark.parametrize("at", ["before", "unanswered"])
def test_a_disconnect_also_affects_responses_without_a_stream(
    agentcore_faults: FaultInjector, agentcore_control: Any, at: Any
) -> None:
    agentcore_faults.inject(Rule("disconnect", "ListCodeInterpreters", at=at, times=1))
    with pytest.raises(ConnectionClosedError):
        agentcore_control.list_code_interpreters()
    assert agentcore_control.list_code_interpreters()["codeInterpreterSummaries"]


def test_half_of_a_response_is_sent_with_the_full_content_length(
    agentcore_faults: FaultInjector, agentcore_endpoint: str, agentcore_control: Any
) -> None:
    agentcore_faults.inject(Rule("disconnect", "ListCodeInterpreters", at="during", times=2))
    request = urllib.request.Request(f"{agentcore_endpoint}/code-interpreters", b"", method="POST")  # noqa: S310
    with pytest.raises(IncompleteRead), urllib.request.urlopen(request) as response:  # noqa: S310  loopback
        response.read()
    # botocore parses half a response as a response without members.
    assert "codeInterpreterSummaries" not in agentcore_control.list_code_interpreters()


def test_a_retrying_client_runs_the_code_twice(agentcore_endpoint: str, agentcore_faults: FaultInjector) -> None:
    """boto3's default client retries Invoke after a lost response, and Invoke has no client token."""
    import botocore.session

    data: Any = botocore.session.get_session().create_client(
        "bedrock-agentcore",
        endpoint_url=agentcore_endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106  the emulator does not check it
    )
    where = {**MANAGED, "sessionId": data.start_code_interpreter_session(**MANAGED)["sessionId"]}
    agentcore_faults.inject(Rule("disconnect", "executeCode", at="unanswered", times=1))
    response = data.invoke_code_interpreter(**where, name="executeCode", arguments=WRITES_A_MARK)
    assert next(iter(response["stream"]))["result"]["isError"] is False
    read = data.invoke_code_interpreter(**where, name="readFiles", arguments={"paths": ["mark"]})
    assert next(iter(read["stream"]))["result"]["content"][0]["resource"]["text"] == "xx"
    data.stop_code_interpreter_session(**where)


def test_a_session_that_dies_immediately_fails_its_call_and_is_terminated(
    agentcore_faults: FaultInjector, agentcore: Any, session: dict[str, str], invoke: Callable[..., Any]
) -> None:
    agentcore_faults.inject(Rule("session_dies", "executeCode"))
    assert error_of(lambda: invoke("executeCode", **WRITES_A_MARK)) == ("InternalServerException", 500)
    assert error_of(lambda: invoke("listFiles", path="")) == ("ValidationException", 400)
    assert agentcore.get_code_interpreter_session(**session)["status"] == "TERMINATED"


def test_a_session_that_dies_later_ends_running_code(
    agentcore_faults: FaultInjector, invoke: Callable[..., Any]
) -> None:
    agentcore_faults.inject(Rule("session_dies", "executeCode", seconds=0.3))
    endless = {"language": "python", "code": "while True: pass"}
    assert error_of(lambda: invoke("executeCode", **endless)) == ("InternalServerException", 500)


def test_a_session_that_dies_between_calls_is_terminated(
    agentcore_faults: FaultInjector, agentcore: Any, session: dict[str, str], invoke: Callable[..., Any]
) -> None:
    agentcore_faults.inject(Rule("session_dies", "listFiles", seconds=0.05))
    assert invoke("listFiles", path="")["isError"] is False
    while agentcore.get_code_interpreter_session(**session)["status"] == "READY":
        pass
    assert error_of(lambda: invoke("listFiles", path="")) == ("ValidationException", 400)


@pytest.mark.parametrize(("at", "status"), [("before", "READY"), ("after", "TERMINATED")])
def test_a_failed_stop_ends_the_session_only_if_the_error_comes_after_it(
    agentcore_faults: FaultInjector, agentcore: Any, session: dict[str, str], at: Any, status: str
) -> None:
    agentcore_faults.inject(Rule("error", "StopCodeInterpreterSession", at=at, times=1))
    assert error_of(lambda: agentcore.stop_code_interpreter_session(**session)) == ("InternalServerException", 500)
    assert agentcore.get_code_interpreter_session(**session)["status"] == status


def test_a_slow_file_delays_only_matching_files(agentcore_faults: FaultInjector, invoke: Callable[..., Any]) -> None:
    rule = Rule("slow_file", "writeFiles", path="slow/*.csv", seconds=0.3)
    assert (rule.matches_path("slow/a.csv"), rule.matches_path("fast.csv")) == (True, False)
    agentcore_faults.inject(rule)
    code = "import os; print(os.stat('slow/a.csv').st_mtime - os.stat('fast.csv').st_mtime)"
    content = [{"path": path, "text": "x"} for path in ("fast.csv", "slow/a.csv")]
    invoke("writeFiles", content=content)
    assert float(invoke("executeCode", language="python", code=code)["structuredContent"]["stdout"]) > 0.2


# The selection of calls


def injected_calls(
    rule: Rule, calls: int, operation: str = INVOKE, tool: str | None = "executeCode", seed: int = 0
) -> str:
    """Returns a character per call: x with the fault, a dot without."""
    faults = Faults()
    faults.set_plan(Plan((rule,), seed))
    return "".join("x" if faults.select([rule.kind], operation, tool) else "." for _ in range(calls))


def test_calls_times_and_rate_select_calls() -> None:
    assert injected_calls(Rule("throttling"), 3) == "xxx"
    assert injected_calls(Rule("throttling", times=2), 4) == "xx.."
    assert injected_calls(Rule("throttling", calls=(2, 4)), 5) == ".x.x."
    assert injected_calls(Rule("throttling", calls=(2, 4), times=1), 5) == ".x..."
    assert injected_calls(Rule("throttling", rate=0.0), 9) == "........."
    assert injected_calls(Rule("throttling", rate=1.0), 3) == "xxx"


def test_a_rate_selects_calls_by_the_seed_only() -> None:
    rule = Rule("throttling", "executeCode", rate=0.3)
    single = injected_calls(rule, 60, seed=5)
    faults = Faults()
    faults.set_plan(Plan((rule, Rule("throttling", rate=0.9)), 5))
    mixed = ""
    for _ in range(60):
        faults.select(["throttling"], INVOKE, "readFiles")
        mixed += "x" if rule in faults.select(["throttling"], INVOKE, "executeCode") else "."
    assert single == mixed
    twins = Rule("throttling", rate=0.5), Rule("error", rate=0.5)
    faults.set_plan(Plan(twins, 5))
    injected_rules = [faults.select(["throttling", "error"], INVOKE, None) for _ in range(20)]
    assert any(len(rules) == 1 for rules in injected_rules)
    assert 5 < single.count("x") < 35


def test_a_rule_covers_an_operation_a_tool_or_all_supported_calls() -> None:
    assert injected_calls(Rule("throttling", INVOKE), 1) == "x"
    assert injected_calls(Rule("throttling", "executeCode"), 1) == "x"
    assert injected_calls(Rule("throttling", "readFiles"), 1) == "."
    assert injected_calls(Rule("slow_file", seconds=1), 1, tool="readFiles") == "x"
    assert injected_calls(Rule("slow_file", seconds=1), 1, operation="TagResource", tool=None) == "."


def test_operations_tools_and_statuses_match_the_models(agentcore: Any, agentcore_control: Any) -> None:
    models = [client.meta.service_model for client in (agentcore_control, agentcore)]
    assert [model.service_name for model in models] == list(SERVICES)
    names = {name for model in models for name in model.operation_names}
    assert set(OPERATIONS) == {name for name in names if "CodeInterpreter" in name} | {
        "TagResource",
        "UntagResource",
        "ListTagsForResource",
    }
    invoke = models[1].operation_model(INVOKE)
    assert sorted(TOOLS) == sorted(invoke.input_shape.members["name"].enum)
    shapes = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in invoke.error_shapes}
    assert shapes == MODEL_STATUSES


# The validation of plans


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"kind": "explosion"}, "kind is 'explosion'; allowed: latency | "),
        ({"kind": ["latency"]}, "kind is ['latency']; allowed: a string"),
        ({"on": "executeCode"}, "kind is missing; allowed: latency | "),
        ({"kind": "latency"}, "seconds is None; allowed: a number from 0 to 86400"),
        ({"kind": "latency", "seconds": -1}, "seconds is -1; allowed: a number from 0 to 86400"),
        ({"kind": "throttling", "seconds": 1}, "seconds is not a member of throttling; allowed: none"),
        ({"kind": "throttling", "on": "fly"}, "on is 'fly'; allowed for throttling: * | CreateCodeInterpreter | "),
        ({"kind": "slow_file", "on": "executeCode", "seconds": 1}, "allowed for slow_file: * | InvokeCodeInterpreter"),
        ({"kind": "throttling", "rate": 2}, "rate is 2; allowed: a number from 0 to 1"),
        ({"kind": "throttling", "rate": True}, "rate is True; allowed: a number from 0 to 1"),
        ({"kind": "throttling", "calls": [0]}, "calls is (0,); allowed: call numbers from 1"),
        ({"kind": "throttling", "calls": "1"}, "calls is '1'; allowed: call numbers from 1"),
        ({"kind": "throttling", "rate": 0.5, "calls": [1]}, "rate and calls are both set; allowed: one of them"),
        ({"kind": "throttling", "times": 0}, "times is 0; allowed: an integer from 1"),
        ({"kind": "error", "code": "Teapot"}, "code is 'Teapot'; allowed: InternalServerException | "),
        ({"kind": "error", "at": "during"}, "at is 'during'; allowed for error: before | after"),
        ({"kind": "disconnect", "at": "never"}, "at is 'never'; allowed for disconnect: before | unanswered | "),
        ({"kind": "latency", "seconds": 1, "second": 1}, "'second' is unknown; allowed: at, calls, code, kind, "),
        ("latency", "is not an object"),
    ],
)
def test_an_invalid_rule_is_reported_with_the_allowed_values(
    agentcore_endpoint: str, members: Any, expected: str
) -> None:
    plan = json.dumps({"rules": [{"kind": "throttling"}, members]}).encode()
    with pytest.raises(FaultPlanError) as raised:
        parse_plan(plan)
    message = str(raised.value)
    assert message.startswith("Rule 2")
    assert expected in message
    request = urllib.request.Request(f"{agentcore_endpoint}/_local/faults", plan, method="PUT")  # noqa: S310  loopback
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)  # noqa: S310  loopback
    assert (refused.value.code, json.load(refused.value)) == (400, {"message": message})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"rules": 1}', b'{"rules": [], "seed": 1.5}', b"\xff"])
def test_an_invalid_plan_is_rejected(body: bytes) -> None:
    with pytest.raises(FaultPlanError, match=r"^(The plan|seed) "):
        parse_plan(body)


def test_a_plan_round_trips_through_json() -> None:
    plan = Plan(
        tuple(
            Rule(kind, calls=(1, 3), times=2, seconds=1 if schema.requires_seconds else None)  # type: ignore[arg-type]
            for kind, schema in RULE_SCHEMAS.items()
        ),
        seed=3,
    )
    assert parse_plan(plan.to_json()) == plan


def test_a_rejected_plan_keeps_the_active_one(agentcore_faults: FaultInjector, agentcore_endpoint: str) -> None:
    agentcore_faults.inject(Rule("latency", "TagResource", seconds=1), seed=4)
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(  # noqa: S310  loopback
            urllib.request.Request(f"{agentcore_endpoint}/_local/faults", b"{}", method="PUT")  # noqa: S310
        )
    with urllib.request.urlopen(f"{agentcore_endpoint}/_local/faults") as response:  # noqa: S310
        rule = {"kind": "latency", "on": "TagResource", "seconds": 1, "seen": 0, "injected": 0}
        assert json.load(response) == {"seed": 4, "rules": [rule]}
    agentcore_faults.clear()
    assert agentcore_faults.injected() == []


def test_the_faults_page_names_every_kind_and_member_and_its_plan_is_valid() -> None:
    page = (Path(faults.__file__).parents[1] / "faults.md").read_text()
    for name in (*RULE_SCHEMAS, *(member.name for member in fields(Rule)), *get_args(Timing)):
        assert f"`{name}`" in page or f'"{name}"' in page or f"{name}=" in page, name
    (plan,) = re.findall(r"-d '(.*?)'", page, re.DOTALL)
    assert [rule.kind for rule in parse_plan(plan.encode()).rules] == ["throttling", "latency"]
