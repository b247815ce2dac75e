"""The stack of one tenant: all that it has, so that it is deployed, reviewed and deleted as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from sandpiper.environment import PublicInterpreter
from sandpiper.names import stack_name
from sandpiper_constructs.alarms import TenantAlarms, Thresholds
from sandpiper_constructs.dashboard import TenantDashboard
from sandpiper_constructs.interpreter import CodeInterpreter, PublicAccess
from sandpiper_constructs.run_code_workflow import RunCodeWorkflow
from sandpiper_constructs.session_function import SessionFunction, interpreter_ids
from sandpiper_contract import settings
from stacks.log_retention import RETENTION
from stacks.storage import data_folder

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment, Interpreter, Tenant
    from sandpiper_constructs.bucket_folder import BucketFolder


class TenantStack(cdk.Stack):
    """A tenant's interpreters, session function, workflow, alarms and dashboard."""

    def __init__(self, scope: Construct, *, environment: Environment, name: str) -> None:
        """Raises KeyError for a name that the environment does not have."""
        tenant = environment.all_tenants[name]
        full_name = stack_name(environment.name, name)
        super().__init__(
            scope,
            full_name,
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: code interpreters of tenant {name}",
            termination_protection=environment.termination_protection,
        )
        cdk.Tags.of(self).add("sandpiper:tenant", name)
        folder = data_folder(self, environment, name)
        retention = RETENTION[environment.logs.retention_days]

        interpreters = self._interpreters(environment, name, tenant, folder)
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
            log_level=tenant.session_function.log_level,
            log_retention=retention,
        )
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
        }
        for output, value in outputs.items():
            cdk.CfnOutput(self, output, value=value)

    def _interpreters(
        self, environment: Environment, name: str, tenant: Tenant, folder: BucketFolder
    ) -> dict[str, CodeInterpreter]:
        return {
            key: CodeInterpreter(
                self,
                f"Interpreter-{key}",
                name_prefix=f"{environment.name}_{name}_{key}".replace("-", "_"),
                public=_public_access(options),
                description=options.description,
                # Inputs and results of runs lie beside it, where no execution role reaches: code in a sandbox can
                # neither forge a result nor read another run's.
                folder=folder.below(settings.SANDBOX).below(key),
            )
            for key, options in tenant.interpreters.items()
        }


def _public_access(options: Interpreter) -> PublicAccess | None:
    if not isinstance(options, PublicInterpreter):
        return None
    return PublicAccess(reason=options.reason, owner=options.owner, expires=options.expires)
