"""Which names a VPC resolves: those of a list, and no others. Queries are a way out for data, even where no packet is.

Not what is reached: that is the network's matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import RemovalPolicy, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53resolver as resolver
from constructs import Construct

from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from collections.abc import Sequence

GLOBAL_S3_REGION = "us-east-1"
"""Where SDKs may call S3 by its global name."""
FIRST_PRIORITY = 101
"""Of the association: AWS takes 101 to 9899, the lowest first (FirewallRuleGroupAssociation, Priority)."""
_OTHER_NAMES = {
    "bedrock-agentcore.gateway": "*.gateway.bedrock-agentcore",
    "codeartifact.api": "codeartifact",
    "codeartifact.repositories": "*.d.codeartifact",
    "ecr.dkr": "*.dkr.ecr",
    "execute-api": "*.execute-api",
    "kinesis-firehose": "firehose",
    "kinesis-streams": "kinesis",
}
"""Private names of endpoints that are not their service's name with its parts turned round. No page of AWS lists them:
`aws ec2 describe-vpc-endpoint-services --service-names com.amazonaws.REGION.NAME` says each (PrivateDnsName)."""


def endpoint_names(stack: Stack, service: str) -> list[str]:
    """The names of a service in the stack's region, by its endpoint's name: `api.ecr.REGION.…` for `ecr.api`."""
    name = _OTHER_NAMES.get(service, ".".join(reversed(service.split("."))))
    return [f"{name}.{stack.region}.{stack.url_suffix}"]


def s3_names(stack: Stack, buckets: Sequence[str]) -> list[str]:
    """The names of S3 in the stack's region: its own, and one of each bucket rather than of all."""
    suffix = stack.url_suffix
    places = [f"s3.{stack.region}.{suffix}"]
    if not Token.is_unresolved(stack.region) and stack.region == GLOBAL_S3_REGION:
        places.append(f"s3.{suffix}")
    return [*places, *(f"{bucket}.{place}" for place in places for bucket in buckets)]


class DnsFirewall(Construct):
    """Allows a list of names in a VPC, answers NXDOMAIN for all others, and logs every query.

    It fails closed, as Route 53 Resolver does unless it is told otherwise, for which CloudFormation has no type: what
    the firewall does not answer is not resolved.
    (https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-dns-firewall-vpc-configuration.html)
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the name that constructs have for it
        *,
        vpc_id: str,
        aws_names: Sequence[str],
        domains: Sequence[str] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
    ) -> None:
        """`aws_names` may lead to any other name of AWS. What a name in `domains` leads to has to be listed, too."""
        super().__init__(scope, id)
        # In this order: the first rule that matches decides.
        rules = [self._rule("AwsNames", 100, aws_names, action="ALLOW", redirection="TRUST_REDIRECTION_DOMAIN")]
        if domains:
            rules.append(self._rule("Domains", 200, domains, action="ALLOW", redirection="INSPECT_REDIRECTION_DOMAIN"))
        rules.append(self._rule("AllOthers", 900, ["*"], action="BLOCK", block_response="NXDOMAIN"))
        group = resolver.CfnFirewallRuleGroup(self, "Rules", firewall_rules=rules)
        resolver.CfnFirewallRuleGroupAssociation(
            self, "Association", firewall_rule_group_id=group.ref, vpc_id=vpc_id, priority=FIRST_PRIORITY
        )
        self._log_queries(vpc_id, log_retention)

    def _rule(
        self,
        name: str,
        priority: int,
        names: Sequence[str],
        *,
        action: str,
        redirection: str | None = None,
        block_response: str | None = None,
    ) -> resolver.CfnFirewallRuleGroup.FirewallRuleProperty:
        listed = resolver.CfnFirewallDomainList(self, name, domains=list(dict.fromkeys(names)))
        return resolver.CfnFirewallRuleGroup.FirewallRuleProperty(
            priority=priority,
            action=action,
            firewall_domain_list_id=listed.ref,
            firewall_domain_redirection_action=redirection,
            block_response=block_response,
        )

    def _log_queries(self, vpc_id: str, retention: logs.RetentionDays) -> None:
        """Every query with its answer and what the firewall did, in a log group that this VPC's resolver may write."""
        stack = Stack.of(self)
        # It stays when the firewall goes: who looks into an incident may come late. Its lines have their time.
        group = logs.LogGroup(
            self, "Queries", retention=retention, removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        )
        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
        allowed = group.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[service_principal("delivery.logs")],
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[group.log_group_arn],
                conditions={
                    "StringEquals": {"aws:SourceAccount": stack.account},
                    "ArnLike": {"aws:SourceArn": stack.format_arn(service="logs", resource="*")},
                },
            )
        )
        config = resolver.CfnResolverQueryLoggingConfig(self, "QueryLog", destination_arn=group.log_group_arn)
        if allowed.policy_dependable is not None:  # without a policy, AWS would write a wider one of its own
            config.node.add_dependency(allowed.policy_dependable)
        resolver.CfnResolverQueryLoggingConfigAssociation(
            self, "QueryLogAssociation", resolver_query_log_config_id=config.ref, resource_id=vpc_id
        )
