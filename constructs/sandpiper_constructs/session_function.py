"""The Lambda function that runs sessions for one tenant, with a role that reaches that tenant's things alone.

Not the code: by default it packs the installed `code_runner`, and any other bundle can be given.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, cast

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.bundle import bundle
from sandpiper_constructs.nag_suppressions import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal
from sandpiper_contract import metrics, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_constructs.bucket_folder import BucketFolder
    from sandpiper_constructs.interpreter_access import ICodeInterpreter

NEWEST_RUNTIME = "python3.14"
HANDLER = "code_runner.handlers.run_operation"
LONGEST_TIMEOUT_SECONDS = 900
"""Lambda's own limit."""


def interpreter_ids(interpreters: Mapping[str, ICodeInterpreter]) -> str:
    """A JSON object of interpreter keys and identifiers, the default first, as the function and the CLI read it."""
    return json.dumps({key: interpreter.interpreter_id for key, interpreter in interpreters.items()})


class SessionFunction(Construct):
    """Runs a request in a session of one of the tenant's interpreters; the first in the mapping is the default.

    The request names an interpreter by its key. IAM holds it to the ones given here, to reading the folder's inputs,
    to keeping the folder's runs, and to the staging folder inside each interpreter's own.

    `service` is what its logs and metrics are filed under: one tenant of one environment.
    `code` is any bundle with the handler `code_runner.handlers.run_operation`; without it, the installed `code_runner`.
    `session_seconds` has, by interpreter key, how long a session lives that nobody asked a time for, and the longest
    that a request may ask for; without it, 300 and 28,800.

    Raises ValueError, before any resource, without an interpreter or for a timeout that Lambda would refuse.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        service: str,
        interpreters: Mapping[str, ICodeInterpreter],
        folder: BucketFolder,
        code: lambda_.Code | None = None,
        architecture: Literal["arm64", "x86_64"] = "arm64",
        runtime: str = NEWEST_RUNTIME,
        memory_mib: int = 512,
        timeout_seconds: int = LONGEST_TIMEOUT_SECONDS,
        reserved_concurrency: int | None = None,
        session_seconds: Mapping[str, tuple[int, int]] | None = None,
        log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
    ) -> None:
        if not interpreters:
            raise ValueError("interpreters is empty; allowed: one or more, the default first")
        if not 1 <= timeout_seconds <= LONGEST_TIMEOUT_SECONDS:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; allowed: 1 to {LONGEST_TIMEOUT_SECONDS}")
        super().__init__(scope, id)

        # The function's lines tell of runs and hold no data of theirs, so they need not outlive the stack.
        log_group = logs.LogGroup(self, "Logs", retention=log_retention, removal_policy=RemovalPolicy.DESTROY)
        self.timeout_seconds = timeout_seconds
        function = lambda_.Function(
            self,
            "Resource",
            description=f"Runs code of {service} in AgentCore Code Interpreter sessions",
            runtime=lambda_.Runtime(runtime, lambda_.RuntimeFamily.PYTHON, supports_inline_code=True),
            architecture=lambda_.Architecture.custom(architecture),
            handler=HANDLER,
            code=code or packed_code_runner(runtime),
            role=_role(self, log_group, folder, interpreters),
            memory_size=memory_mib,
            timeout=Duration.seconds(timeout_seconds),
            reserved_concurrent_executions=reserved_concurrency,
            log_group=log_group,
            # Code that may have run is never run again by a queue that nobody looks at.
            retry_attempts=0,
            environment={
                settings.BUCKET: folder.bucket.bucket_name,
                settings.PREFIX: folder.path,
                settings.INTERPRETERS: interpreter_ids(interpreters),
                **({settings.SESSION_SECONDS: json.dumps(session_seconds)} if session_seconds else {}),
                "POWERTOOLS_SERVICE_NAME": service,
                "POWERTOOLS_METRICS_NAMESPACE": metrics.NAMESPACE,
                "POWERTOOLS_LOG_LEVEL": log_level,
            },
        )
        for interpreter in interpreters.values():
            interpreter.grant_run(function)
        self.function = cast("lambda_.IFunction", function)


def packed_code_runner(runtime: str) -> lambda_.Code:
    """The installed `code_runner` with what it needs, for a runtime such as python3.14."""
    packed = bundle(runtime=runtime)
    # Absolute, since the CDK's own process may be in another folder.
    return lambda_.Code.from_asset(str(packed.directory.absolute()), asset_hash=packed.digest)


def _role(
    scope: Construct, log_group: logs.LogGroup, folder: BucketFolder, interpreters: Mapping[str, ICodeInterpreter]
) -> iam.IRole:
    """A role without managed policies: its own log group, inputs to read, runs to keep, files in staging."""
    role = iam.Role(scope, "Role", assumed_by=service_principal("lambda"))
    log_group.grant_write(role)
    inputs, runs, sandbox = (folder.below(each) for each in (settings.INPUTS, settings.RUNS, settings.SANDBOX))
    staging = [sandbox.below(key).below(settings.STAGING) for key in interpreters]
    role.add_to_policy(inputs.list_statement())
    for part, actions, reason in (
        (inputs, ("s3:GetObject",), "A request names its own inputs, in the tenant's folder of inputs."),
        (
            runs,
            # Reading is for the claim of a run that is repeated, and for links, which are as good as their signer.
            ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"),
            "A program names its own files; they go to the tenant's folder of runs.",
        ),
        *(
            (
                part,
                ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
                "Large files stop over here, under the name of their run, between a session and the other folders.",
            )
            for part in staging
        ),
    ):
        role.add_to_policy(part.object_statement(*actions))
        acknowledge_wildcards(role, {part.objects_arn: reason})
    for statement in (
        *folder.key_statements(write=False, parts=[inputs]),
        *folder.key_statements(write=True, parts=[runs, *staging]),
    ):
        role.add_to_policy(statement)
    return cast("iam.IRole", role)
