"""The last states of workflows in JSONata: an output, or a failure with the first error.

A state that fails sets the variable `failure` to `$states.errorOutput`. Step Functions then runs the states that end
the session, and `Failed` fails the execution with the error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask
from sandpiper_contract.errors import ERRORS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

JSONATA = sfn.QueryLanguage.JSONATA
FAILURE = {"failure": "{% $states.errorOutput %}"}
"""The variable that a Catch sets."""
NO_FAILURE = {"failure": "{% null %}"}


def expression(text: str) -> str:
    """Returns JSONata as a field of a definition, on one line: `asl-validator` accepts no line ends.

    Example:
        >>> expression("$index  + 1")
        '{% $index + 1 %}'
    """
    return f"{{% {' '.join(text.split())} %}}"


def failed(scope: Construct, cause: str = "$exists($failure.Cause) ? $failure.Cause : ''") -> sfn.Fail:
    """Creates the state that fails the execution with the variable `failure`.

    Args:
        scope: parent construct.
        cause: a JSONata expression for the cause. Default: the cause of the error, which a timeout does not have.
    """
    return sfn.Fail.jsonata(
        scope,
        "Failed",
        comment="Fails with the first error, after the states that ended the session",
        error="{% $failure.Error %}",
        cause=expression(cause),
    )


def stop_sessions(scope: Construct, session_function: SessionFunction, after: sfn.IChainable) -> OperationTask:
    """Creates the state that stops the sessions of the execution, for errors after which no handle is known.

    Args:
        scope: parent construct.
        session_function: the function that stops them.
        after: the next state, also if this fails: the sessions then end when their lifetime expires.
    """
    stop = OperationTask(
        scope,
        "Stop sessions",
        session_function=session_function,
        operation="stop_sessions",
        query_language=JSONATA,
        request={},
        comment="Stops every session that the records of this execution contain",
        outputs="{% $states.input %}",
    )
    stop.add_catch(after, errors=["States.ALL"], outputs="{% $states.input %}")
    stop.next(after)
    return stop


def catch(task: OperationTask, contract_errors: sfn.IChainable, others: sfn.IChainable) -> None:
    """Catches every error: those of the contract by their names, and those of Lambda and Step Functions.

    Args:
        task: the state.
        contract_errors: the next state after an error of the contract.
        others: the next state after any other error, before which the function may have started a session.
    """
    task.add_catch(contract_errors, errors=list(ERRORS), assign=FAILURE)
    task.add_catch(others, errors=["States.ALL"], assign=FAILURE)
