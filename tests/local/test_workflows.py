"""The deployed workflows run-command, run-session and run-code-express, end to end on the embedded AWS, or on AWS."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from sandpiper import approvals, stopping
from sandpiper.errors import CliError
from sandpiper_contract.workflows import SessionResult
from tests.support.deployed_workflows import Workflows, until
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.product import Product

APPROVAL = {"message": "Publish the report?"}


@pytest.fixture
def workflows(product: Product) -> Generator[Workflows]:
    """Returns the workflows. Asserts that no session runs after the test."""
    workflows = Workflows(product)
    if ON_AWS:
        names = [each["name"] for each in workflows.client.list_state_machines()["stateMachines"]]
        tenant = product.deployment.run_code_arn.rpartition(":")[2].removesuffix("run-code")
        if not {f"{tenant}run-session", f"{tenant}run-code-express"} <= set(names):
            pytest.skip("the tenant has no workflows run-session and run-code-express")
    yield workflows
    assert product.live_sessions() == []


def test_last_lines_of_a_command_are_visible_until_its_result_has_its_files(workflows: Workflows) -> None:
    execution = workflows.start("run-command", command="echo first; sleep 4; echo last; echo 1 > left.txt")
    result = workflows.result(execution)
    assert (result["ended"], result["exitCode"], result["stdout"].split()) == (True, 0, ["first", "last"])
    assert [file["path"] for file in result["files"]] == ["left.txt"]
    polls = workflows.outputs(execution, "Poll")
    assert polls[-1] == result
    assert {poll["stdout"].strip() for poll in polls[:-1]} >= {"first"}


def test_invalid_input_fails_before_anything_starts(workflows: Workflows) -> None:
    error, cause = workflows.result(workflows.start("run-command", command="ls", outputs={"figures": True}))
    assert error == "InvalidRequest"
    assert cause["errorMessage"].startswith("outputs.figures is true; not allowed")
    error, cause = workflows.result(workflows.start("run-session", steps=[{"code": "1"}, {"cod": "1"}]))
    assert error == "InvalidRequest"
    assert cause["errorMessage"].startswith("steps[1].cod is an unknown field")


def test_a_stopped_command_leaves_no_session(workflows: Workflows) -> None:
    execution = workflows.start("run-command", command="sleep 600")
    until(lambda: workflows.outputs(execution, "Poll"))
    workflows.stop(execution)
    assert workflows.ended(execution)["status"] == "ABORTED"


def test_steps_share_a_session_and_each_has_its_result(workflows: Workflows, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[dict[str, Any]] = [
        {"inputs": [{"path": "n.txt", "text": "20"}], "outputs": {"paths": []}},
        {"code": "n = int(open('n.txt').read()); print(n + 1)"},
        {"command": "exit 3", "continueOnError": True},
        {"code": "open('double.txt', 'w').write(str(2 * (n + 1))); print('y' * 9_000_000)"},
        {"outputs": {"paths": ["double.txt"]}, "approval": APPROVAL},
        {"code": "print('approved')"},
    ]
    execution = workflows.start("run-session", steps=steps)
    pending = workflows.pending(execution)
    assert (pending.step, pending.message) == (4, "Publish the report?")
    assert [step["exitCode"] for step in workflows.outputs(execution, "Run step")] == [0, 0, 3, 0, 0]  # while it runs
    assert approvals.approve(workflows.product.session, execution, "ada") == pending
    with pytest.raises(CliError, match="does not wait for an approval: it was answered"):
        approvals.approve(workflows.product.session, execution, "ada")
    with monkeypatch.context() as patch:  # two answers at the same time: the second finds the approval pending too
        patch.setattr(approvals, "pending_approval", Mock(return_value=pending))
        with pytest.raises(CliError, match="does not wait for an approval: it was answered"):
            approvals.reject(workflows.product.session, execution, "bob")
    result = workflows.result(execution)
    SessionResult.from_json(result, "result")
    results = [step["result"] for step in result["steps"]]
    assert [step["exitCode"] for step in results] == [0, 0, 3, 0, 0, 0]
    assert (results[1]["stdout"], results[5]["stdout"]) == ("21", "approved")
    assert len(results[3]["stdout"]) < 40_000
    assert results[3]["stdoutUri"].endswith("stdout.txt")
    assert [file["path"] for file in results[4]["files"]] == ["double.txt"]
    assert result["steps"][4]["approval"]["by"] == "ada"
    assert not any(step["stateLost"] for step in result["steps"])


def test_a_rejected_approval_fails_with_the_results_so_far(workflows: Workflows) -> None:
    execution = workflows.start("run-session", steps=[{"code": "print(1)", "approval": APPROVAL}, {"code": "print(2)"}])
    workflows.pending(execution)
    approvals.reject(workflows.product.session, execution, "ada", "the total is wrong")
    error, cause = workflows.result(execution)
    assert (error, cause["errorMessage"]) == ("ApprovalRejected", "step 0 was rejected by ada: the total is wrong")
    assert [step["result"]["stdout"] for step in cause["steps"]] == ["1"]


def test_a_failed_step_ends_the_run_with_its_result_in_the_cause(workflows: Workflows) -> None:
    error, cause = workflows.result(
        workflows.start("run-session", steps=[{"code": "print('before'); 1/0"}, {"code": "2"}])
    )
    assert (error, cause["errorMessage"]) == (
        "CodeFailed",
        "step 0 of 2 ended with exit code 1",
    )
    (step,) = cause["steps"]
    assert (step["result"]["stdout"], "ZeroDivisionError" in step["result"]["stderr"]) == ("before", True)


def test_a_session_that_ended_during_an_approval_is_replaced(workflows: Workflows) -> None:
    steps = [{"code": "n = 1", "approval": APPROVAL}, {"code": "print('n' in globals())"}]
    execution = workflows.start("run-session", steps=steps)
    workflows.pending(execution)
    (session,) = workflows.product.live_sessions()
    interpreter = next(iter(workflows.product.deployment.interpreters.values()))
    workflows.product.session.client("bedrock-agentcore").stop_code_interpreter_session(
        codeInterpreterIdentifier=interpreter, sessionId=session
    )
    approvals.approve(workflows.product.session, execution, "ada")
    first, second = workflows.result(execution)["steps"]
    assert (first["stateLost"], second["stateLost"], second["result"]["stdout"]) == (False, True, "False")


def test_an_execution_that_is_stopped_while_it_waits_for_approval_leaves_no_session(workflows: Workflows) -> None:
    execution = workflows.start("run-session", steps=[{"code": "1", "approval": APPROVAL}])
    workflows.pending(execution)
    workflows.stop(execution)
    with pytest.raises(CliError, match="does not wait for an approval"):
        approvals.approve(workflows.product.session, execution, "ada")


def test_an_express_run_returns_its_result_and_runs_again_under_the_same_name(workflows: Workflows) -> None:
    """The name of a standard execution is unique for 90 days; Express executions have no such guarantee."""
    machine = workflows.product.deployment.run_code_arn + "-express"
    name, request = str(uuid.uuid4()), json.dumps({"code": "import uuid; print(uuid.uuid4())"})
    runs = [workflows.client.start_sync_execution(stateMachineArn=machine, name=name, input=request) for _ in range(2)]
    assert [run["status"] for run in runs] == ["SUCCEEDED"] * 2
    assert len({json.loads(run["output"])["stdout"] for run in runs}) == 2
    rejected = workflows.client.start_sync_execution(
        stateMachineArn=machine, input=json.dumps({"code": "1", "sessionTimeoutSeconds": 300})
    )
    assert (rejected["status"], rejected["error"]) == ("FAILED", "InvalidRequest")
    product = workflows.product
    with pytest.raises(CliError, match="is an Express execution, which Step Functions does not keep"):
        stopping.stop_execution(product.session, product.deployment, rejected["executionArn"])
