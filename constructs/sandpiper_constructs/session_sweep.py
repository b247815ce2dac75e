"""The construct `SessionSweep`: stops live sessions of executions that have ended, every hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from constructs import Construct

from sandpiper_constructs.interpreter_access import grant_list_sessions
from sandpiper_constructs.nag_suppressions import EVENT_QUEUE, Acceptances, accept

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sandpiper_constructs.interpreter_access import CodeInterpreterBase
    from sandpiper_constructs.session_function import SessionFunction
    from sandpiper_constructs.session_workflow import SessionWorkflow

INTERVAL = Duration.hours(1)


class SessionSweep(Construct):
    """Creates an hourly schedule of the operation `sweep_sessions`, and grants the session function what it needs.

    An operation stops its own session, and the rule of a `SessionWorkflow` those of an execution that has not
    succeeded. The sweep stops what both have left, such as the open session of an execution that succeeded.

    Example:
        ```python
        SessionSweep(
            stack, "Sweep", session_function=function, interpreters={"python": interpreter}, workflows=[workflow]
        )
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        session_function: SessionFunction,
        interpreters: Mapping[str, CodeInterpreterBase],
        workflows: Sequence[SessionWorkflow],
    ) -> None:
        """Creates the schedule and the grants.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            session_function: the function whose sessions are stopped.
            interpreters: the interpreters of the function.
            workflows: the workflows whose sessions are stopped. Sessions of other executions, and of callers outside
                of workflows, stay.

        Raises:
            ValueError: `workflows` is empty.
        """
        if not workflows:
            raise ValueError("workflows is empty; allowed: one or more")
        super().__init__(scope, id)
        function = session_function.function
        grant_list_sessions(function, interpreters.values())
        executions = [arn for workflow in workflows for arn in workflow.all_executions_arns]
        reason = "An execution has any name, and child executions have the name of their Distributed Map."
        role = cast("iam.IRole", function.role)
        accepted = Acceptances()  # the session function accepts that its role has inline policies
        accepted.wildcards(role, dict.fromkeys(executions, reason))
        accepted.add_to(role)
        function.add_to_role_policy(iam.PolicyStatement(actions=["states:DescribeExecution"], resources=executions))
        rule = events.Rule(
            self,
            "Hourly",
            description="Stops the sessions of executions that have ended",
            schedule=events.Schedule.rate(INTERVAL),
        )
        event = events.RuleTargetInput.from_object(
            {
                "operation": "sweep_sessions",
                "run": {"execution": "sweep"},
                "request": {"workflows": [workflow.state_machine_arn for workflow in workflows]},
            }
        )
        accept(rule, {EVENT_QUEUE: "The next sweep stops what this one has not stopped."})
        rule.add_target(cast("events.IRuleTarget", targets.LambdaFunction(function, event=event)))
