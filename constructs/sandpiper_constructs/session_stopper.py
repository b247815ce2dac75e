"""The construct `SessionStopper`: stops live sessions before CloudFormation deletes or replaces their interpreter.

Otherwise a run stops its own session, and each session ends when its lifetime expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import CustomResource
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.cdk_values import Location, location_of, seconds
from sandpiper_constructs.execution_role import ANY_ID
from sandpiper_constructs.key_statements import function_key_statement
from sandpiper_constructs.nag_suppressions import (
    FUNCTION_CONCURRENCY,
    FUNCTION_KEY,
    FUNCTION_QUEUE,
    FUNCTION_TRACES,
    FUNCTION_VPC,
    Acceptances,
)
from sandpiper_constructs.principals import service_principal
from sandpiper_constructs.removal import removal_policy
from sandpiper_constructs.session_function import (
    DEFAULT_RUNTIME,
    function_architecture,
    packed_code_runner,
    python_runtime,
)
from sandpiper_contract.aws import AGENTCORE, SESSION_STOPPER_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

    from sandpiper_constructs.interpreter import CodeInterpreter

HANDLER = "code_runner.custom_resources.session_stopper.handle"
FUNCTION_SECONDS = 300
"""Timeout of the function. It stops 1,000 sessions, the default quota of an account, in about a minute."""
STACK_SECONDS = 900
"""How long CloudFormation waits for the response: long enough for one retry of the function by Lambda."""
ACCEPTED = {
    FUNCTION_CONCURRENCY: "CloudFormation alone invokes the session stopper. A reservation would reduce the account's "
    "quota.",
    FUNCTION_QUEUE: "CloudFormation waits for the response of the session stopper and shows its error.",
    FUNCTION_TRACES: "The session stopper logs each session. Tracing needs actions on all resources.",
    FUNCTION_VPC: "The session stopper runs no user code. It calls AWS with TLS and its own role.",
}
"""Findings at the function that are accepted, with their reasons."""


class SessionStopper(Construct):
    """Creates a function and, for each interpreter, a custom resource that is deleted before the interpreter.

    The function's role can list and stop sessions of these interpreters and of those that they replace. The grant uses
    the pattern of their names, so it also covers other interpreters with the same `name_prefix` in the account.

    Everything that starts sessions must depend on `custom_resources`. Then it is deleted first and starts no session in
    the meantime.

    Example:
        ```python
        stopper = SessionStopper(stack, "Stopper", service="claims", interpreters={"python": interpreter})
        function.node.add_dependency(*stopper.custom_resources)
        ```

    Attributes:
        custom_resources: one custom resource for each interpreter.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        service: str,
        interpreters: Mapping[str, CodeInterpreter],
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        key: kms.IKey | None = None,
        retain_logs: bool = True,
    ) -> None:
        """Creates the function and the custom resources.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the service name in the function's logs.
            interpreters: interpreters by key. The key is part of the construct id.
            log_retention: how long logs are kept. Default: one month.
            key: KMS key of the environment variables and of the log group. The policy of the key must allow both.
                Default: keys of AWS.
            retain_logs: whether the log group stays when its stack is deleted, until its events expire. Default: True.
        """
        super().__init__(scope, id)
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=log_retention,
            removal_policy=removal_policy(retain=retain_logs),
            encryption_key=key,
        )
        role = iam.Role(self, "Role", assumed_by=service_principal("lambda"))
        log_group.grant_write(role)
        if key is not None:
            role.add_to_policy(function_key_statement(self, key))
        accepted = Acceptances()
        accepted.policies(role)  # and the grants
        accepted.log(log_group, key, "The log of the session stopper contains ids of sessions.")
        function = lambda_.Function(
            self,
            "Resource",
            description=f"Stops sessions of {service} before their interpreter is deleted or replaced",
            runtime=python_runtime(DEFAULT_RUNTIME),
            architecture=function_architecture("arm64"),
            handler=HANDLER,
            code=packed_code_runner(DEFAULT_RUNTIME),
            role=cast("iam.IRole", role),
            memory_size=256,
            timeout=seconds(FUNCTION_SECONDS),
            log_group=log_group,
            environment={"POWERTOOLS_SERVICE_NAME": service},
            environment_encryption=key,
        )
        no_key = "Without a key, Lambda encrypts the only variable, the name of the service, with a key of AWS."
        accepted.rules(function, ACCEPTED | ({FUNCTION_KEY: no_key} if key is None else {}))
        accepted.add_to(self)
        function_arn, location = function.function_arn, location_of(scope)
        self.custom_resources = tuple(
            _custom_resource(self, key, interpreter, role, function_arn, location)
            for key, interpreter in interpreters.items()
        )


def _custom_resource(
    scope: Construct, key: str, interpreter: CodeInterpreter, role: iam.Role, function_arn: str, location: Location
) -> CustomResource:
    """Creates the custom resource of an interpreter and the grant that it needs.

    The grant is a separate policy that the custom resource depends on, and the ids of both contain the name pattern. So
    when an interpreter is removed or renamed, the role keeps the grant until the custom resource is deleted.
    """
    parent = Construct(scope, f"{key}-{interpreter.name_pattern.rstrip('?')}")
    grant = iam.Policy(
        parent,
        "Grant",
        roles=[cast("iam.IRole", role)],
        statements=[
            iam.PolicyStatement(
                actions=[f"{AGENTCORE}:ListCodeInterpreterSessions", f"{AGENTCORE}:StopCodeInterpreterSession"],
                resources=[location.arn(AGENTCORE, f"code-interpreter-custom/{interpreter.name_pattern}{ANY_ID}")],
            )
        ],
    )
    custom_resource = CustomResource(
        parent,
        "Entry",
        service_token=function_arn,
        resource_type=SESSION_STOPPER_TYPE,
        service_timeout=seconds(STACK_SECONDS),
        properties={"InterpreterId": interpreter.interpreter_id},
    )
    custom_resource.node.add_dependency(grant)
    return custom_resource
