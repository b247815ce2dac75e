"""A command that may take hours: it is started, polled, and stopped when a poll fails.

Input: `{"command": "…", "pollSeconds": 60}`. Output: the command's last state, with its files. No state waits for the
command itself, so neither Lambda's 15 minutes nor the service's bound it; its session's lifetime does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

LONGEST_SECONDS = 28_800
"""The service's longest session, eight hours. What outlives it is lost."""


def long_command(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: start, then wait and poll until the command has ended."""
    task = {"task": sfn.JsonPath.object_at("$.started.task")}
    start = OperationTask(
        scope,
        "Start",
        session_function=session_function,
        operation="start_command",
        request={"command": sfn.JsonPath.string_at("$.command"), "sessionTimeoutSeconds": LONGEST_SECONDS},
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
