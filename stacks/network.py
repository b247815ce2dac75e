"""The stack of an environment's network, for interpreters in VPC mode without `subnets`.

It is a separate stack because AgentCore keeps network interfaces in the subnets for up to 8 hours after a tenant's
stack is deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm

from sandpiper.environment.network_folders import network_folders, network_tenants
from sandpiper.environment.regions import S3_PREFIX_LISTS
from sandpiper.names import NETWORK, VPC_PARAMETER, network_parameter, stack_name
from sandpiper_constructs.alarm_table import AlarmStack, alarm_row
from sandpiper_constructs.alarms import Alarms, AlarmSpec
from sandpiper_constructs.network_access import VpcAccess
from sandpiper_constructs.sandbox_network import SandboxNetwork
from stacks.data_key import import_own_key
from stacks.log_retention import RETENTION

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment
    from sandpiper.environment.network import Network

BLOCKED_NAMES = "blocked-names"
"""The name of the network's alarm, which the dashboard of the fleet shows."""


class NetworkStack(cdk.Stack):
    """Creates the network and the SSM parameters with the ids of its VPC, subnets and security group.

    Other stacks use these parameters instead of exports, which CloudFormation does not change while they are in use.
    The names of the parameters change when the network is replaced. Then the names of interpreters in the network
    change too, which is necessary because an interpreter cannot be replaced under its old name.

    Attributes:
        access: the subnets and the security group of interpreters, for use in any stack.
    """

    def __init__(self, scope: Construct, *, environment: Environment, network: Network) -> None:
        """Creates the stack.

        Args:
            scope: the app.
            environment: the validated environment file.
            network: the environment's network options.

        Raises:
            ValueError: the environment has no availability zones, or S3's prefix list in its region is unknown.
        """
        super().__init__(
            scope,
            stack_name(environment.name, NETWORK),
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: network of code interpreters in VPC mode",
            termination_protection=environment.termination_protection,
        )
        writable, read_only = network_folders(environment)
        sandbox_network = SandboxNetwork(
            self,
            "Network",
            zones=sorted(environment.availability_zones),
            s3_prefix_list=_s3_prefix_list(environment, network),
            buckets=writable,
            read_only_buckets=read_only,
            tenant_folders=network_tenants(environment),
            cidr=network.cidr,
            endpoints=network.endpoints,
            domains=network.domains,
            log_retention=RETENTION[network.query_log_days],
            key=import_own_key(self, environment),
        )
        blocked_names = AlarmSpec(
            name=BLOCKED_NAMES,
            metric=sandbox_network.blocked_names,
            threshold=environment.alarms.blocked_names,
            description=alarm_row(AlarmStack.NETWORK, BLOCKED_NAMES).description(),
        )
        Alarms(
            self,
            "Alarms",
            name_prefix=stack_name(environment.name, NETWORK),
            specs=[blocked_names],
            topic_arn=environment.platform_topic_arn,
        )
        self._prefix = network_parameter(environment.name, sandbox_network.digest)
        self.access = VpcAccess(
            subnets=[self._parameter(f"subnets/{zone}", subnet) for zone, subnet in sandbox_network.subnet_ids.items()],
            security_groups=[self._parameter("security-group", sandbox_network.security_group_id)],
            s3_vpc=self._parameter(VPC_PARAMETER, sandbox_network.vpc_id),
        )
        cdk.CfnOutput(self, "VpcId", value=sandbox_network.vpc_id)

    def _parameter(self, name: str, value: str) -> str:
        """Stores an id in a parameter. Returns the dynamic reference that CloudFormation replaces with the id."""
        parameter_name = f"{self._prefix}/{name}"
        ssm.StringParameter(self, name, parameter_name=parameter_name, string_value=value)
        return f"{{{{resolve:ssm:{parameter_name}}}}}"


def _s3_prefix_list(environment: Environment, network: Network) -> str:
    region = environment.region
    prefix_list = network.s3_prefix_list or S3_PREFIX_LISTS.get(region)
    if prefix_list is None:
        raise ValueError(
            f"network.s3_prefix_list is not set, and S3's prefix list in {region} is unknown to this version; set it "
            f"to the result of `aws ec2 describe-managed-prefix-lists --region {region} --filters "
            f"Name=prefix-list-name,Values=com.amazonaws.{region}.s3`"
        )
    return prefix_list
