"""The stack of one tenant: all that it has, so that it is deployed, reviewed and deleted as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from sandpiper.environment import PublicInterpreter, SessionLimits, VpcInterpreter
from sandpiper.names import stack_name
from sandpiper_constructs.alarms import TenantAlarms, Thresholds
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.caller_access import Callers
from sandpiper_constructs.dashboard import TenantDashboard
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.network_access import SANDBOX, PublicAccess, VpcAccess
from sandpiper_constructs.run_code_workflow import RunCodeWorkflow
from sandpiper_constructs.session_function import SessionFunction, interpreter_ids
from sandpiper_constructs.session_stopper import SessionStopper
from sandpiper_contract import settings
from stacks.log_retention import RETENTION
from stacks.storage import data_folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from constructs import Construct

    from sandpiper.environment import Environment, Interpreter, Tenant
    from sandpiper.environment.interpreter import S3Access
    from sandpiper_constructs.network_access import NetworkAccess


class TenantStack(cdk.Stack):
    """A tenant's interpreters, session function, workflow, alarms and dashboard."""

    def __init__(self, scope: Construct, *, environment: Environment, name: str, vpc: VpcAccess | None = None) -> None:
        """`vpc` is for interpreters in VPC mode that name no subnets.

        Raises KeyError for a name that the environment does not have.
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
        retention = RETENTION[environment.logs.retention_days]

        self._vpc = vpc
        interpreters = self._interpreters(environment, name, tenant, folder)
        stopper = SessionStopper(
            self, "SessionStopper", service=full_name, interpreters=interpreters, log_retention=retention
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
            log_level=tenant.session_function.log_level,
            log_retention=retention,
        )
        session_function.node.add_dependency(*stopper.entries)
        workflow = RunCodeWorkflow(
            self,
            "RunCode",
            name=f"{full_name}-run-code",
            session_function=session_function,
            log_retention=retention,
        )
        alarms = TenantAlarms(
            self,
            "Alarms",
            service=full_name,
            workflow=workflow,
            name_prefix=full_name,
            thresholds=Thresholds(errors=tenant.alarms.errors, throttles=tenant.alarms.throttles),
            topic_arn=environment.alarm_topic_arn,
        )
        dashboard = TenantDashboard(
            self,
            "Dashboard",
            name=full_name,
            service=full_name,
            workflow=workflow,
            interpreters=interpreters,
            alarms=alarms.alarms,
        )
        outputs = {
            "RunCodeStateMachineArn": workflow.state_machine.state_machine_arn,
            "DataBucketName": folder.bucket.bucket_name,
            "DataPrefix": folder.path,
            "Interpreters": interpreter_ids(interpreters),
            "SessionFunctionName": session_function.function.function_name,
            "DashboardName": dashboard.dashboard_name,
            **self._caller_roles(tenant, interpreters, stopper),
        }
        for output, value in outputs.items():
            cdk.CfnOutput(self, output, value=value)

    def _interpreters(
        self, environment: Environment, name: str, tenant: Tenant, folder: BucketFolder
    ) -> dict[str, CodeInterpreter]:
        return {
            key: self._interpreter(f"{environment.name}__{name}__{key}", key, options, folder)
            for key, options in tenant.interpreters.items()
        }

    def _interpreter(self, place: str, key: str, options: Interpreter, folder: BucketFolder) -> CodeInterpreter:
        """`place` names it in its account: two underscores tell the parts apart, where a hyphen becomes one."""
        own = options.execution_role == "own"
        return CodeInterpreter(
            self,
            f"Interpreter-{key}",
            name_prefix=place.replace("-", "_"),
            network=self._network(options),
            description=options.description,
            # Inputs and results of runs lie beside it, where no execution role reaches: code in a sandbox can
            # neither forge a result nor read another run's.
            folder=folder.below(settings.SANDBOX).below(key) if own else None,
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

    def _folders(self, id: str, folders: Sequence[S3Access]) -> list[BucketFolder]:  # noqa: A002 - as constructs have it
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
        """Lets callers in; returns the roles that those of other accounts assume, by the names of outputs."""
        callers = {
            key: Callers(self, f"Callers-{key}", interpreter=interpreters[key], role_arns=options.callers)
            for key, options in tenant.interpreters.items()
            if options.callers
        }
        for each in callers.values():
            each.node.add_dependency(*stopper.entries)
        return {f"CallerRole{_word(key)}": each.role.role_arn for key, each in callers.items() if each.role}

    def _execution_role(self, key: str, options: Interpreter) -> Literal["own", "none"] | iam.IRole:
        given = options.execution_role
        if given in ("own", "none"):
            return given
        return iam.Role.from_role_arn(self, f"ExecutionRole-{key}", given, mutable=False)


def _word(key: str) -> str:
    """An interpreter's key as part of an output's name, which takes letters and digits alone."""
    return "".join(part.capitalize() for part in key.split("-"))
