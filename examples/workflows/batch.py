"""One program for many items in one session. An item that fails or times out does not affect the others.

Input: `{"code": "…", "items": […], "timeoutSeconds": 60}`. The program reads its item from `item.json`. Output: one
result for each item, in the order of the items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.operation_task import OperationTask

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.session_function import SessionFunction

LIFETIME_SECONDS = 7_200
"""Lifetime of the session, for all items together."""


def batch(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    """Returns the states: open, run each item, close."""

    def task(name: str, operation: str, request: dict[str, Any], result_path: str, **more: Any) -> OperationTask:
        return OperationTask(
            scope,
            name,
            session_function=session_function,
            operation=operation,
            request=request,
            result_path=result_path,
            **more,
        )

    program: dict[str, Any] = {
        "session": sfn.JsonPath.object_at("$.session"),
        "code": sfn.JsonPath.string_at("$.code"),
        "inputs": [{"path": "item.json", "text": sfn.JsonPath.json_to_string(sfn.JsonPath.object_at("$.item"))}],
        "timeoutSeconds": sfn.JsonPath.number_at("$.timeoutSeconds"),
        "outputs": {"paths": []},
    }
    run = task("Run the item", "run_in_session", program, "$.result", item_path="$.index")
    # Only what the next state needs: all results together have at most 256 KiB.
    selected = {
        "stdout": sfn.JsonPath.string_at("$.result.stdout"),
        "exitCode": sfn.JsonPath.number_at("$.result.exitCode"),
        "timedOut": sfn.JsonPath.object_at("$.result.timedOut"),
    }
    succeeded = sfn.Pass(scope, "Result of the item", parameters=selected)
    failed = sfn.Pass(scope, "Error of the item", parameters={"error": sfn.JsonPath.string_at("$.error.Error")})
    run.add_catch(failed, errors=["States.ALL"], result_path="$.error")
    items = sfn.Map(
        scope,
        "For each item",
        items_path="$.items",
        item_selector={
            "session": sfn.JsonPath.object_at("$.opened.session"),
            "code": sfn.JsonPath.string_at("$.code"),
            "timeoutSeconds": sfn.JsonPath.number_at("$.timeoutSeconds"),
            "item": sfn.JsonPath.object_at("$$.Map.Item.Value"),
            "index": sfn.JsonPath.number_at("$$.Map.Item.Index"),
        },
        max_concurrency=1,  # the items share an interpreter, and a timeout interrupts the running program
        result_path="$.results",
    ).item_processor(run.next(succeeded))

    opened = {"session": sfn.JsonPath.object_at("$.opened.session")}
    close_failed = task("Close after a failure", "close_session", opened, "$.closed")
    not_done = sfn.Fail(scope, "Failed", error_path="$.failed.Error", cause_path="$.failed.Cause")
    items.add_catch(close_failed, errors=["States.ALL"], result_path="$.failed")
    close_failed.add_catch(not_done, errors=["States.ALL"], result_path="$.notClosed")
    close_failed.next(not_done)

    opening = task("Open", "open_session", {"sessionTimeoutSeconds": LIFETIME_SECONDS}, "$.opened")
    closing = task("Close", "close_session", opened, "$.closed")
    return opening.next(items).next(closing).next(sfn.Pass(scope, "Done", output_path="$.results"))
