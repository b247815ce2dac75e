"""Contains the availability zones that AgentCore supports, by zone id, which is the same in every account.

Source: https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html#agentcore-supported-azs,
October 2026. us-west-1 and ap-south-2 are from public code of that time that names the page. The page has no zones in
China, although CloudFormation offers the resource type there. An unlisted region causes a warning, never an error,
because it may support AgentCore by now.
"""

from __future__ import annotations


def _zones(prefix: str, *numbers: int) -> tuple[str, ...]:
    return tuple(f"{prefix}-az{number}" for number in numbers)


SUPPORTED_ZONES = {
    "ap-northeast-1": _zones("apne1", 1, 2, 4),
    "ap-northeast-2": _zones("apne2", 1, 2, 3),
    "ap-south-1": _zones("aps1", 1, 2, 3),
    "ap-south-2": _zones("aps2", 1, 2, 3),
    "ap-southeast-1": _zones("apse1", 1, 2, 3),
    "ap-southeast-2": _zones("apse2", 1, 2, 3),
    "ap-southeast-5": _zones("apse5", 1, 2, 3),
    "ap-southeast-7": _zones("apse7", 1, 2, 3),
    "ca-central-1": _zones("cac1", 1, 2, 4),
    "eu-central-1": _zones("euc1", 1, 2, 3),
    "eu-north-1": _zones("eun1", 1, 2, 3),
    "eu-south-1": _zones("eus1", 1, 2, 3),
    "eu-south-2": _zones("eus2", 1, 2, 3),
    "eu-west-1": _zones("euw1", 1, 2, 3),
    "eu-west-2": _zones("euw2", 1, 2, 3),
    "eu-west-3": _zones("euw3", 1, 2, 3),
    "sa-east-1": _zones("sae1", 1, 2, 3),
    "us-east-1": _zones("use1", 1, 2, 4),
    "us-east-2": _zones("use2", 1, 2, 3),
    "us-gov-west-1": _zones("usgw1", 1, 2, 3),
    "us-west-1": _zones("usw1", 1, 3),
    "us-west-2": _zones("usw2", 1, 2, 3),
}
