"""The state machine `run-session`: steps that run one after another in one session, with approvals between them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Unpack

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

from sandpiper_constructs.cdk_values import seconds
from sandpiper_constructs.operation_task import MAX_RETRIES, MIN_RETRY_SECONDS, RUN_JSONATA, OperationTask
from sandpiper_constructs.session_workflow import SessionWorkflow, WorkflowOptions
from sandpiper_constructs.workflow_ending import FAILURE, JSONATA, NO_FAILURE, catch, expression, failed, stop_sessions
from sandpiper_contract.errors import APPROVAL_TIMED_OUT
from sandpiper_contract.workflows import AWAIT_APPROVAL_STATE, RECORD_ERROR_STATE, RUN_STEP_STATE

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

TIMEOUT_SECONDS = 365 * 86_400
"""The maximum of Step Functions. Each task and each approval has its own timeout."""
RESULTS_BYTES = 200 * 1024
"""Maximum size of the results of all steps together: a state has at most 256 KiB."""
MAX_CAUSE_CHARACTERS = 30_000
"""Step Functions limits a cause to 32,768 characters."""
MAX_CAUSE_OUTPUT_CHARACTERS = 8_000
"""Maximum length of each stream of all steps together, if the complete results do not fit into the cause."""
MAX_STEP_CAUSE_CHARACTERS = 1_000
SESSION_REMAINS_ERRORS = (
    "InvalidRequest",
    "AccessDenied",
    "InterpreterNotFound",
    "NotStarted",
    "Throttled",
    "QuotaExceeded",
    "PayloadTooLarge",
    "StorageError",
)
"""Errors of a step after which the session is unchanged. After others the program may be running, so the session is
closed."""
PUBLISH_SECONDS = 30
STEP_FIELDS = ("continueOnError", "approval")
"""The fields of a step that `run_in_session` does not have."""
STEP_REQUEST = f"""(
  $step := $steps[$index];
  $merge([
    $sift($step, function($v, $k) {{ $not($k in {list(STEP_FIELDS)}) }}),
    $exists($step.code) or $exists($step.codeS3Uri) or $exists($step.command) ? {{}} : {{'command': ':'}},
    {{
      'session': $session,
      'outputs': $merge([$step.outputs, {{'maxResultBytes': $min([$step.outputs.maxResultBytes, $resultBytes])}}])
    }}
  ])
)"""
STEP_FAILURE = """(
  $states.result.exitCode != 0 and $not($steps[$index].continueOnError) ? {
    'Error': 'CodeFailed',
    'Cause': 'step ' & $index & ' of ' & $count($steps)
      & ($states.result.timedOut ? ' timed out and was ended' : ' ended with exit code ' & $states.result.exitCode)
  } : null
)"""
PENDING = "$exists($steps[$index].approval) ? $steps[$index].approval : null"
CAUSE_MESSAGE = """(
  $cause := $exists($failure.Cause) ? $failure.Cause : '';
  $substring($cause, 0, 1) = '{' and $contains($cause, '"errorMessage"') ? $parse($cause).errorMessage : $cause
)"""
"""The message of an error. The cause of an error of the session function is a JSON object with `errorMessage`."""
FINAL_CAUSE = f"""(
  $cause := function($steps) {{
    $string({{'errorMessage': {CAUSE_MESSAGE}, 'errorType': $failure.Error, 'steps': $steps}})
  }};
  $tail := function($text) {{ $substring($text, -$floor({MAX_CAUSE_OUTPUT_CHARACTERS} / $count($results))) }};
  $short := function($step) {{
    $exists($step.result) ? $merge([$step, {{'result': $merge([$step.result,
      {{'stdout': $tail($step.result.stdout), 'stderr': $tail($step.result.stderr), 'skipped': []}}])}}]) : $step
  }};
  $whole := $cause($results);
  $shorter := $length($whole) <= {MAX_CAUSE_CHARACTERS} ? $whole : $cause([$map($results, $short)]);
  $length($shorter) <= {MAX_CAUSE_CHARACTERS} ? $shorter : $cause([])
)"""
"""Step Functions keeps no output of a failed execution, so its cause has the results: complete, or the ends of their
output, or none if the lists of files are too long."""


class RunSessionWorkflow(SessionWorkflow):
    """Creates a state machine that runs a list of steps in one session, with an approval after any of them.

    The input is a `SessionRequest` of the contract, the output a `SessionResult`. If a step fails, the cause of the
    execution is a JSON object with `errorMessage` and, if they fit, the results of the steps until then in `steps`.

    Example:
        ```python
        RunSessionWorkflow(
            stack,
            "RunSession",
            name="claims-run-session",
            session_function=function,
            topic_arn="arn:aws:sns:eu-west-1:111122223333:approvals",
        )
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        session_function: SessionFunction,
        topic_arn: str | None = None,
        answer_options: str = "",
        **options: Unpack[WorkflowOptions],
    ) -> None:
        """Creates the state machine.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the state machine's name, unique in its account and region.
            session_function: the function that runs the steps.
            topic_arn: SNS topic that receives a message when an approval waits. Default: no notification.
            answer_options: options of the commands in this message, such as `--environment dev --tenant claims`.
                Default: none.
            **options: `log_retention`, `key` and `retain_logs` of `WorkflowOptions`.
        """
        publish = iam.PolicyStatement(actions=["sns:Publish"], resources=[topic_arn]) if topic_arn else None
        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=lambda scope: _states(scope, session_function, topic_arn, answer_options),
            timeout_seconds=TIMEOUT_SECONDS,
            comment="Runs steps in one session, with approvals between them",
            query_language=JSONATA,
            statements=[publish] if publish else [],
            **options,
        )


def _states(
    scope: Construct, session_function: SessionFunction, topic_arn: str | None, answer_options: str
) -> sfn.IChainable:
    """Returns the states: check the input, then decide what comes next until all steps have run or one has failed."""
    task = partial(OperationTask, scope, session_function=session_function, query_language=JSONATA)
    check = task(
        "Check request",
        operation="check_request",
        request={"workflow": "run-session", "request": "{% $states.input %}"},
        comment="Validates the input before anything is started",
        outputs={},
        assign={
            # $sift returns nothing if no member is left
            "opening": "{% $merge([{}, $sift($states.result.request, function($v, $k) { $k != 'steps' })]) %}",
            "steps": "{% $states.result.request.steps %}",
            "resultBytes": f"{{% $floor({RESULTS_BYTES} / $count($states.result.request.steps)) %}}",
            "results": [],
            "index": 0,
            "session": "{% null %}",
            "stateLost": False,  # the state of earlier steps, for the next one
            "restarted": False,  # whether the next step got a new session after SessionEnded
            "unusable": False,  # whether a program may be running in the session
            "pending": "{% null %}",  # the approval to ask for
            **NO_FAILURE,
        },
    )
    what_next = sfn.Choice.jsonata(
        scope,
        "What next?",
        comment="Close after the last step or a failure; replace a session; ask for approval; run the next step",
        outputs={},
    )
    open_session = task(
        "Open session",
        operation="open_session",
        request="{% $opening %}",
        comment="Before the first step, and again when the session has ended",
        outputs={},
        assign={"session": "{% $states.result.session %}", "stateLost": "{% $index > 0 %}"},
    )
    run_step = task(
        RUN_STEP_STATE,
        operation="run_in_session",
        request=expression(STEP_REQUEST),
        comment="Runs the step. Its result is stored in S3 as well, so that no retry runs it again",
        assign={
            "results": _with_entry("'result': $sift($states.result, function($v, $k) { $k != 'session' })"),
            "session": "{% $states.result.session %}",
            "failure": expression(STEP_FAILURE),
            "pending": expression(PENDING),
            **_NEXT_STEP,
        },
    )
    ended = sfn.Choice.jsonata(
        scope,
        "New session?",
        comment="A step whose session has ended has not run. It gets a new session once",
        outputs={},
        assign={"session": "{% null %}", "restarted": True, **NO_FAILURE},
    )
    record_error = sfn.Pass.jsonata(
        scope,
        RECORD_ERROR_STATE,
        comment="The step has no result. With continueOnError, the next step runs",
        outputs={},
        assign={
            "results": _with_entry(
                f"'error': $failure.Error, 'cause': $substring({CAUSE_MESSAGE}, 0, {MAX_STEP_CAUSE_CHARACTERS})"
            ),
            "failure": "{% $steps[$index].continueOnError ? null : $failure %}",
            "pending": f"{{% $steps[$index].continueOnError ? ({PENDING}) : null %}}",
            **_NEXT_STEP,
        },
    )
    no_session = {"session": "{% null %}", "unusable": False}
    close_lost = task(
        "Close lost session",
        operation="close_session",
        request={"session": "{% $session %}"},
        comment="The program of a step may be running in it, or it accepts no more",
        outputs={},
        assign=no_session,
    )
    close = task(
        "Close session",
        operation="close_session",
        request={"session": "{% $session %}"},
        comment="After the last step, and after a failure",
        outputs={},
        assign=no_session,
    )
    result = sfn.Choice.jsonata(scope, "Result or error?", comment="After the session has ended", outputs={})
    done = sfn.Succeed.jsonata(scope, "Done", comment="The output has the results of all steps")
    not_done = failed(scope, FINAL_CAUSE)
    sweep = stop_sessions(scope, session_function, result)
    wait = _wait_for_approval(scope, session_function)
    ask = _ask_for_approval(scope, topic_arn, answer_options, wait)

    catch(check, not_done, not_done)
    catch(open_session, result, sweep)
    run_step.add_catch(ended, errors=["SessionEnded"], assign=FAILURE)
    run_step.add_catch(record_error, errors=list(SESSION_REMAINS_ERRORS), assign=FAILURE)
    run_step.add_catch(record_error, errors=["States.ALL"], assign={**FAILURE, "unusable": True})
    close_lost.add_catch(sweep, errors=["States.ALL"], assign=FAILURE)
    close.add_catch(sweep, errors=["States.ALL"], assign=no_session)
    ended.when(sfn.Condition.jsonata("{% $restarted %}"), record_error, outputs={}).otherwise(open_session)
    no_answer = "{% 'no answer within ' & $pending.timeoutSeconds & ' s: ' & $pending.message %}"
    timed_out = {"failure": {"Error": APPROVAL_TIMED_OUT, "Cause": no_answer}}
    wait.add_catch(what_next, errors=["States.Timeout"], assign=timed_out, outputs={})
    for each in {ask, wait}:
        each.add_catch(what_next, errors=["States.ALL"], assign=FAILURE, outputs={})

    is_over = "($failure != null or ($index >= $count($steps) and $pending = null))"
    is_expired = "($exists($session.ends) and $session.ends * 1000 <= $millis())"
    what_next.when(sfn.Condition.jsonata(f"{{% {is_over} and $session = null %}}"), result, outputs={})
    what_next.when(sfn.Condition.jsonata(f"{{% {is_over} %}}"), close, outputs={})
    what_next.when(sfn.Condition.jsonata("{% $unusable and $session != null %}"), close_lost, outputs={})
    what_next.when(sfn.Condition.jsonata("{% $pending != null %}"), ask, outputs={})
    what_next.when(sfn.Condition.jsonata(f"{{% $session = null or {is_expired} %}}"), open_session, outputs={})
    what_next.otherwise(run_step)
    result.when(sfn.Condition.jsonata("{% $failure = null %}"), done, outputs={"steps": "{% $results %}"})
    result.otherwise(not_done)
    open_session.next(run_step)
    run_step.next(what_next)
    record_error.next(what_next)
    close_lost.next(what_next)
    close.next(result)
    wait.next(what_next)
    return check.next(what_next)


_NEXT_STEP = {"index": "{% $index + 1 %}", "stateLost": False, "restarted": False}


def _with_entry(members: str) -> str:
    """Returns an expression for the results with a new entry at their end."""
    return expression(f"$append($results, [{{'index': $index, 'stateLost': $stateLost, {members}}}])")


def _ask_for_approval(
    scope: Construct, topic_arn: str | None, answer_options: str, wait: sfn.CustomState
) -> tasks.SnsPublish | sfn.CustomState:
    """Creates the state that sends the message of an approval, which leads to `wait`. Without a topic, returns `wait`.

    The message has no task token: subscribers of the topic cannot answer without a permission to read the execution.
    """
    if topic_arn is None:
        return wait
    end = f"{' ' if answer_options else ''}{answer_options}\\n"
    message = f"""(
      'Step ' & ($index - 1) & ' of the execution ' & $states.context.Execution.Id & ' waits for approval:\\n\\n'
      & $pending.message & '\\n\\nAnswer within ' & $pending.timeoutSeconds & ' s:\\n\\n'
      & 'sandpiper runs approve ' & $states.context.Execution.Id & '{end}'
      & 'sandpiper runs reject ' & $states.context.Execution.Id & '{end}'
    )"""
    ask = tasks.SnsPublish.jsonata(
        scope,
        "Ask for approval",
        topic=sns.Topic.from_topic_arn(scope, "Topic", topic_arn),
        subject="Sandpiper: a run waits for approval",
        message=sfn.TaskInput.from_text(expression(message)),
        comment="Sends the question and the commands for the answer to the topic",
        task_timeout=sfn.Timeout.duration(seconds(PUBLISH_SECONDS)),
        outputs={},
    )
    ask.add_retry(errors=["States.ALL"], max_attempts=MAX_RETRIES, backoff_rate=2)
    ask.next(wait)
    return ask


def _wait_for_approval(scope: Construct, session_function: SessionFunction) -> sfn.CustomState:
    """Creates the state that waits for the answer, or for the timeout of the approval.

    The function does nothing: an integration is needed to wait for a token, and the history of the execution stores it.
    A custom state, because the CDK writes a timeout from JSONata as `TimeoutSecondsPath`, which JSONata does not have.
    """
    answer = "{'by': $exists($states.result.by) ? $string($states.result.by) : 'unknown', 'at': $now()}"
    return sfn.CustomState(
        scope,
        AWAIT_APPROVAL_STATE,
        state_json={
            "Type": "Task",
            "Comment": "Waits for SendTaskSuccess or SendTaskFailure with the task token",
            "Resource": f"arn:{Stack.of(scope).partition}:states:::lambda:invoke.waitForTaskToken",
            "Arguments": {
                "FunctionName": session_function.function.function_arn,
                "Payload": {
                    "operation": "await_approval",
                    "run": RUN_JSONATA,
                    "request": {
                        "step": "{% $index - 1 %}",
                        "message": "{% $pending.message %}",
                        "token": "{% $states.context.Task.Token %}",
                    },
                },
            },
            "TimeoutSeconds": "{% $pending.timeoutSeconds %}",
            "Retry": [
                {
                    "ErrorEquals": ["Lambda.TooManyRequestsException"],
                    "IntervalSeconds": MIN_RETRY_SECONDS,
                    "MaxAttempts": MAX_RETRIES,
                    "BackoffRate": 2,
                }
            ],
            "Assign": {
                "results": "{% $append($results[[0..$index - 2]], [$merge([$results[$index - 1], {'approval': "
                + answer
                + "}])]) %}",
                "pending": "{% null %}",
            },
            "Output": {},
        },
    )
