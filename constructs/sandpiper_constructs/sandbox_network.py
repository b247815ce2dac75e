"""The construct `SandboxNetwork`: private subnets for interpreters in VPC mode, with access to listed targets only.

The network limits connections with any credentials. The permissions of code are in its interpreter's execution role.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.dns_firewall import DnsFirewall, endpoint_names, s3_names
from sandpiper_constructs.nag_suppressions import (
    DEFAULT_SECURITY_GROUP,
    accept,
    accept_log,
    accept_policies,
)
from sandpiper_constructs.principals import service_principal
from sandpiper_constructs.tokens import digest, is_valid
from sandpiper_contract.aws import ZONE_LETTERS
from sandpiper_contract.s3_statements import bucket_names, endpoint_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from aws_cdk import aws_kms as kms

HTTPS = 443
_PREFIX_LIST = re.compile("pl-[0-9a-f]{8,17}")
_ENDPOINT = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_DOMAIN = re.compile(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}")


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
        subnets = _subnets(cidr, zones)
        read_only, tenants = read_only_buckets or {}, tenant_folders or {}
        folders = (buckets, read_only, tenants)
        locations = [each for by_owner in folders for owned in by_owner.values() for each in owned]
        _require_valid(locations)
        _require_valid_names(s3_prefix_list, endpoints, domains)
        super().__init__(scope, id)
        stack = Stack.of(self)

        vpc = ec2.CfnVPC(self, "Vpc", cidr_block=cidr, enable_dns_support=True, enable_dns_hostnames=True)
        Tags.of(vpc).add("Name", self.node.path)
        accept(vpc, {DEFAULT_SECURITY_GROUP: "No resource uses the default group. CloudFormation cannot change it."})
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref)
        self.vpc_id = vpc.ref
        self.subnet_ids = {zone: self._subnet(zone, block, routes) for zone, block in subnets.items()}
        self._log_connections(log_retention, key)

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
            policy_document=_bucket_policy(stack, buckets, read_only, tenants),
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
        policy = _own_account_policy(Stack.of(self).account)
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

    def _log_connections(self, retention: logs.RetentionDays, key: kms.IKey | None) -> None:
        """Logs every accepted and rejected connection: addresses, ports and sizes, but no content."""
        stack = Stack.of(self)
        # The log outlives the network, because an incident may be investigated later. Its entries still expire.
        group = logs.LogGroup(
            self,
            "Connections",
            retention=retention,
            removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            encryption_key=key,
        )
        any_flow_log = stack.format_arn(service="ec2", resource="vpc-flow-log", resource_name="*")
        role = iam.Role(
            self,
            "ConnectionsRole",
            # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-iam-role.html
            assumed_by=service_principal(
                "vpc-flow-logs",
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": any_flow_log},
                },
            ),
            description="Writes the flow log of the network",
            inline_policies={
                "Write": iam.PolicyDocument(
                    statements=[
                        iam.PolicyStatement(
                            actions=["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
                            resources=[group.log_group_arn],
                        )
                    ]
                )
            },
        )
        accept_log(group, key, "The log of connections contains addresses and sizes, but no content.")
        accept_policies(role)
        ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_type="VPC",
            resource_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=role.role_arn,
        )


def _subnets(cidr: str, zones: Sequence[str]) -> dict[str, str]:
    """Returns the address block of each zone. Raises ValueError for an invalid range or zone."""
    try:
        addresses = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr is {cidr!r}: {error}; allowed: a range such as 10.64.0.0/20") from None
    if not addresses.is_private or not 16 <= addresses.prefixlen <= 24:
        raise ValueError(f"cidr is {cidr!r}; allowed: a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20")
    if not zones:
        raise ValueError("zones is empty; allowed: one or more zones, such as eu-west-1a")
    letters = [zone[-1:] for zone in zones]
    if not set(letters) <= set(ZONE_LETTERS) or len(set(letters)) < len(letters):
        raise ValueError(f"zones is {list(zones)!r}; allowed: different zones of one region, with a letter from a to h")
    blocks = [str(block) for block in addresses.subnets(prefixlen_diff=3)]
    return {zone: blocks[ZONE_LETTERS.index(letter)] for zone, letter in zip(zones, letters, strict=True)}


def _digest(stack: Stack, vpc: ec2.CfnVPC, interpreters: ec2.CfnSecurityGroup, subnets: Mapping[str, str]) -> str:
    """Returns a hash of the properties whose change replaces the VPC, a subnet or the security group."""
    create_only = {
        "ids": [stack.get_logical_id(vpc), stack.get_logical_id(interpreters)],
        "cidr": vpc.cidr_block,
        "description": interpreters.group_description,
        "subnets": dict(subnets),
    }
    return digest(stack, create_only)


def _require_valid(locations: Iterable[str]) -> None:
    for location in locations:
        if not all(location.split("/")) or any(character in location for character in "*?$"):
            raise ValueError(
                f"buckets contains {location!r}; allowed: a bucket, or a folder such as data/rates, without * ? $"
            )


def _require_valid_names(s3_prefix_list: str, endpoints: Sequence[str], domains: Sequence[str]) -> None:
    for option, values, pattern, allowed in (
        ("s3_prefix_list", [s3_prefix_list], _PREFIX_LIST, "an id such as pl-6da54004"),
        ("endpoints", endpoints, _ENDPOINT, "names of endpoints such as logs, each once"),
        ("domains", domains, _DOMAIN, "names such as *.example.com in lower case, each once, and not *"),
    ):
        for value in values:
            if not is_valid(pattern, value) or list(values).count(value) > 1:
                raise ValueError(f"{option} contains {value!r}; allowed: {allowed}")


def _bucket_policy(
    stack: Stack,
    buckets: Mapping[str, Sequence[str]],
    read_only: Mapping[str, Sequence[str]],
    tenants: Mapping[str, Sequence[str]],
) -> iam.PolicyDocument:
    """Returns the policy of the S3 endpoint: the buckets or folders of each account, for this account's principals.

    Only the keys of `buckets` and `read_only` can be listed. Without any bucket the policy denies everything, because
    an endpoint without a policy allows everything.

    The principal in the policy of a gateway endpoint must be `*`. Conditions limit it.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    allowed = endpoint_statements(stack.partition, stack.account, buckets, read_only, tenants)
    statements = [iam.PolicyStatement.from_json(statement) for statement in allowed]
    all_principals = [cast("iam.IPrincipal", iam.StarPrincipal())]
    deny_all = iam.PolicyStatement(effect=iam.Effect.DENY, principals=all_principals, actions=["s3:*"], resources=["*"])
    return iam.PolicyDocument(statements=statements or [deny_all])


def _own_account_policy(account: str) -> iam.PolicyDocument:
    """Returns the policy of interface endpoints: this account's principals, on resources of this account or of AWS.

    A request for a resource that belongs to no account, such as a foundation model, has no `aws:ResourceAccount`.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                principals=[cast("iam.IPrincipal", iam.StarPrincipal())],
                actions=["*"],
                resources=["*"],
                conditions={
                    "StringEquals": {"aws:PrincipalAccount": account},
                    "StringEqualsIfExists": {"aws:ResourceAccount": account},
                },
            )
        ]
    )
