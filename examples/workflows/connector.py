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
        query_language=sfn.QueryLanguage.JSONATA,
        request={"code": "{% $states.input.code %}", "sessionTimeoutSeconds": SESSION_TIMEOUT_SECONDS},
        assign={"codeResult": "{% $states.result %}"},  # the result variable
        comment="Runs the program in a new session",
    )
    mapped = sfn.Pass.jsonata(
        scope,
        "Map the result",
        comment="Selects what the next tasks of the process need",
        outputs={
            "codeResult": "{% $codeResult %}",
            # the result expression = {output: stdout, files: files}
            "output": "{% $codeResult.stdout %}",
            "files": "{% $codeResult.files %}",
        },
    )
    for errors, name in (
        (BUSY_ERRORS, "Try later"),  # the service was busy or failed during all retries
        (NOT_RUN_ERRORS, "Correct the request"),
        (["States.ALL"], "Check for side effects"),  # for any other error, the code may have run
    ):
        to_do = {"error": "{% $states.input %}", "toDo": name}
        next_step = sfn.Pass.jsonata(scope, name, comment="What a person or the process does next", outputs=to_do)
        execute.add_catch(next_step, errors=errors)
    return execute.next(mapped)
