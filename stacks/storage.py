"""The stack of an environment's data, apart from the tenants' so that theirs can be replaced and deleted freely."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk

from sandpiper.names import STORAGE, data_bucket_name, stack_name, tenant_folder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_contract import settings

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment


class StorageStack(cdk.Stack):
    """One bucket for all tenants, each in its own folder."""

    def __init__(self, scope: Construct, *, environment: Environment) -> None:
        super().__init__(
            scope,
            stack_name(environment.name, STORAGE),
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: data of all tenants",
            termination_protection=environment.termination_protection,
        )
        DataBucket(
            self,
            "DataBucket",
            name=data_bucket_name(environment.name, environment.account, environment.region),
            retain=environment.data_bucket.retain,
            access_log_days=environment.data_bucket.retention_days.access_logs,
            expire_days={
                f"{tenant_folder(tenant)}/{settings.RUNS}": environment.data_bucket.retention_days.runs
                for tenant in environment.all_tenants
            },
            passing=[
                f"{tenant_folder(name)}/{settings.SANDBOX}/{key}/{settings.STAGING}"
                for name, tenant in environment.all_tenants.items()
                for key in tenant.interpreters
            ],
        )
