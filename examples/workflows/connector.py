"""A code execution as one task of a process. Its result and parts of it are mapped to variables.

Input: `{"code": "…"}`. Output: `codeResult` with the complete result, and `output` and `files` from the mapping.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

SESSION_TIMEOUT_SECONDS = 300
BUSY_ERRORS = ["Throttled", "QuotaExceeded", "NotStarted", "Lambda.TooManyRequestsException"]
NOT_RUN_ERRORS = ["InvalidRequest", "AccessDenied", "InterpreterNotFound", "StorageError"]


def connector(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: the task, the mapping, and one state for each group of errors."""
    execute = OperationTask(
        scope,
        "Execute code",
        session_function=session_function,
        operation="run_code",
        request={"code": sfn.JsonPath.string_at("$.code"), "sessionTimeoutSeconds": SESSION_TIMEOUT_SECONDS},
        result_path="$.codeResult",  # the result variable
    )
    mapped = sfn.Pass(
        scope,
        "Map the result",
        parameters={
            "codeResult": sfn.JsonPath.object_at("$.codeResult"),
            # the result expression = {output: stdout, files: files}
            "output": sfn.JsonPath.string_at("$.codeResult.stdout"),
            "files": sfn.JsonPath.object_at("$.codeResult.files"),
        },
    )
    for errors, name in (
        (BUSY_ERRORS, "Try later"),  # the service was busy or failed during all retries
        (NOT_RUN_ERRORS, "Correct the request"),
        (["States.ALL"], "Check for side effects"),  # for any other error, the code may have run
    ):
        next_step = sfn.Pass(scope, name, result=sfn.Result.from_string(name), result_path="$.toDo")
        execute.add_catch(next_step, errors=errors, result_path="$.error")
    return execute.next(mapped)
