"""The stack of an environment's own network, for interpreters in VPC mode that name no subnets.

It stands alone: AgentCore's network interfaces stay for hours after a tenant's stack is gone, and hold on to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm

from sandpiper.environment.network_folders import network_folders
from sandpiper.environment.regions import S3_PREFIX_LISTS
from sandpiper.names import NETWORK, stack_name
from sandpiper_constructs.network_access import VpcAccess
from sandpiper_constructs.sandbox_network import SandboxNetwork
from stacks.log_retention import RETENTION

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper.environment import Environment
    from sandpiper.environment.network import Network


class NetworkStack(cdk.Stack):
    """The network, and where other stacks find it.

    They find it by parameters and not by exports, which CloudFormation refuses to change while they are in use. The
    parameters' names tell one network from the next that takes its place. So a template that has them changes when its
    subnets do, and with it the name of an interpreter, which could not be replaced under its own.

    Attributes:
        access: its subnets and the interpreters' security group, for any stack.
    """

    def __init__(self, scope: Construct, *, environment: Environment, network: Network) -> None:
        """Raises ValueError for an environment without zones, or in a region whose prefix list of S3 is not known."""
        super().__init__(
            scope,
            stack_name(environment.name, NETWORK),
            env=cdk.Environment(account=environment.account, region=environment.region),
            description=f"Sandpiper {environment.name}: network of code interpreters in VPC mode",
            termination_protection=environment.termination_protection,
        )
        written, only_read = network_folders(environment)
        made = SandboxNetwork(
            self,
            "Network",
            zones=sorted(environment.availability_zones),
            s3_prefix_list=_s3_prefix_list(environment, network),
            buckets=written,
            read_only_buckets=only_read,
            cidr=network.cidr,
            endpoints=network.endpoints,
            domains=network.domains,
            log_retention=RETENTION[network.query_log_days],
        )
        self._place = f"/sandpiper/{environment.name}/network/{made.digest}"
        self.access = VpcAccess(
            subnets=[self._told(f"subnets/{zone}", subnet) for zone, subnet in made.subnet_ids.items()],
            security_groups=[self._told("security-group", made.security_group_id)],
        )
        cdk.CfnOutput(self, "VpcId", value=made.vpc_id)

    def _told(self, name: str, value: str) -> str:
        """Writes an id into a parameter; returns what CloudFormation puts it in place of, in any template."""
        place = f"{self._place}/{name}"
        ssm.StringParameter(self, name, parameter_name=place, string_value=value)
        return f"{{{{resolve:ssm:{place}}}}}"


def _s3_prefix_list(environment: Environment, network: Network) -> str:
    region = environment.region
    known = network.s3_prefix_list or S3_PREFIX_LISTS.get(region)
    if known is None:
        raise ValueError(
            f"network.s3_prefix_list is not set, and this version does not know S3's prefix list in {region}; set it "
            f"to what `aws ec2 describe-managed-prefix-lists --region {region} --filters "
            f"Name=prefix-list-name,Values=com.amazonaws.{region}.s3` says"
        )
    return known
