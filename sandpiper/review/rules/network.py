"""Rules about networks: what code in an interpreter can reach."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from sandpiper.review.building.types import ENDPOINT
from sandpiper.review.findings import Acceptance, Severity
from sandpiper.review.reading.values import as_mapping, as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import at_statement, interpreters, mode_of, names_everyone, required_values
from sandpiper_contract.aws import EMBEDDED_ACCOUNT
from sandpiper_policy.model.symbols import has_symbol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

MODES = ("SANDBOX", "PUBLIC", "VPC")
PUBLIC_ACCESS = "Sandpiper::PublicAccess"
"""Metadata of an interpreter with internet access: Reason, Owner and Expires."""
_ANYWHERE = {"0.0.0.0/0", "::/0"}
_FOLDER = re.compile(r"arn:[\w-]+:s3:::[^*?/]+/[^*?]+/\*")
_VPC_DOCS = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html"
_INTERPRETER_DOCS = "https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-create.html"
_ENDPOINT_DOCS = "https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html"


def _mode_is_explicit(model: ReviewModel) -> Iterator[Occurrence]:
    for one in interpreters(model):
        mode = mode_of(one)
        if mode not in MODES:
            shown = f"is {mode[:80]!r}" if mode else "is missing"
            yield Occurrence(
                one.at("NetworkConfiguration", "NetworkMode"),
                f"the network mode of the interpreter {shown}; allowed: {', '.join(MODES)}",
            )


def _public_is_justified(model: ReviewModel) -> Iterator[Occurrence]:
    for one in interpreters(model):
        if mode_of(one) == "PUBLIC":
            yield Occurrence(
                one.at("NetworkConfiguration", "NetworkMode"),
                "code in the interpreter can reach the internet, also with the credentials of its role",
                acceptance=_public_access(one),
            )


def _public_access(interpreter: Resource) -> Acceptance | None:
    """Returns the decision in the metadata of an interpreter.

    It needs a reason, an owner and an expiry date. In the embedded AWS the date can be `never`.
    """
    metadata = as_mapping(interpreter.metadata.get(PUBLIC_ACCESS))
    reason, owner, expires = (as_text(metadata.get(name)) for name in ("Reason", "Owner", "Expires"))
    day: datetime.date | None = None
    try:
        day = datetime.date.fromisoformat(expires)
    except ValueError:
        if (interpreter.account, expires) != (EMBEDDED_ACCOUNT, "never"):
            return None
    return Acceptance(reason, owner, day, f"metadata {PUBLIC_ACCESS}") if reason and owner else None


def _sandbox_reaches_s3(model: ReviewModel) -> Iterator[Occurrence]:
    for one in interpreters(model):
        if mode_of(one) == "SANDBOX":
            yield Occurrence(
                one.at("NetworkConfiguration", "NetworkMode"),
                "code in the interpreter can reach Amazon S3 in every account: with presigned URLs and public buckets "
                "without any permission, so that SANDBOX does not prevent that data leaves",
            )


def _no_open_egress(model: ReviewModel) -> Iterator[Occurrence]:
    used = {as_text(group) for one in interpreters(model) for group in _vpc_values(one, "SecurityGroups")}
    for group in model.of_type("AWS::EC2::SecurityGroup"):
        if group.physical_id not in used:
            continue
        rules = group.items("SecurityGroupEgress")
        if not rules:
            yield Occurrence(
                group.at("SecurityGroupEgress"),
                "the security group of an interpreter has no egress rules, so that it allows all connections",
            )
        for rule in map(as_mapping, rules):
            if _ANYWHERE & {as_text(rule.get("CidrIp")), as_text(rule.get("CidrIpv6"))}:
                yield Occurrence(
                    group.at("SecurityGroupEgress"),
                    "the security group of an interpreter allows connections to every address",
                )
    for rule in model.of_type("AWS::EC2::SecurityGroupEgress"):
        if as_text(rule.get("GroupId")) in used and _ANYWHERE & {
            as_text(rule.get("CidrIp")),
            as_text(rule.get("CidrIpv6")),
        }:
            yield Occurrence(rule.at("CidrIp"), "an egress rule of an interpreter allows connections to every address")


def _no_internet_route(model: ReviewModel) -> Iterator[Occurrence]:
    subnets = {as_text(subnet) for one in interpreters(model) for subnet in _vpc_values(one, "Subnets")}
    tables = {
        as_text(one.get("RouteTableId"))
        for one in model.of_type("AWS::EC2::SubnetRouteTableAssociation")
        if as_text(one.get("SubnetId")) in subnets
    }
    for route in model.of_type("AWS::EC2::Route"):
        destination = {as_text(route.get("DestinationCidrBlock")), as_text(route.get("DestinationIpv6CidrBlock"))}
        if as_text(route.get("RouteTableId")) in tables and _ANYWHERE & destination:
            yield Occurrence(route.at(), "the subnet of an interpreter has a route to every address")


def _network_is_known(model: ReviewModel) -> Iterator[Occurrence]:
    known = {one.physical_id for one in model.of_type("AWS::EC2::SecurityGroup", "AWS::EC2::Subnet")}
    for one in interpreters(model):
        for name in ("SecurityGroups", "Subnets") if mode_of(one) == "VPC" else ():
            values = [as_text(value) for value in _vpc_values(one, name)]
            others = [value for value in values if value not in known]
            if others or not values:
                shown = ", ".join(map(model.readable, others)) or "none"
                yield Occurrence(
                    one.at("NetworkConfiguration", "VpcConfig", name),
                    f"the templates do not contain {name} of the interpreter ({shown[:200]}), so that its routes and "
                    "connections cannot be reviewed",
                )


def _endpoint_policies(model: ReviewModel) -> Iterator[Occurrence]:
    subnets = {as_text(subnet) for one in interpreters(model) for subnet in _vpc_values(one, "Subnets")}
    networks = {as_text(one.get("VpcId")) for one in model.of_type("AWS::EC2::Subnet") if one.physical_id in subnets}
    for endpoint in model.of_type(ENDPOINT):
        if as_text(endpoint.get("VpcId")) not in networks:
            continue
        policies = model.policies.resource_policies.get(endpoint.address, ())
        if not policies:
            yield Occurrence(
                endpoint.at("PolicyDocument"),
                "the endpoint has no policy, so that code in the VPC can use it with any credentials of any account",
            )
        is_s3 = as_text(endpoint.get("ServiceName")).endswith(".s3")
        for statement in (one for policy in policies for one in policy.statements if one.allows):
            if (
                names_everyone(statement)
                and not required_values(
                    statement, "aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalTag/team"
                )
                and not (is_s3 and _names_resources(statement.syntax.resource.values))
            ):
                yield at_statement(model, statement, "the endpoint policy allows credentials of every account")
            elif is_s3 and not _names_resources(statement.syntax.resource.values):
                yield at_statement(model, statement, "the endpoint policy does not name folders of buckets")


def _names_resources(resources: tuple[str, ...]) -> bool:
    """Returns whether every resource is one bucket or a folder in one; the bucket alone is for listing."""
    return bool(resources) and all(
        _FOLDER.fullmatch(one) or ("*" not in one and "?" not in one and one.startswith("arn:")) for one in resources
    )


def _vpc_values(interpreter: Resource, name: str) -> list[object]:
    return interpreter.items("NetworkConfiguration", "VpcConfig", name)


def _flow_logs(model: ReviewModel) -> Iterator[Occurrence]:
    logged = {as_text(one.get("ResourceId")) for one in model.of_type("AWS::EC2::FlowLog")}
    subnets = {as_text(subnet) for one in interpreters(model) for subnet in _vpc_values(one, "Subnets")}
    used = {as_text(one.get("VpcId")) for one in model.of_type("AWS::EC2::Subnet") if one.physical_id in subnets}
    for vpc in model.of_type("AWS::EC2::VPC"):
        if vpc.physical_id in used - logged and not has_symbol(vpc.physical_id):
            yield Occurrence(vpc.at(), "connections of code in the VPC are not logged")


RULES = (
    Rule(
        id="network-mode",
        group="network",
        severity=Severity.HIGH,
        title="Every interpreter states its network mode.",
        reason="The default of tools differs, and PUBLIC is the default of the CDK's construct.",
        source=_INTERPRETER_DOCS,
        remedy="Set NetworkConfiguration.NetworkMode to SANDBOX, PUBLIC or VPC.",
        check=_mode_is_explicit,
    ),
    Rule(
        id="network-public",
        group="network",
        severity=Severity.HIGH,
        title="Internet access has a reason, an owner and an expiry date.",
        reason="Code can send data and credentials anywhere, and can load further code.",
        source="https://docs.aws.amazon.com/securityhub/latest/userguide/bedrockagentcore-controls.html",
        remedy=f"Use VPC or SANDBOX, or add the metadata {PUBLIC_ACCESS} with Reason, Owner and Expires (YYYY-MM-DD).",
        check=_public_is_justified,
    ),
    Rule(
        id="network-sandbox",
        group="network",
        severity=Severity.LOW,
        title="The residual risk of SANDBOX is stated.",
        reason="SANDBOX has no internet access, but it reaches Amazon S3, through which data can leave.",
        source=_INTERPRETER_DOCS,
        remedy="Use VPC with an endpoint policy where data must not leave, or accept the finding.",
        check=_sandbox_reaches_s3,
    ),
    Rule(
        id="network-egress",
        group="network",
        severity=Severity.HIGH,
        title="The security groups of interpreters allow no connections to every address.",
        reason="With a route, code could reach the internet.",
        source=_VPC_DOCS,
        remedy="Allow port 443 to the prefix list of S3 and to the security groups of endpoints only.",
        check=_no_open_egress,
    ),
    Rule(
        id="network-route",
        group="network",
        severity=Severity.HIGH,
        title="The subnets of interpreters have no route to every address.",
        reason="Code could reach the internet through a gateway.",
        source=_VPC_DOCS,
        remedy="Remove the route, or route through a firewall that allows named hosts and accept the finding.",
        check=_no_internet_route,
    ),
    Rule(
        id="network-unknown",
        group="network",
        severity=Severity.MEDIUM,
        title="The templates contain the subnets and security groups of interpreters.",
        reason="Routes and rules of other networks are not reviewed, and change without a review.",
        source=_VPC_DOCS,
        remedy="Use the environment's network, or accept the finding after a review of the other network.",
        check=_network_is_known,
    ),
    Rule(
        id="network-endpoint",
        group="network",
        severity=Severity.HIGH,
        title="Endpoints have a policy: for S3 with folders, for other services with accounts.",
        reason="Code can bring its own credentials and send data to any account through an open endpoint.",
        source=_ENDPOINT_DOCS,
        remedy="Name the folders in Resource, and require aws:PrincipalAccount.",
        check=_endpoint_policies,
    ),
    Rule(
        id="network-flow-logs",
        group="network",
        severity=Severity.LOW,
        title="Connections in the VPC of an interpreter are logged.",
        reason="Without flow logs, no log shows which addresses code tried to reach.",
        source="https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs.html",
        remedy="Add an AWS::EC2::FlowLog for the VPC.",
        check=_flow_logs,
    ),
)
