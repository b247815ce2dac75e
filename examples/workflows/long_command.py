"""A command that may take hours: it is started, polled, and stopped when a poll fails.

Input: `{"command": "…", "pollSeconds": 60}`. Output: the final state of the command, with its files. No state waits
for the command itself, so the limits of 15 minutes of Lambda and of the service do not apply. The lifetime of the
session limits the command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    def task(name: str, operation: str, request: dict[str, Any], comment: str, **more: Any) -> OperationTask:
        return OperationTask(
            scope,
            name,
            session_function=session_function,
            operation=operation,
            query_language=sfn.QueryLanguage.JSONATA,
            request=request,
            comment=comment,
            **more,
        )

    start = task(
        "Start",
        "start_command",
        {"command": "{% $states.input.command %}", "sessionTimeoutSeconds": MAX_LIFETIME_SECONDS},
        "Starts the command, which continues after the response",
        assign={"task": "{% $states.result.task %}", "pollSeconds": "{% $states.input.pollSeconds %}"},
    )
    wait = sfn.Wait.jsonata(
        scope, "Wait", comment="The interval between two polls", time=sfn.WaitTime.seconds("{% $pollSeconds %}")
    )
    handle = {"task": "{% $task %}"}
    poll = task("Poll", "poll_command", handle, "Its output is the state of the command")
    done = sfn.Succeed.jsonata(scope, "Done", comment="The output is the final state of the command")
    ended = sfn.Choice.jsonata(scope, "Has it ended?", comment="Ends the loop")

    failure = {"failure": "{% $states.errorOutput %}"}
    stop = task("Stop", "stop_command", handle, "Ends the command and its session after a failed poll")
    failed = sfn.Fail.jsonata(
        scope,
        "Failed",
        comment="Fails with the first error",
        error="{% $failure.Error %}",
        cause="{% $exists($failure.Cause) ? $failure.Cause : '' %}",
    )
    start.add_catch(failed, errors=["States.ALL"], assign=failure)
    poll.add_catch(stop, errors=["States.ALL"], assign=failure)
    stop.add_catch(failed, errors=["States.ALL"])
    stop.next(failed)

    ended.when(sfn.Condition.jsonata("{% $states.input.ended %}"), done).otherwise(wait)
    return start.next(wait).next(poll).next(ended)
