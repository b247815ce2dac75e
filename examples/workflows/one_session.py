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
LOAD = "import pandas as pd\nclaims = pd.read_csv('claims.csv')\nprint(len(claims))"
TOTAL = "totals = claims.groupby('Status')['Amount'].sum()\nprint(totals.to_json())"
DRAW = "totals.plot.bar(title='Claims')\nprint('drawn')"


def one_session(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: open, load, total, draw, close. A failed program also leads to close, then fails."""

    def task(name: str, operation: str, request: dict[str, Any], result_path: str) -> OperationTask:
        return OperationTask(
            scope,
            name,
            session_function=session_function,
            operation=operation,
            request=request,
            result_path=result_path,
        )

    def program(name: str, code: str, session: str, result_path: str, **more: Any) -> OperationTask:
        # Each result contains the session's handle, which determines the files that are new for the next program.
        request = {"session": sfn.JsonPath.object_at(session), "code": code, "failOnError": True, **more}
        return task(name, "run_in_session", request, result_path)

    opened = {"session": sfn.JsonPath.object_at("$.opened.session")}
    inputs = [{"path": "claims.csv", "text": sfn.JsonPath.string_at("$.csv")}]
    programs = (
        program("Load", LOAD, "$.opened.session", "$.loaded", inputs=inputs),
        program("Total", TOTAL, "$.loaded.session", "$.totalled"),
        program("Draw", DRAW, "$.totalled.session", "$.drawn", outputs={"figures": True}),
    )

    close_failed = task("Close after a failure", "close_session", opened, "$.closed")
    failed = sfn.Fail(scope, "Failed", error_path="$.failed.Error", cause_path="$.failed.Cause")
    close_failed.add_catch(failed, errors=["States.ALL"], result_path="$.notClosed")
    close_failed.next(failed)
    for step in programs:
        step.add_catch(close_failed, errors=["States.ALL"], result_path="$.failed")

    load, total, draw = programs
    done = sfn.Pass(scope, "Done", output_path="$.drawn")
    opening = task("Open", "open_session", {"sessionTimeoutSeconds": LIFETIME_SECONDS}, "$.opened")
    closing = task("Close", "close_session", opened, "$.closed")
    return opening.next(load).next(total).next(draw).next(closing).next(done)
