"""Runs the states of executions, with checkpoints from which RedriveExecution continues.

MiniStack always begins with the first state, does not store where an execution has failed, writes no history events in
branches and items, and shares variables and the context object between concurrent branches.
https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import copy
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, json_response, now_iso
from ministack.services import stepfunctions

from local_aws.ministack.patches import service_metrics
from local_aws.ministack.patches.stepfunctions_history import log_event
from local_aws.ministack.patches.stepfunctions_outcomes import (
    attempt_of,
    emit_status_event,
    limited,
    missing_execution,
    not_redrivable,
    redrive_count,
    require_running,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = Any
    Record = dict[str, Any]
    Handler = Callable[..., tuple[Json, str | None]]

MINISTACK_VERSION = "1.5.33"
_SIMPLE: dict[str, str] = {"Pass": "_execute_pass", "Choice": "_execute_choice", "Wait": "_execute_wait"}
_COMPOUND: dict[str, str] = {"Task": "_execute_task", "Parallel": "_execute_parallel", "Map": "_execute_map"}
"""Names of MiniStack's functions for the states of a type. Those of compound states get the record as well."""
_handle_request = stepfunctions.handle_request
_run_branches, _run_items = stepfunctions._run_parallel_branches, stepfunctions._run_map_items
_redriving = threading.Lock()


@dataclass
class Checkpoint:
    """Where the states of an execution, a branch or an item have arrived.

    Attributes:
        name: The state that runs or has failed.
        value: Its input.
        entered: When it was entered.
        variables: The variables at that time.
        is_done: Whether all states have ended, so that `value` is the output.
    """

    name: str
    value: Json
    entered: str
    variables: dict[str, Json]
    is_done: bool = False


@dataclass
class Progress:
    """The checkpoints of an execution.

    Attributes:
        definition: The state machine's definition when the execution started, which redrives use as well.
        checkpoints: Checkpoints by the path of the states, which is empty for the execution itself.
        visits: The number of the last visit and its redrive, by the path of a Parallel or Map state.
    """

    definition: Record
    checkpoints: dict[tuple[object, ...], Checkpoint] = field(default_factory=dict)
    visits: dict[tuple[object, ...], tuple[int, int]] = field(default_factory=dict)


_path: contextvars.ContextVar[tuple[object, ...]] = contextvars.ContextVar("path", default=())
_compound: contextvars.ContextVar[Record | None] = contextvars.ContextVar("compound", default=None)
"""The Parallel state whose branches run, or None in the items of a Map."""


def current_path() -> tuple[object, ...]:
    """Returns the path of the states that run: for each Parallel or Map around them the visit and the index."""
    return _path.get()


def install() -> None:
    """Replaces functions of MiniStack's Step Functions, and adds RedriveExecution."""
    stepfunctions.handle_request = handle_request
    stepfunctions._run_execution = run_execution
    stepfunctions._run_sub_machine = run_sub_machine
    stepfunctions._run_parallel_branches = run_branches
    stepfunctions._run_map_items = run_items


async def handle_request(method: str, path: str, headers: Any, body: Any, query: Any) -> Json:
    """Handles a request of the API. MiniStack's own function has a fixed table of operations."""
    if headers.get("x-amz-target", "").endswith(".RedriveExecution"):
        return stepfunctions._finalize_response(redrive_execution(json.loads(body or "{}")))
    return await _handle_request(method, path, headers, body, query)


def redrive_execution(parameters: Record) -> Json:
    """Runs an unsuccessful execution again from where it has failed, with the same definition and input."""
    record = stepfunctions._executions.get(parameters.get("executionArn"))
    if record is None:
        return missing_execution(parameters)
    token = parameters.get("clientToken")
    with _redriving:
        if token is not None and record.get("_redrive_token") == token:
            return json_response({"redriveDate": record["redriveDate"]})
        reason = "A child execution is redriven by its Map Run" if record.get("mapRunArn") else not_redrivable(record)
        if reason is not None:
            return error_response_json("ExecutionNotRedrivable", f"Execution is not redrivable: '{reason}'", 400)
        begin_redrive(record)
        record["_redrive_token"] = token
    emit_status_event(record)
    arguments = (stepfunctions._run_execution, record["executionArn"])
    threading.Thread(target=contextvars.copy_context().run, args=arguments, daemon=True).start()
    return json_response({"redriveDate": record["redriveDate"]})


def begin_redrive(record: Record) -> None:
    """Sets an execution to RUNNING for another attempt."""
    count = redrive_count(record) + 1
    for name in ("error", "cause"):
        record.pop(name, None)
    record.update(redriveCount=count, redriveDate=now_iso(), stopDate=None, output=None)
    stepfunctions._add_event(record, "ExecutionRedriven", {"executionRedrivenEventDetails": {"redriveCount": count}})
    record["status"] = "RUNNING"


def run_execution(execution_arn: str) -> None:
    """Runs an execution, or continues it after a redrive."""
    record = stepfunctions._executions.get(execution_arn)
    machine = stepfunctions._state_machines.get(record["stateMachineArn"]) if record else None
    if record is None:
        return
    if machine is None:
        stepfunctions._fail_execution(record, "StateMachineDeleted", "State machine no longer exists")
        return
    with attempt_of(record) as attempt:
        try:
            if "_progress" not in record:
                service_metrics.record_start(record)
                _begin(record, json.loads(machine["definition"]))
            definition = record["_progress"].definition
            context = _context(record, machine, definition)
            with limited(attempt, record.get("_timeout_seconds", definition.get("TimeoutSeconds"))):
                output = run_states(
                    definition["States"], definition["StartAt"], context["Execution"]["Input"], record, context
                )
            attempt.end("SUCCEEDED", output=json.dumps(output))
        except stepfunctions._ExecutionError as error:
            attempt.end("FAILED", error=error.error, cause=error.cause)
        except Exception as error:
            stepfunctions.logger.exception("unexpected error in execution %s", execution_arn)
            attempt.end("FAILED", error="States.Runtime", cause=str(error))
        if record["status"] == "SUCCEEDED":
            del record["_progress"]  # nothing is left to redrive


def _begin(record: Record, definition: Record) -> None:
    record["_progress"] = Progress(definition)
    record["events"][0]["previousEventId"] = 0
    log_event(record, record["events"][0])


def _context(record: Record, machine: Record, definition: Record) -> Record:
    execution = {
        "Id": record["executionArn"],
        "Input": json.loads(record["input"]),
        "Name": record["name"],
        "RoleArn": machine["roleArn"],
        "StartTime": record["startDate"],
        "RedriveCount": redrive_count(record),
    }
    if "redriveDate" in record:
        execution["RedriveTime"] = record["redriveDate"]
    return {
        "QueryLanguage": definition.get("QueryLanguage", "JSONPath"),
        "Execution": execution,
        "StateMachine": {"Id": record["stateMachineArn"], "Name": machine["name"]},
        "variables": {},
    }


def run_branches(state: Record, raw_input: Json, record: Record, context: Record) -> tuple[Json, str | None]:
    """Runs the branches of a Parallel state. After a redrive, those that have succeeded do not run again."""
    if stepfunctions._state_query_language(state, context) != "JSONata":
        return _visit(_run_branches, state, raw_input, record, context, branches=state)
    # MiniStack's function knows only the fields of JSONPath.
    value = stepfunctions._apply_jsonata_arguments(state, raw_input, context)
    plain = {"Branches": state["Branches"]}
    result, _ = _visit(_run_branches, plain, value, record, context, branches=state)
    output = stepfunctions._apply_jsonata_output(state, raw_input, context, result=result, default=result)
    stepfunctions._apply_state_assign(state, raw_input, context, result=result)
    return output, stepfunctions._next_or_end(state)


def run_items(state: Record, raw_input: Json, record: Record, context: Record) -> tuple[Json, str | None]:
    """Runs the items of a Map. After a redrive, those that have succeeded do not run again."""
    return _visit(_run_items, state, raw_input, record, context, branches=None)


def _visit(
    run: Handler, state: Record, raw_input: Json, record: Record, context: Record, *, branches: Record | None
) -> tuple[Json, str | None]:
    """Runs a Parallel or Map state. A retry begins all of its branches again, a redrive only those that failed."""
    key = (*_path.get(), context["State"]["Name"], context["State"]["EnteredTime"])
    visits, redrive = record["_progress"].visits, redrive_count(record)
    number, last_redrive = visits.get(key, (0, redrive))
    visits[key] = (number if key in visits and last_redrive < redrive else number + 1, redrive)
    path, compound = _path.set((*key, visits[key][0])), _compound.set(branches)
    try:
        return run(state, raw_input, record, context)
    finally:
        _path.reset(path)
        _compound.reset(compound)


def run_sub_machine(states: Record, start_at: str, raw_input: Json, record: Record, context: Record) -> Json:
    """Runs the states of a branch or of an item of an inline Map.

    Variables of the state around them can be read and not assigned.
    https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
    """
    compound = _compound.get()
    if compound is not None:
        index = next(index for index, branch in enumerate(compound["Branches"]) if branch["States"] is states)
    else:
        index = context["Map"]["Item"]["Index"]
    token = _path.set((*_path.get(), index))
    try:
        own = {**context, "Execution": dict(context["Execution"]), "variables": dict(context.get("variables", {}))}
        return run_states(states, start_at, raw_input, record, own)
    finally:
        _path.reset(token)


def run_child_execution(processor: Record, child_input: Json, record: Record, context: Record) -> Json:
    """Runs the states of a child execution of a Distributed Map, which has its own identity and variables.

    https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
    """
    if "_progress" not in record:
        _begin(record, processor)
    execution = context["Execution"] | {
        "Id": record["executionArn"],
        "Input": child_input,
        "Name": record["name"],
        "StartTime": record["startDate"],
        "RedriveCount": redrive_count(record),
    }
    own = {**context, "Execution": execution, "variables": {}}
    path = _path.set(())
    try:
        with attempt_of(record):
            return run_states(processor["States"], processor["StartAt"], child_input, record, own)
    finally:
        _path.reset(path)


def run_states(states: Record, start_at: str, raw_input: Json, record: Record, context: Record) -> Json:
    """Runs states from the first, or from the checkpoint of an earlier attempt, and returns the output."""
    path, checkpoints = _path.get(), record["_progress"].checkpoints
    checkpoint = checkpoints.get(path)
    is_redriven = checkpoint is not None
    if checkpoint is None:
        checkpoint = Checkpoint(start_at, copy.deepcopy(raw_input), now_iso(), dict(context["variables"]))
        checkpoints[path] = checkpoint
    if checkpoint.is_done:
        return copy.deepcopy(checkpoint.value)
    context["variables"].update(checkpoint.variables)
    while True:
        require_running()
        name, value = checkpoint.name, copy.deepcopy(checkpoint.value)
        state = states.get(name)
        if state is None:
            raise stepfunctions._ExecutionError("States.Runtime", f"State '{name}' not found")
        if not is_redriven:
            entered = {"name": name, "input": json.dumps(value)}
            stepfunctions._add_event(record, f"{state['Type']}StateEntered", {"stateEnteredEventDetails": entered})
        context["State"] = {"Name": name, "EnteredTime": checkpoint.entered, "RetryCount": 0}
        output, following = _run_state(state, value, record, context)
        require_running()
        exited = {"name": name, "output": json.dumps(output)}
        stepfunctions._add_event(record, f"{state['Type']}StateExited", {"stateExitedEventDetails": exited})
        is_redriven = False
        checkpoint.value, checkpoint.variables = copy.deepcopy(output), dict(context["variables"])
        if following is None:
            checkpoint.is_done = True
            return output
        checkpoint.name, checkpoint.entered = following, now_iso()


def _run_state(state: Record, value: Json, record: Record, context: Record) -> tuple[Json, str | None]:
    kind = state["Type"]
    if kind == "Succeed":
        return _succeed(state, value, context), None
    if kind == "Fail":
        raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, value, context))
    if kind in _SIMPLE:
        return getattr(stepfunctions, _SIMPLE[kind])(state, value, context)
    if kind in _COMPOUND:
        return getattr(stepfunctions, _COMPOUND[kind])(state, value, record, context)
    raise stepfunctions._ExecutionError("States.Runtime", f"Unknown state type: {kind}")


def _succeed(state: Record, value: Json, context: Record) -> Json:
    """Returns the output of a Succeed state. MiniStack ignores `Output` of JSONata."""
    if stepfunctions._state_query_language(state, context) == "JSONata":
        return stepfunctions._apply_jsonata_output(state, value, context, default=value)
    return stepfunctions._apply_output_path(state, stepfunctions._apply_input_path(state, value, context), context)
