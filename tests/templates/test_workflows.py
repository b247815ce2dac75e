"""The definitions of the deployed workflows: validity, every error at every state, stops, and numbers of events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import aws_cdk as cdk
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandpiper_constructs.run_code_express_workflow import RunCodeExpressWorkflow
from sandpiper_constructs.run_code_workflow import RunCodeWorkflow
from sandpiper_constructs.run_command_workflow import MAX_WAIT_SECONDS, RunCommandWorkflow
from sandpiper_constructs.run_session_workflow import RunSessionWorkflow
from sandpiper_contract.errors import ERRORS
from sandpiper_contract.workflows import MAX_STEPS, SessionResult
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app
from tests.support.session_functions import session_function
from tests.support.simulated_function import Fault, SimulatedFunction
from tests.support.state_machine import StateMachine, TaskError
from tests.support.workflow_definitions import definition_of, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    Definitions = dict[str, dict[str, Any]]

WORKFLOWS = {
    "run-code": RunCodeWorkflow,
    "run-code-express": RunCodeExpressWorkflow,
    "run-command": RunCommandWorkflow,
    "run-session": RunSessionWorkflow,
}
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:approvals"
APPROVAL = {"message": "Publish?", "timeoutSeconds": 3_600}
INPUTS: dict[str, dict[str, Any]] = {
    "run-code": {"code": "print(1)"},
    "run-code-express": {"code": "print(1)"},
    "run-command": {"command": "make"},
    "run-session": {"steps": [{"code": "1", "approval": APPROVAL}, {"command": "ls"}]},
}
LAMBDA_ERRORS = ("Lambda.Unknown", "Lambda.TooManyRequestsException", "States.Timeout")
QUOTA_EVENTS = 25_000
"""https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"""


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> Definitions:
    """Returns the definition of each workflow by name."""
    app = new_app(tmp_path_factory.mktemp("workflows"))
    stack = cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    function = session_function(stack)
    for name, construct in WORKFLOWS.items():
        options = {"topic_arn": TOPIC, "answer_options": "-e dev"} if construct is RunSessionWorkflow else {}
        cast("Any", construct)(stack, name, name=name, session_function=function, **options)
    template = app.synth().get_stack_by_name("stack").template
    machines = (
        each["Properties"]
        for each in template["Resources"].values()
        if "StateMachineName" in each.get("Properties", {})
    )
    return {machine["StateMachineName"]: definition_of(machine) for machine in machines}


def run(
    definition: dict[str, Any], input_: Any, function: SimulatedFunction, **options: Any
) -> tuple[StateMachine, Any]:
    """Runs a workflow. Returns the execution and its output."""
    machine = StateMachine(definition, function, **options)
    return machine, machine.execute(input_)


def tasks(definition: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((name, state) for name, state in definition["States"].items() if state["Type"] == "Task")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_state_has_a_comment_and_every_definition_is_in_jsonata(definitions: Definitions, name: str) -> None:
    definition = definitions[name]
    assert definition["QueryLanguage"] == "JSONata"
    assert definition["Comment"]
    for state in definition["States"].values():
        assert state["Comment"]
        assert state.get("QueryLanguage", "JSONata") == "JSONata"


def test_every_definition_is_valid(definitions: Definitions, tmp_path: Path) -> None:
    for name, definition in definitions.items():
        validate(definition, tmp_path / f"{name}.json")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_error_name_is_caught_at_every_task(definitions: Definitions, name: str) -> None:
    for task, state in tasks(definitions[name]):
        caught = {error for catcher in state["Catch"] for error in catcher["ErrorEquals"]}
        assert "States.ALL" in caught, task


@pytest.mark.parametrize("name", WORKFLOWS)
@pytest.mark.parametrize("performed", [False, True], ids=["before", "after"])
def test_no_error_at_any_state_leaves_a_session(definitions: Definitions, name: str, performed: bool) -> None:
    definition = definitions[name]
    for task, _ in tasks(definition):
        for error in (*ERRORS, *LAMBDA_ERRORS):
            if (task, error) == ("Poll", "CodeFailed"):
                continue  # the function raises it after it has ended the session, which another test covers
            function = SimulatedFunction(Fault(task, error, performed=performed), command_seconds=30)
            machine, output = run(definition, INPUTS[name], function)
            assert function.sessions == {} or task == "Stop sessions", (task, error, machine.visited)
            if machine.error is None:
                assert output is not None
            else:
                assert machine.error[0] in (error, "ApprovalTimedOut", "SessionEnded"), (task, error)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_retryable_error_that_happens_once_is_retried(definitions: Definitions, name: str) -> None:
    for task, state in tasks(definitions[name]):
        for error in {error for entry in state.get("Retry", []) for error in entry["ErrorEquals"]}:
            function = SimulatedFunction(Fault(task, error, times=1), command_seconds=30)
            machine, _ = run(definitions[name], INPUTS[name], function)
            assert machine.error is None, (task, error)


def test_stopping_in_any_state_leaves_only_sessions_of_the_execution(definitions: Definitions) -> None:
    """The rule for stopped executions sends `stop_sessions`, which tests/local runs."""
    for name in ("run-command", "run-session"):
        for state in definitions[name]["States"]:
            function = SimulatedFunction(command_seconds=30)
            machine, _ = run(definitions[name], INPUTS[name], function, stop_in=state)
            assert len(function.sessions) <= 1, (name, state)
            assert machine.error in (None, ("ABORTED", ""))


# run-code-express


@pytest.mark.parametrize("field", ["sessionTimeoutSeconds", "timeoutSeconds"])
def test_an_express_run_that_could_exceed_five_minutes_is_rejected(definitions: Definitions, field: str) -> None:
    machine, _ = run(definitions["run-code-express"], {"code": "1", field: 241}, SimulatedFunction())
    assert machine.error is not None
    assert machine.error[0] == "InvalidRequest"
    assert "sessionTimeoutSeconds is at most 240 and timeoutSeconds at most 220" in machine.error[1]


@pytest.mark.parametrize("input_", ["text", {"code": "1", "timeoutSeconds": "1"}, {}, []], ids=str)
def test_an_invalid_express_input_fails_with_invalid_request(definitions: Definitions, input_: object) -> None:
    machine, _ = run(definitions["run-code-express"], input_, SimulatedFunction())
    assert machine.error is not None
    assert machine.error[0] == "InvalidRequest"


def test_an_express_session_ends_within_the_five_minutes(definitions: Definitions) -> None:
    sent: list[Any] = []

    class Recorder(SimulatedFunction):
        def run(self, state: str, arguments: Any, timeout_seconds: float, machine: StateMachine) -> Any:
            sent.append(arguments["request"])
            return super().run(state, arguments, timeout_seconds, machine)

    run(definitions["run-code-express"], {"code": "1"}, Recorder())
    run(definitions["run-code-express"], {"code": "1", "sessionTimeoutSeconds": 90}, Recorder())
    assert [request["sessionTimeoutSeconds"] for request in sent] == [240, 90]


# run-command


def test_a_command_of_eight_hours_needs_few_events_and_polls(definitions: Definitions) -> None:
    function = SimulatedFunction(command_seconds=28_400)
    request = {"command": "make", "sessionTimeoutSeconds": 28_800}
    machine, output = run(definitions["run-command"], request, function)
    assert output["ended"] is True
    assert machine.events < 3_000 < QUOTA_EVENTS
    assert len(function.polls) < 320
    waits = [later - earlier for earlier, later in zip(function.polls, function.polls[1:], strict=False)]
    assert max(waits) <= MAX_WAIT_SECONDS + 1
    assert waits[0] < 2 < waits[40]


@given(seconds=st.integers(0, 28_000))
@settings(deadline=None, max_examples=30)
def test_a_result_is_at_most_a_tenth_of_its_duration_late(definitions: Definitions, seconds: int) -> None:
    function = SimulatedFunction(command_seconds=seconds)
    run(definitions["run-command"], {"command": "make", "sessionTimeoutSeconds": 28_800}, function)
    started, _ = function.command or (0, None)
    assert function.polls[-1] - started - seconds <= max(3, min(seconds * 0.1, MAX_WAIT_SECONDS) + 2)


@pytest.mark.parametrize("lifetime", [60, 100, 300, 3_600, 28_800])
def test_a_command_without_an_end_times_out_before_its_session_ends(definitions: Definitions, lifetime: int) -> None:
    function = SimulatedFunction(command_seconds=1e9)
    request = {"command": "sleep inf", "sessionTimeoutSeconds": lifetime}
    machine, output = run(definitions["run-command"], request, function)
    assert (machine.error, output["timedOut"], output["exitCode"]) == (None, True, 124)
    assert function.sessions == {}
    assert "Stop" not in machine.visited  # its timeout had ended it, so that its output was complete


def test_a_command_that_ignores_its_timeout_is_stopped_at_the_deadline(definitions: Definitions) -> None:
    class Stubborn(SimulatedFunction):
        def _poll_command(self, request: Any, machine: StateMachine) -> Any:  # noqa: ARG002 - signature of the operation
            self._require(request.task.session.session_id)
            return {"status": "working", "ended": False}

    machine, output = run(definitions["run-command"], {"command": "x", "sessionTimeoutSeconds": 600}, Stubborn())
    assert (machine.error, output["timedOut"], output["exitCode"]) == (None, True, 124)
    request = {"command": "x", "sessionTimeoutSeconds": 600, "failOnError": True}
    machine, _ = run(definitions["run-command"], request, Stubborn())
    assert machine.error is not None
    assert machine.error[0] == "CodeFailed"


@pytest.mark.parametrize("error", ["Throttled", "ServiceFault", "Lambda.Unknown", "States.Timeout"])
def test_two_failed_polls_do_not_end_a_command(definitions: Definitions, error: str) -> None:
    retries = 9 if error == "Throttled" else 1
    function = SimulatedFunction(Fault("Poll", error, visit=3, times=2 * retries), command_seconds=5_000)
    machine, output = run(definitions["run-command"], {"command": "x", "sessionTimeoutSeconds": 7_200}, function)
    assert (machine.error, output["ended"], "Stop" in machine.visited) == (None, True, False)


def test_a_failed_command_fails_the_execution_only_with_fail_on_error(definitions: Definitions) -> None:
    machine, output = run(definitions["run-command"], {"command": "x"}, SimulatedFunction(exit_codes=[3]))
    assert (machine.error, output["exitCode"]) == (None, 3)
    machine, _ = run(
        definitions["run-command"], {"command": "x", "failOnError": True}, SimulatedFunction(exit_codes=[3])
    )
    assert machine.error is not None
    assert machine.error[0] == "CodeFailed"


# run-session

STEPS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "program": st.sampled_from([{"code": "1"}, {"command": "ls"}, {"inputs": [{"path": "a", "text": "b"}]}]),
            "continueOnError": st.booleans(),
            "approval": st.just(APPROVAL),
        },
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=40)
@given(steps=STEPS, codes=st.lists(st.sampled_from([0, 0, 1, 124]), max_size=6), wait=st.sampled_from([1, 290, 3_000]))
def test_steps_run_in_order_until_one_fails(
    definitions: Definitions, steps: list[dict[str, Any]], codes: list[int], wait: int
) -> None:
    requested = [{**step.pop("program", {}), **step} for step in [dict(step) for step in steps]]
    function = SimulatedFunction(exit_codes=codes, answer=lambda: (wait, {"by": "ada"}))
    machine, output = run(definitions["run-session"], {"steps": requested}, function)
    failed = [
        index
        for index, (step, code) in enumerate(zip(requested, codes, strict=False))
        if code and not step.get("continueOnError")
    ]
    expected = failed[0] + 1 if failed else len(steps)
    assert [code for _, code in function.programs] == [
        step.get("code", step.get("command", ":")) for step in requested[:expected]
    ]
    assert function.sessions == {}
    results = output["steps"] if output else json.loads(machine.error[1] if machine.error else "")["steps"]
    assert (machine.error is not None) is bool(failed)
    assert [result["index"] for result in results] == list(range(expected))
    sessions = [session for session, _ in function.programs]
    assert [result["stateLost"] for result in results] == [
        index > 0 and sessions[index] != sessions[index - 1] for index in range(expected)
    ]
    for step, result in zip(requested, results, strict=False):
        is_asked = "approval" in step and result["index"] not in failed[:1]
        assert ("approval" in result) is is_asked
    assert len(function.messages) == sum("approval" in result for result in results)
    SessionResult.from_json({"steps": results}, "result")


def test_fifty_steps_with_long_output_fit_into_the_state(definitions: Definitions) -> None:
    steps = [{"code": "1", "approval": APPROVAL}] * MAX_STEPS
    machine, output = run(definitions["run-session"], {"steps": steps}, SimulatedFunction())
    assert machine.error is None
    assert len(output["steps"]) == MAX_STEPS
    assert machine.events < 2_500 < QUOTA_EVENTS


def test_a_session_that_expires_during_an_approval_is_replaced(definitions: Definitions) -> None:
    function = SimulatedFunction(answer=lambda: (400, {"by": "ada"}))
    _, output = run(definitions["run-session"], INPUTS["run-session"], function)
    first, second = output["steps"]
    assert (first["stateLost"], second["stateLost"]) == (False, True)
    assert first["approval"]["by"] == "ada"
    assert [session for session, _ in function.programs] == ["session-1", "session-2"]


def test_a_session_that_died_is_replaced_and_the_step_runs_once(definitions: Definitions) -> None:
    function = SimulatedFunction()
    function.answer = lambda: function.sessions.clear() or (10, {"by": "ada"})
    machine, output = run(definitions["run-session"], INPUTS["run-session"], function)
    assert machine.error is None
    assert output["steps"][1]["stateLost"] is True
    assert len(function.programs) == 2


def test_a_step_that_never_starts_fails_after_one_new_session(definitions: Definitions) -> None:
    function = SimulatedFunction(Fault("Run step", "SessionEnded"))
    machine, _ = run(definitions["run-session"], {"steps": [{"code": "1"}]}, function)
    assert machine.error is not None
    assert machine.error[0] == "SessionEnded"
    assert json.loads(machine.error[1])["errorMessage"] == "injected"
    assert (function.started, function.sessions) == (2, {})


def test_an_error_with_continue_on_error_is_in_the_results(definitions: Definitions) -> None:
    steps = [{"code": "1", "continueOnError": True}, {"code": "2"}]
    function = SimulatedFunction(Fault("Run step", "StorageError", times=1))
    _, output = run(definitions["run-session"], {"steps": steps}, function)
    assert output["steps"][0] == {"index": 0, "stateLost": False, "error": "StorageError", "cause": "injected"}
    assert output["steps"][1]["stateLost"] is False
    function = SimulatedFunction(Fault("Run step", "SessionLost", times=1, performed=True))
    _, output = run(definitions["run-session"], {"steps": steps}, function)
    assert output["steps"][1]["stateLost"] is True  # the program of the first step may run in the old session
    assert len({session for session, _ in function.programs}) == 2


NO_APPROVALS: list[tuple[tuple[float, Any], str, str]] = [
    ((3_601, {}), "ApprovalTimedOut", "no answer within 3600 s: Publish?"),
    ((5, TaskError("ApprovalRejected", "rejected by ada: not now")), "ApprovalRejected", "rejected by ada: not now"),
]


@pytest.mark.parametrize(("answer", "error", "message"), NO_APPROVALS)
def test_an_approval_without_a_yes_fails_and_keeps_the_results(
    definitions: Definitions, answer: tuple[float, Any], error: str, message: str
) -> None:
    function = SimulatedFunction(answer=lambda: answer)
    machine, _ = run(definitions["run-session"], INPUTS["run-session"], function)
    assert machine.error is not None
    cause = json.loads(machine.error[1])
    assert (machine.error[0], cause["errorMessage"], cause["errorType"]) == (error, message, error)
    assert [step["index"] for step in cause["steps"]] == [0]
    assert (len(function.programs), function.sessions) == (1, {})


def test_the_message_of_an_approval_names_the_commands_and_has_no_token(definitions: Definitions) -> None:
    function = SimulatedFunction()
    run(definitions["run-session"], INPUTS["run-session"], function)
    (message,) = function.messages
    execution = "arn:aws:states:eu-west-1:123456789012:execution:w:1"
    assert f"sandpiper runs approve {execution} -e dev\nsandpiper runs reject {execution} -e dev\n" in message
    assert message.startswith(f"Step 0 of the execution {execution} waits for approval:\n\nPublish?")
    assert "token" not in message


@pytest.mark.parametrize("answer", ["text", None, {}, {"by": 3}], ids=str)
def test_an_answer_of_another_form_is_an_approval(definitions: Definitions, answer: object) -> None:
    _, output = run(definitions["run-session"], INPUTS["run-session"], SimulatedFunction(answer=lambda: (1, answer)))
    assert output["steps"][0]["approval"]["by"] in ("unknown", "3")
