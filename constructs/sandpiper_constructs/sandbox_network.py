"""The construct `SandboxNetwork`: private subnets for interpreters in VPC mode, with access to listed targets only.

The network limits connections with any credentials. The permissions of code are in its interpreter's execution role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.dns_firewall import DnsFirewall, endpoint_names, s3_names
from sandpiper_constructs.endpoint_policies import bucket_policy, own_account_policy
from sandpiper_constructs.nag_suppressions import DEFAULT_SECURITY_GROUP, accept
from sandpiper_constructs.network_arguments import require_valid_locations, require_valid_names, subnets_by_zone
from sandpiper_constructs.network_logs import log_connections
from sandpiper_constructs.tokens import digest
from sandpiper_contract.s3_statements import bucket_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aws_cdk import aws_kms as kms

HTTPS = 443


class SandboxNetwork(Construct):
    """Creates a VPC with one private subnet in each zone, without a NAT gateway or an internet gateway.

    Code in it can reach listed S3 buckets or folders through a gateway endpoint, and listed AWS services through
    interface endpoints, with signed calls of this account's principals only. Other DNS names are not resolved, except
    those in `domains`. Every DNS query and every connection is logged.

    AgentCore keeps its network interfaces for up to 8 hours after their interpreter is deleted. Until then the subnets
    and the security group cannot be deleted, so use a separate stack for the network.
    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html

    The VPC's default security group keeps the rules that AWS gives it, because only code that runs at deployment could
    remove them. No resource uses that group.
    https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html

    Example:
        ```python
        network = SandboxNetwork(
            stack,
            "Network",
            zones=["eu-west-1a", "eu-west-1b"],
            s3_prefix_list="pl-6da54004",
            buckets={"111122223333": ["claims-data/tenants/claims"]},
            endpoints=["logs"],
        )
        access = VpcAccess(subnets=list(network.subnet_ids.values()), security_groups=[network.security_group_id])
        ```

    Attributes:
        vpc_id: the id of the VPC.
        subnet_ids: the id of the subnet in each zone, by the zone's name.
        security_group_id: the id of the security group for interpreters. It allows connections to S3 and to the
            endpoints only.
        digest: a hash that changes when the subnets or the security group are replaced. Use it in the names of
            parameters that hold their ids: these ids are create-only properties of an interpreter, which cannot be
            replaced under its old name.
        blocked_names: the number of DNS queries that the firewall blocked.

    Raises:
        ValueError: before any resource is created, for a missing or invalid argument.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        zones: Sequence[str],
        s3_prefix_list: str,
        buckets: Mapping[str, Sequence[str]],
        read_only_buckets: Mapping[str, Sequence[str]] | None = None,
        tenant_folders: Mapping[str, Sequence[str]] | None = None,
        cidr: str = "10.64.0.0/20",
        endpoints: Sequence[str] = (),
        domains: Sequence[str] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        key: kms.IKey | None = None,
    ) -> None:
        """Creates the network.

        Args:
            scope: parent construct, in a stack with a region.
            id: construct id, unique in its scope.
            zones: names of availability zones that AgentCore supports, such as `eu-west-1a`. They are not looked up.
            s3_prefix_list: id of S3's managed prefix list in the region, because a template cannot refer to it by name:
                `aws ec2 describe-managed-prefix-lists --filters
                Name=prefix-list-name,Values=com.amazonaws.REGION.s3`.
            buckets: buckets in the region that code may read and write, or folders in them such as `data/rates`, by the
                account that owns them.
            read_only_buckets: the same for buckets that code may only read. Without any bucket, S3 is not reachable.
                Default: none.
            tenant_folders: the same for the folders of session functions, with `inputs/` and `runs/`. Code can use
                URLs that their roles presigned: to read inputs and to write files of runs. Default: none.
            cidr: a private IPv4 range of 16 to 24 bits. Default: `10.64.0.0/20`.
            endpoints: AWS services by the name of their endpoint, such as `logs`. Default: none.
            domains: further DNS names that are resolved. This does not make them reachable. Default: none.
            log_retention: how long DNS queries and connections are kept. Default: three months.
            key: KMS key of the log groups. The policy of the key must allow it. Default: keys of AWS.
        """
        subnets = subnets_by_zone(cidr, zones)
        read_only, tenants = read_only_buckets or {}, tenant_folders or {}
        folders = (buckets, read_only, tenants)
        locations = [each for by_owner in folders for owned in by_owner.values() for each in owned]
        require_valid_locations(locations)
        require_valid_names(s3_prefix_list, endpoints, domains)
        super().__init__(scope, id)
        stack = Stack.of(self)

        vpc = ec2.CfnVPC(self, "Vpc", cidr_block=cidr, enable_dns_support=True, enable_dns_hostnames=True)
        Tags.of(vpc).add("Name", self.node.path)
        accept(vpc, {DEFAULT_SECURITY_GROUP: "No resource uses the default group. CloudFormation cannot change it."})
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref)
        self.vpc_id = vpc.ref
        self.subnet_ids = {zone: self._subnet(zone, block, routes) for zone, block in subnets.items()}
        log_connections(self, vpc.ref, log_retention, key)

        interpreters = ec2.CfnSecurityGroup(
            self,
            "Interpreters",
            vpc_id=vpc.ref,
            group_description="Code interpreters: to S3 and the endpoints alone, from nowhere",
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="tcp",
                    from_port=HTTPS,
                    to_port=HTTPS,
                    destination_prefix_list_id=s3_prefix_list,
                    description="S3, through its gateway endpoint",
                )
            ],
        )
        self.security_group_id = interpreters.ref
        self.digest = _digest(stack, vpc, interpreters, subnets)
        ec2.CfnVPCEndpoint(
            self,
            "S3",
            vpc_id=vpc.ref,
            vpc_endpoint_type="Gateway",
            service_name=ec2.GatewayVpcEndpointAwsService.S3.name,
            route_table_ids=[routes.ref],
            policy_document=bucket_policy(stack, buckets, read_only, tenants),
        )
        if endpoints:
            self._interface_endpoints(endpoints)
        firewall = DnsFirewall(
            self,
            "DnsFirewall",
            vpc_id=vpc.ref,
            aws_names=[
                *s3_names(stack, bucket_names(locations)),
                *(name for service in endpoints for name in endpoint_names(stack, service)),
            ],
            domains=domains,
            log_retention=log_retention,
            key=key,
        )
        self.blocked_names = firewall.blocked

    def _subnet(self, zone: str, block: str, routes: ec2.CfnRouteTable) -> str:
        """Creates a private subnet with routes to the VPC itself and to S3 only."""
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet-{zone}",
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=block,
            map_public_ip_on_launch=False,
        )
        Tags.of(subnet).add("Name", f"{self.node.path}/{zone}")
        ec2.CfnSubnetRouteTableAssociation(self, f"Routes-{zone}", subnet_id=subnet.ref, route_table_id=routes.ref)
        return subnet.ref

    def _interface_endpoints(self, services: Sequence[str]) -> None:
        """Creates an endpoint for each service, with a security group that allows interpreters only."""
        group = ec2.CfnSecurityGroup(
            self,
            "Endpoints",
            vpc_id=self.vpc_id,
            group_description="Interface endpoints: from code interpreters alone",
            security_group_ingress=[
                ec2.CfnSecurityGroup.IngressProperty(
                    ip_protocol="tcp",
                    from_port=HTTPS,
                    to_port=HTTPS,
                    source_security_group_id=self.security_group_id,
                    description="Code interpreters",
                )
            ],
            # EC2 adds a rule that allows everything to a group without an egress rule. This rule matches no packet.
            security_group_egress=[
                ec2.CfnSecurityGroup.EgressProperty(
                    ip_protocol="icmp",
                    from_port=252,
                    to_port=86,
                    cidr_ip="255.255.255.255/32",
                    description="Nothing",
                )
            ],
        )
        # A separate resource, because the two groups refer to each other.
        ec2.CfnSecurityGroupEgress(
            self,
            "ToEndpoints",
            group_id=self.security_group_id,
            ip_protocol="tcp",
            from_port=HTTPS,
            to_port=HTTPS,
            destination_security_group_id=group.ref,
            description="Interface endpoints",
        )
        policy = own_account_policy(Stack.of(self).account)
        for service in services:
            ec2.CfnVPCEndpoint(
                self,
                f"Endpoint-{service}",
                vpc_id=self.vpc_id,
                vpc_endpoint_type="Interface",
                service_name=ec2.InterfaceVpcEndpointAwsService(service).name,
                subnet_ids=list(self.subnet_ids.values()),
                security_group_ids=[group.ref],
                private_dns_enabled=True,
                policy_document=policy,
            )


def _digest(stack: Stack, vpc: ec2.CfnVPC, interpreters: ec2.CfnSecurityGroup, subnets: Mapping[str, str]) -> str:
    """Returns a hash of the properties whose change replaces the VPC, a subnet or the security group."""
    create_only = {
        "ids": [stack.get_logical_id(vpc), stack.get_logical_id(interpreters)],
        "cidr": vpc.cidr_block,
        "description": interpreters.group_description,
        "subnets": dict(subnets),
    }
    return digest(stack, create_only)
