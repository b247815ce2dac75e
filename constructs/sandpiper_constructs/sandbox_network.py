"""A network for interpreters in VPC mode: private subnets from which nothing leads out but to what is named here.

Not what code may do there: its interpreter's execution role says that. This bounds it, whoever's credentials it has.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from typing import TYPE_CHECKING, cast

from aws_cdk import RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from sandpiper_constructs.bucket_folder import READ, WRITE
from sandpiper_constructs.dns_firewall import DnsFirewall, endpoint_names, s3_names
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

BLOCKS = "abcdefgh"
"""A zone's letter is its block of the addresses, an eighth: a zone more or less moves no subnet of another."""
HTTPS = 443
DIGEST_CHARACTERS = 8
FEWEST_BEFORE_A_WILDCARD = 6


class SandboxNetwork(Construct):
    """A VPC with one private subnet in each zone, without a NAT or an internet gateway.

    What code in it reaches: named buckets of S3, or folders in them, by a gateway endpoint, and named services of AWS
    by interface endpoints, each with signed calls of this account's principals alone. Names that are not of these, or
    in `domains`, are not resolved. Every query and every connection is logged.

    AgentCore's network interfaces stay for up to 8 hours after their interpreter is deleted, and for so long neither
    subnets nor the security group can be: keep it in a stack of its own.
    (https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html)

    The VPC's default security group keeps the rules that AWS gives it, which only code that runs at deployment could
    take away (https://docs.aws.amazon.com/vpc/latest/userguide/default-security-group.html). Nothing here is in it.

    Attributes:
        vpc_id: the VPC's.
        subnet_ids: one in each zone, by the zone's name.
        security_group_id: for interpreters, whose code reaches the endpoints and S3 with it and nothing else.
        digest: another one whenever subnets or security group are other ones. An interpreter's own are set at its
            creation only, and it cannot be replaced under its own name.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        zones: Sequence[str],
        s3_prefix_list: str,
        buckets: Mapping[str, Sequence[str]],
        read_only_buckets: Mapping[str, Sequence[str]] | None = None,
        cidr: str = "10.64.0.0/20",
        endpoints: Sequence[str] = (),
        domains: Sequence[str] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        """Raises ValueError, before any resource, for what is left out or cannot be used.

        Args:
            scope: where it is, in a stack with a region.
            id: its name there.
            zones: names of availability zones that AgentCore supports, such as `eu-west-1a`; nothing is looked up.
            s3_prefix_list: S3's managed prefix list in the region, which no template can name otherwise: `aws ec2
                describe-managed-prefix-lists --filters Name=prefix-list-name,Values=com.amazonaws.REGION.s3`.
            buckets: names of buckets in the region that may be read and written, by the account that owns them; or of
                folders in them, such as `data/rates`. Without any here and below, nothing of S3 is reached.
            read_only_buckets: the same of those that may be read alone, and nothing sent to.
            cidr: the addresses, a private IPv4 range of 16 to 24 bits.
            endpoints: services of AWS by their endpoint's name, such as `logs`.
            domains: names that may be resolved besides; that alone makes no way to them.
            log_retention: of DNS queries and connections.
        """
        subnets = _subnets(cidr, zones)
        only_read = read_only_buckets or {}
        all_places = [place for some in (buckets, only_read) for places in some.values() for place in places]
        _require_places(all_places)
        super().__init__(scope, id)
        stack = Stack.of(self)

        vpc = ec2.CfnVPC(self, "Vpc", cidr_block=cidr, enable_dns_support=True, enable_dns_hostnames=True)
        Tags.of(vpc).add("Name", self.node.path)
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=vpc.ref)
        self.vpc_id = vpc.ref
        self.subnet_ids = {zone: self._subnet(zone, block, routes) for zone, block in subnets.items()}
        self._log_connections(log_retention)

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
            policy_document=_bucket_policy(stack, buckets, only_read),
        )
        if endpoints:
            self._interface_endpoints(endpoints)
        DnsFirewall(
            self,
            "DnsFirewall",
            vpc_id=vpc.ref,
            aws_names=[
                *s3_names(stack, _names_of(all_places)),
                *(name for service in endpoints for name in endpoint_names(stack, service)),
            ],
            domains=domains,
            log_retention=log_retention,
        )

    def _subnet(self, zone: str, block: str, routes: ec2.CfnRouteTable) -> str:
        """A private subnet, whose only routes are the VPC's own and S3's."""
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
        """An endpoint for each service, in a group that admits the interpreters' group and nobody else."""
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
            # A group without a rule would get one that allows everything. This matches no packet.
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
        # A resource of its own, since the two groups name each other.
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

    def _log_connections(self, retention: logs.RetentionDays) -> None:
        """A line for every connection, accepted or rejected: addresses, ports and sizes, no content."""
        stack = Stack.of(self)
        # It stays when the network goes: who looks into an incident may come late. Its lines have their time.
        group = logs.LogGroup(
            self, "Connections", retention=retention, removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
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
            description="Writes the log of connections",
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
    """Each zone's block of addresses."""
    try:
        addresses = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise ValueError(f"cidr is {cidr!r}: {error}; allowed: such as 10.64.0.0/20") from None
    if not addresses.is_private or not 16 <= addresses.prefixlen <= 24:
        raise ValueError(f"cidr is {cidr!r}; allowed: a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20")
    if not zones:
        raise ValueError("zones is empty; allowed: one or more names of zones, such as eu-west-1a")
    letters = [zone[-1:] for zone in zones]
    if not set(letters) <= set(BLOCKS) or len(set(letters)) < len(letters):
        raise ValueError(f"zones is {list(zones)!r}; allowed: different zones of one region, with a letter from a to h")
    blocks = [str(block) for block in addresses.subnets(prefixlen_diff=3)]
    return {zone: blocks[BLOCKS.index(letter)] for zone, letter in zip(zones, letters, strict=True)}


def _digest(stack: Stack, vpc: ec2.CfnVPC, interpreters: ec2.CfnSecurityGroup, subnets: Mapping[str, str]) -> str:
    """Of all that makes CloudFormation replace the VPC, a subnet or the security group."""
    create_only = {
        "ids": [stack.get_logical_id(vpc), stack.get_logical_id(interpreters)],
        "cidr": vpc.cidr_block,
        "description": interpreters.group_description,
        "subnets": dict(subnets),
    }
    text = json.dumps(stack.resolve(create_only), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_CHARACTERS]


def _require_places(places: Iterable[str]) -> None:
    for place in places:
        if not all(place.split("/")) or any(character in place for character in "*?$"):
            raise ValueError(
                f"buckets has {place!r}; allowed: a bucket, or a folder in one as data/rates, without * ? $"
            )


def _bucket_policy(
    stack: Stack, buckets: Mapping[str, Sequence[str]], read_only: Mapping[str, Sequence[str]]
) -> iam.PolicyDocument:
    """S3's endpoint policy: these buckets of these accounts, or folders in them, for this account's principals.

    Of a folder's bucket the folder's keys are listed and no others. Without a place it refuses everything, since an
    endpoint without a policy allows it.

    The principal of a gateway endpoint's policy has to be everybody, and conditions say whom it means.
    (https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html)
    """
    arn = f"arn:{stack.partition}:s3:::"
    anybody = [cast("iam.IPrincipal", iam.StarPrincipal())]

    def allow(
        owner: str, actions: Sequence[str], places: Iterable[str], prefixes: Sequence[str]
    ) -> iam.PolicyStatement:
        accounts = {"aws:PrincipalAccount": stack.account, "aws:ResourceAccount": owner}
        return iam.PolicyStatement(
            principals=anybody,
            actions=list(actions),
            resources=[arn + place for place in places],
            conditions={"StringEquals": accounts, **({"StringLike": {"s3:prefix": prefixes}} if prefixes else {})},
        )

    allowed = [
        allow(owner, actions, [f"{place}/*" for place in places], ())
        for some, actions in ((buckets, WRITE), (read_only, READ))
        for owner, places in some.items()
        if places
    ]
    for owner in dict.fromkeys([*buckets, *read_only]):
        places = [*buckets.get(owner, ()), *read_only.get(owner, ())]
        allowed += [allow(owner, ("s3:ListBucket",), [name], _prefixes(name, places)) for name in _names_of(places)]
    nothing = iam.PolicyStatement(effect=iam.Effect.DENY, principals=anybody, actions=["s3:*"], resources=["*"])
    return iam.PolicyDocument(statements=allowed or [nothing])


def _prefixes(bucket: str, places: Sequence[str]) -> list[str]:
    """What may be listed of a bucket, as a condition's patterns; none for all of it.

    An endpoint's policy takes a wildcard after six characters or more, so of a folder with a shorter name only the
    whole is listed. (https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html)
    """
    if bucket in places:
        return []
    folders = [place.removeprefix(f"{bucket}/") + "/" for place in places if place.startswith(f"{bucket}/")]
    return [folder + ("*" if len(folder) >= FEWEST_BEFORE_A_WILDCARD else "") for folder in folders]


def _names_of(places: Sequence[str]) -> list[str]:
    """The buckets of places such as `data/rates`, each once."""
    return list(dict.fromkeys(place.partition("/")[0] for place in places))


def _own_account_policy(account: str) -> iam.PolicyDocument:
    """An interface endpoint's policy: this account's principals, on this account's resources and AWS's own.

    What belongs to no account, such as a foundation model, has no `aws:ResourceAccount`.
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)
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
