"""The construct `SessionFunction`: a Lambda function that runs code in sessions of one tenant.

Its role is limited to the tenant's interpreters and folder. By default the function contains the installed
`code_runner`.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from aws_cdk import Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.bundle import bundle
from sandpiper_constructs.cdk_values import seconds
from sandpiper_constructs.interpreter_access import grant_list_sessions, grant_run
from sandpiper_constructs.key_statements import function_key_statement
from sandpiper_constructs.nag_suppressions import (
    ASYNCHRONOUS_DESTINATION,
    FUNCTION_CONCURRENCY,
    FUNCTION_KEY,
    FUNCTION_QUEUE,
    FUNCTION_TRACES,
    FUNCTION_VPC,
    Acceptances,
)
from sandpiper_constructs.principals import service_principal
from sandpiper_constructs.removal import removal_policy
from sandpiper_contract import metrics, settings
from sandpiper_contract.aws import COMPONENT_TAG, SESSION_FUNCTION
from sandpiper_contract.requests import SESSION_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_cdk import aws_kms as kms

    from sandpiper_constructs.bucket_folder import BucketFolder
    from sandpiper_constructs.interpreter_access import CodeInterpreterBase

DEFAULT_RUNTIME = "python3.14"
HANDLER = "code_runner.handlers.run_operation"
MAX_TIMEOUT_SECONDS = 900
MEMORY_MIB = (128, 10_240)
MAX_CONCURRENCY = 1_000
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""


def interpreter_ids(interpreters: Mapping[str, CodeInterpreterBase]) -> str:
    """Returns a JSON object of interpreter keys and identifiers, the default first, for the function and the CLI."""
    return json.dumps({key: interpreter.interpreter_id for key, interpreter in interpreters.items()})


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """What batches may use of the account's quotas.

    A session of a batch lives only during an invocation, so the function's reserved concurrency limits the sessions of
    all batches together.

    Example:
        ```python
        limits = BatchLimits(max_concurrency=24, seconds_between_calls=25 / 24)
        ```

    Attributes:
        max_concurrency: maximum number of concurrent sessions of one batch.
        seconds_between_calls: the least time between two calls to a session of a batch. Default: no limit. With the
            total number of concurrent sessions divided by the calls per second that batches may use, batches stay below
            that rate.
    """

    max_concurrency: int
    seconds_between_calls: float = 0


class SessionFunction(Construct):
    """Creates a function that runs each request in a session of one of the tenant's interpreters.

    A request names an interpreter by its key. IAM limits the function to these interpreters, to reading `inputs/`, and
    to reading and writing `runs/`. Sandboxes transfer large files with URLs that the function presigns, which have no
    more permissions.

    Example:
        ```python
        function = SessionFunction(
            stack, "Run", service="claims", interpreters={"python": interpreter}, folder=folder
        )
        CfnOutput(stack, "FunctionName", value=function.function.function_name)
        ```

    Attributes:
        function: the Lambda function.
        function_name: its name.
        function_arn: its ARN.
        log_group_name: the name of its log group.
        timeout_seconds: the function's timeout in seconds.

    Raises:
        ValueError: before any resource is created, without an interpreter and for an invalid number.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        service: str,
        interpreters: Mapping[str, CodeInterpreterBase],
        folder: BucketFolder,
        code: lambda_.Code | None = None,
        architecture: Literal["arm64", "x86_64"] = "arm64",
        runtime: str = DEFAULT_RUNTIME,
        memory_mib: int = 512,
        timeout_seconds: int = MAX_TIMEOUT_SECONDS,
        reserved_concurrency: int | None = None,
        session_seconds: Mapping[str, tuple[int, int]] | None = None,
        batch_limits: BatchLimits | None = None,
        prices: Mapping[str, object] | None = None,
        log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        key: kms.IKey | None = None,
        retain_logs: bool = True,
    ) -> None:
        """Creates the function, its role and its log group.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            service: the service name in its logs and metrics: one tenant of one environment.
            interpreters: interpreters by key. The first is the default of requests.
            folder: the tenant's folder, with `inputs/`, `runs/` and `sandbox/`.
            code: a bundle with the handler `code_runner.handlers.run_operation`. Default: the installed `code_runner`.
            architecture: Default: `arm64`.
            runtime: Default: `python3.14`.
            memory_mib: Default: 512.
            timeout_seconds: 1 to 900. Default: 900.
            reserved_concurrency: maximum number of parallel executions, which are also reserved for this function.
                Default: no reservation.
            session_seconds: default and maximum session lifetime in seconds by interpreter key. Default: 300 and
                3,600.
            batch_limits: limits of batches. Default: the function runs no batches.
            prices: fields of `sandpiper_contract.prices.Prices` that differ from the list prices. Default: none.
            log_level: Default: `INFO`.
            log_retention: how long logs are kept. Default: one month.
            key: KMS key of the environment variables and of the log group. The policy of the key must allow both.
                Default: keys of AWS.
            retain_logs: whether the log group stays when its stack is deleted, until its events expire. Default: True.
        """
        if not interpreters:
            raise ValueError("interpreters is empty; allowed: one or more, the default first")
        for name, number, minimum, maximum in (
            ("timeout_seconds", timeout_seconds, 1, MAX_TIMEOUT_SECONDS),
            ("memory_mib", memory_mib, *MEMORY_MIB),
            ("reserved_concurrency", reserved_concurrency or 1, 1, MAX_CONCURRENCY),
        ):
            if not minimum <= number <= maximum:
                raise ValueError(f"{name} is {number}; allowed: {minimum} to {maximum}")
        if reserved_concurrency == 0:
            raise ValueError("reserved_concurrency is 0, so that no code would run; allowed: 1 or more, or None")
        _require_valid_lifetimes(session_seconds or {}, interpreters)
        super().__init__(scope, id)

        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=log_retention,
            removal_policy=removal_policy(retain=retain_logs),
            encryption_key=key,
        )
        self.timeout_seconds = timeout_seconds
        accepted = Acceptances()
        function = lambda_.Function(
            self,
            "Resource",
            description=f"Runs code of {service} in AgentCore Code Interpreter sessions",
            runtime=python_runtime(runtime),
            architecture=function_architecture(architecture),
            handler=HANDLER,
            code=code or packed_code_runner(runtime),
            role=_role(self, log_group, folder, key, accepted),
            memory_size=memory_mib,
            timeout=seconds(timeout_seconds),
            reserved_concurrent_executions=reserved_concurrency,
            log_group=log_group,
            # Lambda must not retry asynchronously: the code may have run.
            retry_attempts=0,
            environment={
                settings.BUCKET: folder.bucket.bucket_name,
                settings.PREFIX: folder.path,
                settings.INTERPRETERS: interpreter_ids(interpreters),
                **({settings.SESSION_SECONDS: json.dumps(session_seconds)} if session_seconds else {}),
                **_batch_environment(batch_limits),
                **({settings.PRICES: json.dumps(prices)} if prices else {}),
                "POWERTOOLS_SERVICE_NAME": service,
                "POWERTOOLS_METRICS_NAMESPACE": metrics.NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": log_level,
            },
            environment_encryption=key,
        )
        grant_run(function, interpreters.values())
        if batch_limits is not None:
            grant_list_sessions(function, interpreters.values())  # to stop those of a batch that was stopped
        self.function = cast("lambda_.IFunction", function)
        self.function_name = function.function_name
        self.function_arn = function.function_arn
        self.log_group_name = log_group.log_group_name
        accepted.log(log_group, key, "The log of the session function contains no code and no data.")
        unlimited = "Without reserved_concurrency, the account's quota limits executions of the session function."
        no_key = "Without a key, Lambda encrypts the variables, which are settings and names, with a key of AWS."
        accepted.rules(
            function,
            {
                **ACCEPTED,
                **({FUNCTION_CONCURRENCY: unlimited} if reserved_concurrency is None else {}),
                **({FUNCTION_KEY: no_key} if key is None else {}),
            },
        )
        accepted.add_to(self)


_STOP_EVENT = "Asynchronous events stop sessions of executions that have ended, which otherwise end by their lifetime."
ACCEPTED = {
    ASYNCHRONOUS_DESTINATION: _STOP_EVENT,
    FUNCTION_QUEUE: f"Step Functions waits for the session function and records its error. {_STOP_EVENT}",
    FUNCTION_TRACES: "The workflow's trace includes each invocation. Tracing needs actions on all resources.",
    FUNCTION_VPC: "The session function runs no user code. It calls AWS with TLS and its own role.",
}
"""Findings at the function that are accepted, with their reasons."""


def _require_valid_lifetimes(
    session_seconds: Mapping[str, tuple[int, int]], interpreters: Mapping[str, CodeInterpreterBase]
) -> None:
    shortest, longest = SESSION_TIMEOUT_SECONDS
    for key, (default, maximum) in session_seconds.items():
        if key not in interpreters:
            raise ValueError(f"session_seconds has {key!r}; allowed: {' | '.join(interpreters)}")
        if not shortest <= default <= maximum <= longest:
            raise ValueError(
                f"session_seconds of {key!r} is {default}, {maximum}; allowed: a default and a maximum of {shortest} "
                f"to {longest} seconds, the default at most the maximum"
            )


def _batch_environment(limits: BatchLimits | None) -> dict[str, str]:
    if limits is None:
        return {}
    values = {"maxConcurrency": limits.max_concurrency, "secondsBetweenCalls": limits.seconds_between_calls}
    return {settings.BATCH_LIMITS: json.dumps(values)}


@functools.cache
def python_runtime(name: str) -> lambda_.Runtime:
    """Returns a runtime by its name, such as python3.14, which the CDK may not know yet."""
    return lambda_.Runtime(name, lambda_.RuntimeFamily.PYTHON, supports_inline_code=True)


function_architecture = functools.cache(lambda_.Architecture.custom)


def packed_code_runner(runtime: str) -> lambda_.Code:
    """Returns the installed `code_runner` and its dependencies as Lambda code, for a runtime such as python3.14."""
    packed = bundle(runtime=runtime)
    # The CDK's Node process may have another working directory.
    return lambda_.Code.from_asset(str(packed.archive.absolute()), asset_hash=packed.digest)


def _role(
    scope: Construct, log_group: logs.LogGroup, folder: BucketFolder, key: kms.IKey | None, accepted: Acceptances
) -> iam.IRole:
    """Creates the role without managed policies: log group, `inputs/`, `runs/` and environment variables."""
    role = iam.Role(scope, "Role", assumed_by=service_principal("lambda"))
    Tags.of(role).add(COMPONENT_TAG, SESSION_FUNCTION)
    log_group.grant_write(role)
    inputs, runs = (folder.subfolder(name) for name in (settings.INPUTS, settings.RUNS))
    role.add_to_policy(inputs.list_statement())
    role.add_to_policy(runs.list_statement())  # the records of an execution that was stopped
    role.add_to_policy(inputs.object_statement("s3:GetObject"))
    # Reading is needed for idempotency records and for presigned links, writing also for presigned uploads: URLs have
    # their signer's permissions.
    role.add_to_policy(runs.object_statement("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"))
    for statement in (
        *folder.key_statements(write=False, parts=[inputs]),
        *folder.key_statements(write=True, parts=[runs]),
    ):
        role.add_to_policy(statement)
    if key is not None:
        role.add_to_policy(function_key_statement(scope, key))
    accepted.policies(
        role,
        {
            inputs.objects_arn: "A request chooses its inputs in the tenant's folder of inputs.",
            runs.objects_arn: "A program chooses the names of its files, stored in the tenant's folder of runs.",
        },
    )
    return cast("iam.IRole", role)
