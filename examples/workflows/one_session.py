r"""Three programs in one session, which share its variables and files. The session is always closed.

Input: `{"csv": "Status,Amount\n…"}`. Output: the result of the last program, with its chart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

LIFETIME_SECONDS = 900
"""Lifetime of the session. It also ends the session of an execution that is stopped manually, which runs no Catch."""
LOAD = "import pandas as pd; claims = pd.read_csv('claims.csv'); print(len(claims))"
TOTAL = "totals = claims.groupby('Status')['Amount'].sum(); print(totals.to_json())"
DRAW = "totals.plot.bar(title='Claims'); print('drawn')"


def one_session(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: open, load, total, draw, close. A failed program also leads to close, then fails."""

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

    def program(name: str, code: str, comment: str, **more: Any) -> OperationTask:
        # Each result contains the session's handle, which determines the files that are new for the next program.
        request = {"session": "{% $session %}", "code": code, "failOnError": True, **more}
        results = {"session": "{% $states.result.session %}", "result": "{% $states.result %}"}
        return task(name, "run_in_session", request, comment, assign=results)

    opening = task(
        "Open",
        "open_session",
        {"sessionTimeoutSeconds": LIFETIME_SECONDS},
        "Starts the session of all programs",
        assign={"session": "{% $states.result.session %}", "csv": "{% $states.input.csv %}"},
    )
    programs = (
        program("Load", LOAD, "Reads the table", inputs=[{"path": "claims.csv", "text": "{% $csv %}"}]),
        program("Total", TOTAL, "Uses the variable of the program before"),
        program("Draw", DRAW, "Returns the chart", outputs={"figures": True}),
    )
    session = {"session": "{% $session %}"}
    closing = task("Close", "close_session", session, "Ends the session", outputs="{% $result %}")
    close_failed = task("Close after a failure", "close_session", session, "Ends the session")
    failed = sfn.Fail.jsonata(
        scope,
        "Failed",
        comment="Fails with the first error",
        error="{% $failure.Error %}",
        cause="{% $exists($failure.Cause) ? $failure.Cause : '' %}",
    )
    close_failed.add_catch(failed, errors=["States.ALL"])
    close_failed.next(failed)
    for step in programs:
        step.add_catch(close_failed, errors=["States.ALL"], assign={"failure": "{% $states.errorOutput %}"})

    load, total, draw = programs
    return opening.next(load).next(total).next(draw).next(closing)
