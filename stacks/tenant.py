"""The stack of one tenant, which is the unit of deployment, review and deletion."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from sandpiper.environment import PublicInterpreter, SessionLimits, VpcInterpreter
from sandpiper.environment.batch_limits import max_batch_concurrency, seconds_between_calls
from sandpiper.names import (
    RUN_BATCH,
    RUN_CODE,
    RUN_CODE_EXPRESS,
    RUN_COMMAND,
    RUN_SESSION,
    interpreter_name_prefix,
    stack_name,
)
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.caller_access import CallerAccess
from sandpiper_constructs.dashboard import TenantDashboard
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.interpreter_logs import InterpreterLogs
from sandpiper_constructs.log_queries import save_queries
from sandpiper_constructs.network_access import SANDBOX, PublicAccess, VpcAccess
from sandpiper_constructs.run_batch_workflow import RunBatchWorkflow
from sandpiper_constructs.run_code_express_workflow import RunCodeExpressWorkflow
from sandpiper_constructs.run_code_workflow import RunCodeWorkflow
from sandpiper_constructs.run_command_workflow import RunCommandWorkflow
from sandpiper_constructs.run_session_workflow import RunSessionWorkflow
from sandpiper_constructs.session_function import BatchLimits, SessionFunction, interpreter_ids
from sandpiper_constructs.session_stopper import SessionStopper
from sandpiper_constructs.session_sweep import SessionSweep
from sandpiper_constructs.tenant_alarms import TenantAlarms, Thresholds
from sandpiper_constructs.workflow_access import ReaderAccess, StarterAccess
from sandpiper_contract import settings
from stacks.data_key import import_own_key
from stacks.log_retention import RETENTION
from stacks.storage import data_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_cdk import aws_kms as kms

    from sandpiper.environment import Environment, Interpreter, Tenant
    from sandpiper.environment.interpreter import S3Access
    from sandpiper_constructs.network_access import NetworkAccess
    from sandpiper_constructs.session_workflow import SessionWorkflow


class TenantStack(cdk.Stack):
    """Creates a tenant's interpreters, session function, workflows, alarms, dashboard and outputs."""

    def __init__(self, scope: Construct, *, environment: Environment, name: str, vpc: VpcAccess | None = None) -> None:
        """Creates the stack.

        Args:
            scope: the app.
            environment: the validated environment file.
            name: the tenant's name.
            vpc: the environment's network, for interpreters in VPC mode without `subnets`. Default: no such network.

        Raises:
            KeyError: the environment has no tenant with this name.
        """
        tenant = environment.all_tenants[name]
        full_name = stack_name(environment.name, name)
        super().__init__(
            scope,
            full_name,
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: code interpreters of tenant {name}",
            termination_protection=environment.termination_protection,
        )
        folder = data_folder(self, environment, name)
        retention, key = RETENTION[environment.logs.retention_days], import_own_key(self, environment)
        retain_logs = environment.data_bucket.retain

        self._vpc = vpc
        interpreters = self._interpreters(environment, name, tenant, folder)
        InterpreterLogs(
            self,
            "InterpreterLogs",
            service=full_name,
            interpreters=interpreters,
            log_retention=retention,
            usage=environment.logs.usage,
            traces=environment.logs.traces,
            application_logs=[key for key, options in tenant.interpreters.items() if options.application_logs],
            key=key,
            retain_logs=retain_logs,
        )
        stopper = SessionStopper(
            self,
            "SessionStopper",
            service=full_name,
            interpreters=interpreters,
            log_retention=retention,
            retain_logs=retain_logs,
            key=key,
        )
        session_function = SessionFunction(
            self,
            "SessionFunction",
            service=full_name,
            interpreters=interpreters,
            folder=folder,
            architecture=tenant.session_function.architecture,
            runtime=tenant.session_function.runtime,
            memory_mib=tenant.session_function.memory_mib,
            timeout_seconds=tenant.session_function.timeout_seconds,
            reserved_concurrency=tenant.session_function.reserved_concurrency,
            session_seconds={
                key: (options.session.default_seconds, options.session.longest_seconds)
                for key, options in tenant.interpreters.items()
                if options.session != SessionLimits()
            },
            batch_limits=_batch_limits(environment, tenant),
            prices=environment.prices.changed,
            log_level=tenant.session_function.log_level,
            log_retention=retention,
            key=key,
            retain_logs=retain_logs,
        )
        session_function.node.add_dependency(*stopper.custom_resources)
        workflows = {
            name: create(
                self,
                _pascal_case(name),
                name=f"{full_name}-{name}",
                session_function=session_function,
                log_retention=retention,
                key=key,
                retain_logs=retain_logs,
            )
            for name, create in _workflow_constructs(environment, name, folder).items()
            if name in tenant.deployed_workflows
        }
        SessionSweep(
            self,
            "SessionSweep",
            session_function=session_function,
            interpreters=interpreters,
            workflows=[*workflows.values()],
        )
        others = {name: workflow for name, workflow in workflows.items() if name != RUN_CODE}
        alarms = TenantAlarms(
            self,
            "Alarms",
            service=full_name,
            workflow=workflows[RUN_CODE],
            other_workflows=others,
            session_function=session_function,
            interpreter=next(iter(interpreters.values())),
            name_prefix=full_name,
            thresholds=Thresholds(**tenant.alarms.model_dump()),
            topic_arn=environment.platform_topic_arn,
            owner_topic_arn=tenant.alarm_topic_arn or environment.owner_topic_arn,
        )
        dashboard = TenantDashboard(
            self,
            "Dashboard",
            name=full_name,
            service=full_name,
            session_function=session_function,
            workflows=workflows,
            interpreters=interpreters,
            alarm_arns=alarms.alarm_arns,
            prices=environment.prices.prices,
            notes=_dashboard_notes(environment.name, name),
        )
        save_queries(Construct(self, "Queries"), full_name, session_function.log_group_name)
        outputs = {
            **{
                f"{_pascal_case(name)}StateMachineArn": workflow.state_machine_arn
                for name, workflow in workflows.items()
            },
            "DataBucketName": folder.bucket.bucket_name,
            "DataPrefix": folder.path,
            "Interpreters": interpreter_ids(interpreters),
            "SessionFunctionName": session_function.function_name,
            "DashboardName": dashboard.dashboard_name,
            **self._caller_roles(tenant, interpreters, stopper),
            **self._workflow_roles(tenant, workflows, folder, key),
            **_batch_outputs(tenant),
        }
        for output, value in outputs.items():
            cdk.CfnOutput(self, output, value=value)

    def _interpreters(
        self, environment: Environment, name: str, tenant: Tenant, folder: BucketFolder
    ) -> dict[str, CodeInterpreter]:
        return {
            key: self._interpreter(f"{interpreter_name_prefix(environment.name)}{name}__{key}", key, options, folder)
            for key, options in tenant.interpreters.items()
        }

    def _interpreter(self, full_name: str, key: str, options: Interpreter, folder: BucketFolder) -> CodeInterpreter:
        """Creates an interpreter.

        Two underscores separate the parts of `full_name`, because hyphens in the parts become single underscores.
        """
        own_role = options.execution_role == "own"
        return CodeInterpreter(
            self,
            f"Interpreter-{key}",
            name_prefix=full_name.replace("-", "_"),
            network=self._network(options),
            description=options.description,
            # Inputs and results of runs are outside of this folder. Code in a sandbox can neither forge a result nor
            # read the files of another run.
            folder=folder.subfolder(settings.SANDBOX).subfolder(key) if own_role else None,
            read=self._folders(f"Read-{key}", options.read),
            write=self._folders(f"Write-{key}", options.write),
            certificates=options.certificates,
            execution_role=self._execution_role(key, options),
        )

    def _network(self, options: Interpreter) -> NetworkAccess:
        if isinstance(options, PublicInterpreter):
            return PublicAccess(reason=options.reason, owner=options.owner, expires=options.expires)
        if not isinstance(options, VpcInterpreter):
            return SANDBOX
        if self._vpc is not None and not options.subnets:
            return self._vpc
        return VpcAccess(subnets=options.subnets, security_groups=options.security_groups)

    def _folders(self, id: str, folders: Sequence[S3Access]) -> list[BucketFolder]:  # noqa: A002 - a prefix of construct ids
        return [
            BucketFolder(
                bucket=s3.Bucket.from_bucket_name(self, f"{id}-{index}", folder.bucket),
                path=folder.folder,
                account=folder.account,
                key_arn=folder.key,
            )
            for index, folder in enumerate(folders)
        ]

    def _caller_roles(
        self, tenant: Tenant, interpreters: Mapping[str, CodeInterpreter], stopper: SessionStopper
    ) -> dict[str, str]:
        """Grants access to callers. Returns the roles that callers of other accounts assume, by output name."""
        accesses = {
            key: CallerAccess(self, f"Callers-{key}", interpreter=interpreters[key], role_arns=options.callers)
            for key, options in tenant.interpreters.items()
            if options.callers
        }
        for access in accesses.values():
            access.node.add_dependency(*stopper.custom_resources)
        roles = {key: access.role for key, access in accesses.items() if access.role}
        return {f"CallerRole{_pascal_case(key)}": role.role_arn for key, role in roles.items()}

    def _workflow_roles(
        self,
        tenant: Tenant,
        workflows: Mapping[str, SessionWorkflow],
        folder: BucketFolder,
        key: kms.IKey | None,
    ) -> dict[str, str]:
        """Grants access to starters and readers. Returns the roles that they assume, by output name."""
        outputs: dict[str, str] = {}
        for name, workflow in workflows.items():
            options = tenant.deployed_workflows[name]
            if options.starters:
                starters = StarterAccess(
                    self, f"Starters-{name}", workflow=workflow, role_arns=options.starters, key=key
                )
                if starters.role:
                    outputs[f"StarterRole{_pascal_case(name)}"] = starters.role.role_arn
            if options.readers:
                readers = ReaderAccess(
                    self,
                    f"Readers-{name}",
                    workflow=workflow,
                    folder=folder,
                    role_arns=options.readers,
                    key=key,
                )
                outputs[f"ReaderRole{_pascal_case(name)}"] = readers.role.role_arn
        return outputs

    def _execution_role(self, key: str, options: Interpreter) -> Literal["own", "none"] | iam.IRole:
        role = options.execution_role
        if role in ("own", "none"):
            return role
        return iam.Role.from_role_arn(self, f"ExecutionRole-{key}", role, mutable=False)


def _batch_outputs(tenant: Tenant) -> dict[str, str]:
    """Returns the maximum number of sessions of a batch, by which `sandpiper run --batch` checks `maxConcurrency`."""
    concurrency = max_batch_concurrency(tenant)
    return {} if concurrency is None else {"MaxBatchConcurrency": str(concurrency)}


def _batch_limits(environment: Environment, tenant: Tenant) -> BatchLimits | None:
    """Returns the limits of batches, or None for a tenant without them."""
    concurrency = max_batch_concurrency(tenant)
    if concurrency is None:
        return None
    return BatchLimits(max_concurrency=concurrency, seconds_between_calls=seconds_between_calls(environment))


def _workflow_constructs(
    environment: Environment, tenant: str, folder: BucketFolder
) -> dict[str, Callable[..., SessionWorkflow]]:
    """Returns what creates each workflow, by name."""
    return {
        RUN_CODE: RunCodeWorkflow,
        RUN_BATCH: partial(RunBatchWorkflow, folder=folder),
        RUN_CODE_EXPRESS: RunCodeExpressWorkflow,
        RUN_COMMAND: RunCommandWorkflow,
        RUN_SESSION: partial(
            RunSessionWorkflow,
            topic_arn=environment.approval_topic_arn or environment.alarm_topic_arn,
            answer_options=f"--environment {environment.name} --tenant {tenant}",
        ),
    }


def _dashboard_notes(environment: str, tenant: str) -> str:
    """Returns the text at the top of the dashboard: the commands for a closer look."""
    options = f"-e {environment} --tenant {tenant}"
    return (
        f"# Tenant {tenant} of {environment}\n"
        f"Next: `sandpiper runs list {options} --status failed`, then `sandpiper runs show ARN {options}` with an ARN "
        f"of the list. `sandpiper alarms -e {environment}` names the runbook of each alarm (docs/runbooks).\n"
        f"Saved queries of CloudWatch Logs Insights are in the folder `{stack_name(environment, tenant)}`."
    )


def _pascal_case(key: str) -> str:
    """Returns a key or a name in PascalCase, because names of outputs have only letters and digits."""
    return "".join(part.capitalize() for part in key.split("-"))
