"""The names of a deployed tenant: its workflows and its folder of inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_stepfunctions as sfn

if TYPE_CHECKING:
    from constructs import Construct


@dataclass(frozen=True)
class Tenant:
    """A tenant of an environment file.

    Attributes:
        environment: The name of the environment.
        tenant: The name of the tenant.
    """

    environment: str
    tenant: str

    def workflow(self, scope: Construct, name: str) -> sfn.IStateMachine:
        """Returns a workflow of the tenant, such as `run-code`."""
        return sfn.StateMachine.from_state_machine_name(
            scope, f"Workflow {name}", f"sandpiper-{self.environment}-{self.tenant}-{name}"
        )

    def bucket_name(self, stack: Stack) -> str:
        """Returns the name of the data bucket that Sandpiper has created in the account and Region of a stack."""
        return f"sandpiper-{self.environment}-{stack.account}-{stack.region}"

    @property
    def inputs(self) -> str:
        """The folder of inputs in the bucket, with a slash at its end."""
        return f"tenants/{self.tenant}/inputs/"
