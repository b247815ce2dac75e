"""A command that may take hours: it is started, polled, and stopped when a poll fails.

Input: `{"command": "…", "pollSeconds": 60}`. Output: the final state of the command, with its files. No state waits
for the command itself, so the limits of 15 minutes of Lambda and of the service do not apply. The lifetime of the
session limits the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

MAX_LIFETIME_SECONDS = 28_800
"""The service's maximum lifetime of a session: eight hours. A command that has not ended by then is lost. The session
function must allow it (`session_seconds`, or `session.longest_seconds` in an environment file)."""


def long_command(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: start, then wait and poll until the command has ended."""
    task = {"task": sfn.JsonPath.object_at("$.started.task")}
    start = OperationTask(
        scope,
        "Start",
        session_function=session_function,
        operation="start_command",
        request={"command": sfn.JsonPath.string_at("$.command"), "sessionTimeoutSeconds": MAX_LIFETIME_SECONDS},
        result_path="$.started",
    )
    wait = sfn.Wait(scope, "Wait", time=sfn.WaitTime.seconds_path("$.pollSeconds"))
    poll = OperationTask(
        scope, "Poll", session_function=session_function, operation="poll_command", request=task, result_path="$.state"
    )
    done = sfn.Pass(scope, "Done", output_path="$.state")
    ended = sfn.Choice(scope, "Has it ended?")

    stop = OperationTask(
        scope,
        "Stop",
        session_function=session_function,
        operation="stop_command",
        request=task,
        result_path="$.stopped",
    )
    failed = sfn.Fail(scope, "Failed", error_path="$.failed.Error", cause_path="$.failed.Cause")
    poll.add_catch(stop, errors=["States.ALL"], result_path="$.failed")
    stop.add_catch(failed, errors=["States.ALL"], result_path="$.notStopped")
    stop.next(failed)

    ended.when(sfn.Condition.boolean_equals("$.state.ended", value=True), done).otherwise(wait)
    return start.next(wait).next(poll).next(ended)
