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

    run = task(
        "Run the item",
        "run_in_session",
        {
            "session": "{% $session %}",
            "code": "{% $request.code %}",
            "inputs": [{"path": "item.json", "text": "{% $string($states.input.item) %}"}],
            "timeoutSeconds": "{% $request.timeoutSeconds %}",
            "outputs": {"paths": []},
        },
        "Runs the program, which reads its item from item.json",
        item="{% $string($states.input.index) %}",
        # Only what the next state needs: all results together have at most 256 KiB.
        outputs={name: f"{{% $states.result.{name} %}}" for name in ("stdout", "exitCode", "timedOut")},
    )
    failed_item = sfn.Pass.jsonata(
        scope, "Error of the item", comment="The next item runs", outputs={"error": "{% $states.input.Error %}"}
    )
    run.add_catch(failed_item, errors=["States.ALL"])
    items = sfn.Map.jsonata(
        scope,
        "For each item",
        comment="One item after another: they share an interpreter, and a timeout interrupts the running program",
        items=sfn.ProvideItems.jsonata("{% $request.items %}"),
        item_selector={
            "item": "{% $states.context.Map.Item.Value %}",
            "index": "{% $states.context.Map.Item.Index %}",
        },
        max_concurrency=1,
    ).item_processor(run)

    session = {"session": "{% $session %}"}
    opening = task(
        "Open",
        "open_session",
        {"sessionTimeoutSeconds": LIFETIME_SECONDS},
        "Starts the session of all items",
        assign={"session": "{% $states.result.session %}", "request": "{% $states.input %}"},
    )
    closing = task("Close", "close_session", session, "Ends the session", outputs="{% $states.input %}")
    close_failed = task("Close after a failure", "close_session", session, "Ends the session")
    failed = sfn.Fail.jsonata(
        scope,
        "Failed",
        comment="Fails with the first error",
        error="{% $failure.Error %}",
        cause="{% $exists($failure.Cause) ? $failure.Cause : '' %}",
    )
    items.add_catch(close_failed, errors=["States.ALL"], assign={"failure": "{% $states.errorOutput %}"})
    close_failed.add_catch(failed, errors=["States.ALL"])
    close_failed.next(failed)
    return opening.next(items).next(closing)
