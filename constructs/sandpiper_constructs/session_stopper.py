"""Stops the live sessions of interpreters before they are deleted or replaced, which CloudFormation does not do.

Not when a session ends otherwise: a run stops its own, and each has a lifetime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.execution_role import ANY_ID
from sandpiper_constructs.principals import service_principal
from sandpiper_constructs.session_function import NEWEST_RUNTIME, packed_code_runner
from sandpiper_contract.aws import AGENTCORE, SESSION_STOPPER_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_constructs.interpreter import CodeInterpreter

HANDLER = "code_runner.custom_resources.session_stopper.handle"
FUNCTION_SECONDS = 300
"""A thousand sessions, the most that an account has, are stopped in a minute."""
STACK_SECONDS = 900
"""How long CloudFormation waits: for the function, and for a repetition that Lambda makes of it."""


class SessionStopper(Construct):
    """A function and, for each interpreter, an entry of the stack that goes before the interpreter does.

    Its role lists and stops sessions of these interpreters and of those that they replace, by the pattern of their
    names: whatever else in the account has the same `name_prefix` is meant, too. Let all that starts sessions depend on
    `entries`, as in `function.node.add_dependency(*stopper.entries)`: then it goes before, and starts none meanwhile.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        service: str,
        interpreters: Mapping[str, CodeInterpreter],
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
    ) -> None:
        """`service` is what its logs are filed under; keys of `interpreters` tell the entries apart."""
        super().__init__(scope, id)
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        role = iam.Role(self, "Role", assumed_by=service_principal("lambda"))
        log_group.grant_write(role)
        function = lambda_.Function(
            self,
            "Resource",
            description=f"Stops sessions of {service} before their interpreter is deleted or replaced",
            runtime=lambda_.Runtime(NEWEST_RUNTIME, lambda_.RuntimeFamily.PYTHON, supports_inline_code=True),
            architecture=lambda_.Architecture.ARM_64,
            handler=HANDLER,
            code=packed_code_runner(NEWEST_RUNTIME),
            role=cast("iam.IRole", role),
            memory_size=256,
            timeout=Duration.seconds(FUNCTION_SECONDS),
            log_group=log_group,
            environment={"POWERTOOLS_SERVICE_NAME": service},
        )
        self.entries = tuple(
            _entry(self, key, interpreter, role, function) for key, interpreter in interpreters.items()
        )


def _entry(
    scope: Construct, key: str, interpreter: CodeInterpreter, role: iam.Role, function: lambda_.Function
) -> CustomResource:
    """What goes before an interpreter, with the grant that it needs.

    The grant is a resource of its own, on which the entry depends, and both have the names' pattern in their own: when
    an interpreter is removed or renamed, the role keeps the grant until the entry is gone.
    """
    place = Construct(scope, f"{key}-{interpreter.name_pattern.rstrip('?')}")
    grant = iam.Policy(
        place,
        "Grant",
        roles=[cast("iam.IRole", role)],
        statements=[
            iam.PolicyStatement(
                actions=[f"{AGENTCORE}:ListCodeInterpreterSessions", f"{AGENTCORE}:StopCodeInterpreterSession"],
                resources=[
                    Stack.of(scope).format_arn(
                        service=AGENTCORE,
                        resource="code-interpreter-custom",
                        resource_name=interpreter.name_pattern + ANY_ID,
                    )
                ],
            )
        ],
    )
    entry = CustomResource(
        place,
        "Entry",
        service_token=function.function_arn,
        resource_type=SESSION_STOPPER_TYPE,
        service_timeout=Duration.seconds(STACK_SECONDS),
        properties={"InterpreterId": interpreter.interpreter_id},
    )
    entry.node.add_dependency(grant)
    return entry
