"""Starts of executions. Express ones are not stored, end after five minutes, and only StartSyncExecution has a result.

MiniStack runs every state machine with StartSyncExecution, and lists and describes executions of both types.
https://docs.aws.amazon.com/step-functions/latest/dg/choosing-workflow-type.html
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import contextvars
import json
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from ministack.core.responses import error_response_json, get_account_id, get_region, json_response, new_uuid, now_iso
from ministack.services import stepfunctions

from local_aws.ministack.patches.stepfunctions_outcomes import require_running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Json = Any
    Record = dict[str, Any]
    Operation = Callable[[Record], Any]

MINISTACK_VERSION = "1.5.33"
MAX_SECONDS = 300
BILLED_STEP_MS = 100
BILLED_MEMORY_MB = 64
"""Duration and memory are rounded up to these. https://aws.amazon.com/step-functions/pricing/"""
POLL_SECONDS = 0.02
ONLY_STANDARD = (
    "_stop_execution",
    "_describe_execution",
    "_get_execution_history",
    "_describe_state_machine_for_execution",
)
"""MiniStack's functions for operations on an execution that reject express executions."""
_start_standard = stepfunctions._start_execution


def install() -> None:
    """Replaces functions of MiniStack's Step Functions."""
    stepfunctions._start_execution = start_execution
    stepfunctions._start_sync_execution = start_sync_execution
    stepfunctions._list_executions = _with_standard_machine(stepfunctions._list_executions)
    for name in ONLY_STANDARD:
        setattr(stepfunctions, name, _with_standard_execution(getattr(stepfunctions, name)))


def start_execution(parameters: Record) -> Json:
    """Starts an execution. The result of an express execution is only in its log."""
    machine = _machine(parameters)
    if machine is None or machine["type"] != "EXPRESS":
        return _running_execution(machine, parameters) or _start_standard(parameters)
    record = _record(machine, parameters)
    _run_in_thread(record)
    return json_response({name: record[name] for name in ("executionArn", "startDate")})


def _running_execution(machine: Record | None, parameters: Record) -> Json:
    """Returns the response for a running standard execution with the same name and input, or None.

    Starting it again has no effect. MiniStack rejects every name that is used again.
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """
    if machine is None or "name" not in parameters:
        return None
    arn = machine["stateMachineArn"].replace(":stateMachine:", ":execution:", 1)
    record = stepfunctions._executions.get(f"{arn}:{parameters['name']}")
    if record is None or record["status"] != "RUNNING" or record["input"] != parameters.get("input", "{}"):
        return None
    return json_response({name: record[name] for name in ("executionArn", "startDate")})


def start_sync_execution(parameters: Record) -> Json:
    """Runs an express execution and returns its result."""
    machine = _machine(parameters)
    if machine is None:
        arn = parameters.get("stateMachineArn")
        return error_response_json("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'", 400)
    if machine["type"] != "EXPRESS":
        return _not_supported("StartSyncExecution", "STANDARD")
    started, record = time.monotonic(), _record(machine, parameters)
    _run_in_thread(record)
    while record["status"] == "RUNNING":
        time.sleep(POLL_SECONDS)
    milliseconds = math.ceil((time.monotonic() - started) * 1000 / BILLED_STEP_MS) * BILLED_STEP_MS
    names = ("executionArn", "stateMachineArn", "name", "startDate", "stopDate", "status", "input", "inputDetails")
    outcome = {name: record[name] for name in ("output", "error", "cause") if record.get(name) is not None}
    return json_response(
        {
            **{name: record[name] for name in names},
            **outcome,
            **({"outputDetails": {"included": True}} if "output" in outcome else {}),
            "billingDetails": {
                "billedDurationInMilliseconds": milliseconds,
                "billedMemoryUsedInMB": BILLED_MEMORY_MB,
            },
        }
    )


def run_nested(resource: str, task_input: Record) -> Record:
    """Runs the `.sync` task for a standard state machine: starts an execution, and stops it with its parent."""
    started = stepfunctions._invoke_nested_start_execution(resource, task_input)
    record = stepfunctions._executions[started["ExecutionArn"]]
    try:
        while record["status"] == "RUNNING":
            time.sleep(POLL_SECONDS)
            require_running()
    except stepfunctions._ExecutionError:
        stepfunctions._stop_execution({"executionArn": record["executionArn"]})
        raise
    described = json.loads(stepfunctions._describe_execution({"executionArn": record["executionArn"]})[2])
    result = {f"{name[:1].upper()}{name[1:]}": value for name, value in described.items() if value is not None}
    if record["status"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(result))
    if resource.endswith(".sync:2"):
        result |= {name: json.loads(result[name]) for name in ("Input", "Output")}
    return result


def _machine(parameters: Mapping[str, Any]) -> Record | None:
    return stepfunctions._state_machines.get(
        stepfunctions._resolve_state_machine_arn(str(parameters.get("stateMachineArn", "")).partition("#")[0])
    )


def _record(machine: Record, parameters: Record) -> Record:
    """Returns a new record. Names of express executions can be used again."""
    name, started = parameters.get("name") or new_uuid(), now_iso()
    prefix = f"arn:aws:states:{get_region()}:{get_account_id()}:express"
    execution_input = parameters.get("input", "{}")
    details = {"input": execution_input, "roleArn": machine["roleArn"]}
    event = {"id": 1, "type": "ExecutionStarted", "timestamp": started, "executionStartedEventDetails": details}
    own_limit = json.loads(machine["definition"]).get("TimeoutSeconds", MAX_SECONDS)
    return {
        "executionArn": f"{prefix}:{machine['name']}:{name}:{new_uuid()}",
        "stateMachineArn": machine["stateMachineArn"],
        "name": name,
        "status": "RUNNING",
        "startDate": started,
        "stopDate": None,
        "input": execution_input,
        "inputDetails": {"included": True},
        "output": None,
        "testCase": "",
        "mockAttempts": {},
        "events": [event],
        "express": True,
        "_timeout_seconds": min(own_limit, MAX_SECONDS),
    }


def _run_in_thread(record: Record) -> None:
    """Runs an execution, whose record is stored while its states run."""
    arn = record["executionArn"]
    stepfunctions._executions[arn] = record

    def run() -> None:
        try:
            stepfunctions._run_execution(arn)
        finally:
            stepfunctions._executions.pop(arn, None)

    threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True).start()


def _not_supported(operation: str, machine_type: str) -> Json:
    message = f"This operation is not supported by this type of state machine: {operation}, {machine_type}"
    return error_response_json("StateMachineTypeNotSupported", message, 400)


def _with_standard_machine(operation: Operation) -> Operation:
    def list_executions(parameters: Record) -> Any:
        machine = _machine(parameters)
        if machine is not None and machine["type"] == "EXPRESS":
            return _not_supported("ListExecutions", "EXPRESS")
        return operation(parameters)

    return list_executions


def _with_standard_execution(operation: Operation) -> Operation:
    def of_execution(parameters: Record) -> Any:
        if ":express:" in str(parameters.get("executionArn", "")):
            message = "Invalid Arn: 'Resource type not valid in this context: express'"
            return error_response_json("InvalidArn", message, 400)
        return operation(parameters)

    return of_execution
