"""Limits the DNS names that a VPC resolves to a list.

DNS queries can carry data out of a network that has no internet access. The network itself limits connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack, Token
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53resolver as resolver
from constructs import Construct

from sandpiper_constructs.metrics import blocked_names_metric
from sandpiper_constructs.network_logs import log_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms

GLOBAL_S3_REGION = "us-east-1"
"""The region in which SDKs can call S3 by its global endpoint."""
FIRST_PRIORITY = 101
"""Priority of the association, 101 to 9899. The lowest is evaluated first (FirewallRuleGroupAssociation, Priority)."""
_OTHER_NAMES = {
    "bedrock-agentcore.gateway": "*.gateway.bedrock-agentcore",
    "codeartifact.api": "codeartifact",
    "codeartifact.repositories": "*.d.codeartifact",
    "ecr.dkr": "*.dkr.ecr",
    "execute-api": "*.execute-api",
    "kinesis-firehose": "firehose",
    "kinesis-streams": "kinesis",
}
"""Private DNS names of endpoints that are not the reversed parts of the endpoint's name.

AWS publishes no list. `aws ec2 describe-vpc-endpoint-services --service-names com.amazonaws.REGION.NAME` returns the
name of one endpoint (PrivateDnsName).
"""


def endpoint_names(stack: Stack, service: str) -> list[str]:
    """Returns the DNS names of an interface endpoint in the stack's region: `api.ecr.REGION.…` for `ecr.api`."""
    name = _OTHER_NAMES.get(service, ".".join(reversed(service.split("."))))
    return [f"{name}.{stack.region}.{stack.url_suffix}"]


def s3_names(stack: Stack, buckets: Sequence[str]) -> list[str]:
    """Returns the DNS names of S3 in the stack's region: the endpoint and each of the buckets."""
    suffix = stack.url_suffix
    endpoints = [f"s3.{stack.region}.{suffix}"]
    if not Token.is_unresolved(stack.region) and stack.region == GLOBAL_S3_REGION:
        endpoints.append(f"s3.{suffix}")
    return [*endpoints, *(f"{bucket}.{endpoint}" for endpoint in endpoints for bucket in buckets)]


class DnsFirewall(Construct):
    """Allows a list of DNS names in a VPC, answers NXDOMAIN for all others, and logs every query.

    It fails closed, which is the default of Route 53 Resolver: a query to which the firewall does not respond
    is not resolved. CloudFormation has no type for that setting.
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-dns-firewall-vpc-configuration.html

    Example:
        ```python
        DnsFirewall(stack, "DnsFirewall", vpc_id=vpc.vpc_id, aws_names=s3_names(stack, ["claims-data"]))
        ```

    Attributes:
        blocked: the number of queries that the firewall blocked.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        vpc_id: str,
        aws_names: Sequence[str],
        domains: Sequence[str] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        key: kms.IKey | None = None,
    ) -> None:
        """Creates the firewall and the query log.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            vpc_id: the VPC.
            aws_names: names of AWS endpoints. They may be aliases (CNAME) of names that are not listed.
            domains: further names, such as `*.example.com`. The targets of their aliases must be listed too. Default:
                none.
            log_retention: how long queries are kept. Default: three months.
            key: KMS key of the log group. The policy of the key must allow it. Default: keys of AWS.
        """
        super().__init__(scope, id)
        # The first matching rule decides.
        rules = [self._rule("AwsNames", 100, aws_names, action="ALLOW", redirection="TRUST_REDIRECTION_DOMAIN")]
        if domains:
            rules.append(self._rule("Domains", 200, domains, action="ALLOW", redirection="INSPECT_REDIRECTION_DOMAIN"))
        all_others = self._rule("AllOthers", 900, ["*"], action="BLOCK", block_response="NXDOMAIN")
        rules.append(all_others)
        group = resolver.CfnFirewallRuleGroup(self, "Rules", firewall_rules=rules)
        self.blocked = blocked_names_metric(group.ref, str(all_others.firewall_domain_list_id))
        resolver.CfnFirewallRuleGroupAssociation(
            self, "Association", firewall_rule_group_id=group.ref, vpc_id=vpc_id, priority=FIRST_PRIORITY
        )
        log_queries(self, vpc_id, log_retention, key)

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
        domain_list = resolver.CfnFirewallDomainList(self, name, domains=list(dict.fromkeys(names)))
        return resolver.CfnFirewallRuleGroup.FirewallRuleProperty(
            priority=priority,
            action=action,
            firewall_domain_list_id=domain_list.ref,
            firewall_domain_redirection_action=redirection,
            block_response=block_response,
        )
