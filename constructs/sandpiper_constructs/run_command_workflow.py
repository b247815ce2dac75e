"""The state machine `run-command`: a command or a program of up to eight hours, which is polled until it ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask, max_task_seconds
from sandpiper_constructs.session_workflow import SessionWorkflow, WorkflowOptions
from sandpiper_constructs.workflow_ending import FAILURE, JSONATA, NO_FAILURE, catch, expression, failed, stop_sessions
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

MIN_WAIT_SECONDS = 1
MAX_WAIT_SECONDS = 120
"""1,000 sessions, the default quota, are then polled 8 times per second."""
WAIT_SHARE = 0.1
"""Share of the time since the start after which the next poll follows, so that a result is at most that much late."""
COLLECTION_SECONDS = 15
"""Time between the last poll and the end of the session: to stop the command and to collect its files."""
MAX_FAILED_POLLS = 3
"""Consecutive polls that may fail, each after its retries. A poll changes nothing, so the command continues."""
PERMANENT_POLL_ERRORS = ("InvalidRequest", "AccessDenied", "InterpreterNotFound", "SessionEnded", "SessionLost")
"""Errors after which another poll would fail as well."""
POLL_FIELDS = ("outputs", "failOnError")
"""The fields of the input that `poll_command` gets. The others are those of `start_command`."""
NEXT_WAIT = f"""(
  $elapsed := ($millis() - $started) / 1000;
  $left := ($deadline - $millis()) / 1000;
  $ceil($max([{MIN_WAIT_SECONDS}, $min([{MAX_WAIT_SECONDS}, $elapsed * {WAIT_SHARE}, $left])]))
)"""
DEADLINE = f"""(
  $ends := $states.result.task.session.ends;
  $exists($ends) ? ($ends - {COLLECTION_SECONDS}) * 1000 : $millis() + {SESSION_TIMEOUT_SECONDS[1]}000
)"""


class RunCommandWorkflow(SessionWorkflow):
    """Creates a state machine that runs a command or a program for up to eight hours.

    The input is a `CommandRequest` of the contract, the output the final `CommandState`. While the command runs, the
    last output of the state `Poll` in the execution's history has its last lines.

    Example:
        ```python
        RunCommandWorkflow(stack, "RunCommand", name="claims-run-command", session_function=function)
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        session_function: SessionFunction,
        **options: Unpack[WorkflowOptions],
    ) -> None:
        """Creates the state machine.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the state machine's name, unique in its account and region.
            session_function: the function that runs the command.
            **options: `log_retention`, `key` and `retain_logs` of `WorkflowOptions`.
        """
        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=lambda scope: _states(scope, session_function),
            # The lifetime of the session ends the command, and its tasks have timeouts. This is the upper limit.
            timeout_seconds=SESSION_TIMEOUT_SECONDS[1] + 4 * max_task_seconds(session_function),
            comment="Runs a command for up to eight hours in its own session",
            query_language=JSONATA,
            **options,
        )


def _states(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: check, start, then wait and poll until the command has ended, and stop it after a failure."""
    task = partial(OperationTask, scope, session_function=session_function, query_language=JSONATA)
    check = task(
        "Check request",
        operation="check_request",
        request={"workflow": "run-command", "request": "{% $states.input %}"},
        comment="Validates the input before anything is started",
        assign={
            "start": f"{{% $sift($states.result.request, function($v, $k) {{ $not($k in {list(POLL_FIELDS)}) }}) %}}",
            **{field: f"{{% $states.result.request.{field} %}}" for field in POLL_FIELDS},
            "failedPolls": 0,
            **NO_FAILURE,
        },
    )
    start = task(
        "Start",
        operation="start_command",
        request="{% $start %}",
        comment="Starts a session and the command in it, which continues after the response",
        outputs={},
        assign={
            "task": "{% $states.result.task %}",
            "started": "{% $millis() %}",
            "deadline": expression(DEADLINE),
            "wait": MIN_WAIT_SECONDS,
        },
    )
    wait = sfn.Wait.jsonata(
        scope,
        "Wait",
        comment="A tenth of the time since the start, at most two minutes, and not beyond the deadline",
        time=sfn.WaitTime.seconds("{% $wait %}"),
        outputs={},
    )
    handle = {"task": "{% $task %}", "outputs": "{% $outputs %}"}
    poll = task(
        "Poll",
        operation="poll_command",
        request={**handle, "failOnError": "{% $failOnError %}"},
        comment="Its output has the last lines of a running command, or the result and the files of one that has ended",
        assign={"wait": expression(NEXT_WAIT), "failedPolls": 0},
    )
    ended = sfn.Choice.jsonata(
        scope, "Has it ended?", comment="Ends the loop with the result, or at the deadline", outputs={}
    )
    poll_again = sfn.Choice.jsonata(
        scope, "Poll again?", comment="A failed poll has no effect on the command, so it is repeated"
    )
    stop = task(
        "Stop",
        operation="stop_command",
        request=handle,
        comment="Ends the command, collects its files and ends the session",
        outputs="{% $failure = null ? $merge([$states.result, {'timedOut': true, 'exitCode': 124}]) : {} %}",
        assign={
            "failure": "{% $failure = null and $failOnError ? {'Error': 'CodeFailed', 'Cause': "
            "'the command was stopped before the lifetime of its session ended'} : $failure %}"
        },
    )
    result = sfn.Choice.jsonata(scope, "Result or error?", comment="After the session has ended")
    done = sfn.Succeed.jsonata(scope, "Done", comment="The output is the final state of the command, with its files")
    not_done = failed(scope)
    sweep = stop_sessions(scope, session_function, result)

    catch(check, not_done, not_done)
    catch(start, not_done, sweep)
    poll.add_catch(not_done, errors=["CodeFailed"], assign=FAILURE)  # its session has ended
    poll.add_catch(stop, errors=list(PERMANENT_POLL_ERRORS), assign=FAILURE)
    poll.add_catch(
        poll_again,
        errors=["States.ALL"],
        assign={**FAILURE, "failedPolls": "{% $failedPolls + 1 %}", "wait": expression(NEXT_WAIT)},
    )
    stop.add_catch(
        sweep, errors=["States.ALL"], assign={"failure": "{% $failure = null ? $states.errorOutput : $failure %}"}
    )

    ended.when(sfn.Condition.jsonata("{% $states.input.ended %}"), done, outputs="{% $states.input %}")
    ended.when(sfn.Condition.jsonata("{% $millis() >= $deadline %}"), stop, outputs={})
    ended.otherwise(wait)
    again = f"{{% $failedPolls < {MAX_FAILED_POLLS} and $millis() < $deadline %}}"
    poll_again.when(sfn.Condition.jsonata(again), wait, assign=NO_FAILURE, outputs={}).otherwise(stop)
    result.when(sfn.Condition.jsonata("{% $failure = null %}"), done).otherwise(not_done)
    stop.next(result)
    return check.next(start).next(wait).next(poll).next(ended)
