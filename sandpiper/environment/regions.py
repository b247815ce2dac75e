"""Contains the regions that are known to offer custom code interpreters.

An unlisted region that exists causes a warning and no error, because the service may be available there before it is
listed here. Source: the CloudFormation registry's regional schemas for AWS::BedrockAgentCore::CodeInterpreterCustom,
November 2026. AWS's page lists the same regions without the two in China:
https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-regions.html
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib.resources import files

INTERPRETER_REGIONS = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-5",
        "ap-southeast-7",
        "ca-central-1",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-gov-west-1",
        "us-west-1",
        "us-west-2",
    }
)

S3_PREFIX_LISTS = {
    "ap-northeast-1": "pl-61a54008",
    "ap-northeast-2": "pl-78a54011",
    "ap-south-1": "pl-78a54011",
    "ap-southeast-1": "pl-6fa54006",
    "ap-southeast-2": "pl-6ca54005",
    "ca-central-1": "pl-7da54014",
    "eu-central-1": "pl-6ea54007",
    "eu-north-1": "pl-c3aa4faa",
    "eu-west-1": "pl-6da54004",
    "eu-west-2": "pl-7ca54015",
    "eu-west-3": "pl-23ad484a",
    "sa-east-1": "pl-6aa54003",
    "us-east-1": "pl-63a5400a",
    "us-east-2": "pl-7ba54012",
    "us-west-1": "pl-6ba54002",
    "us-west-2": "pl-68a54001",
}
"""S3's managed prefix list (`com.amazonaws.REGION.s3`) by region. It is the same in every account, and CloudFormation
cannot look it up. AWS publishes no list; these are from published responses of DescribePrefixLists, and eu-north-1 is
from public templates that agree. `network.s3_prefix_list` sets it for any other region, and corrects a wrong entry. A
wrong prefix list fails the deployment or blocks access to S3.
"""


@cache
def aws_regions() -> list[str]:
    """Returns the regions of all partitions that the installed botocore knows."""
    partitions = json.loads(files("botocore").joinpath("data", "partitions.json").read_text())["partitions"]
    regions = (region for partition in partitions for region in partition["regions"])
    return sorted(region for region in regions if not region.endswith("-global"))


def require_region(region: str) -> str:
    """Returns a region. A region that may lack code interpreters is a warning, not an error.

    Raises:
        ValueError: No such region exists; the message is the remedy.
    """
    if region in INTERPRETER_REGIONS or region in aws_regions():
        return region
    closest = closest_region(region)
    raise ValueError(f"write {closest}" if closest else "change the value")


def closest_region(text: str) -> str | None:
    """Returns the region that a wrong value most probably means; None if it is like none.

    Example:
        >>> closest_region("us-esat-1"), closest_region("us-east1"), closest_region("US_EAST_1"), closest_region("x")
        ('us-east-1', 'us-east-1', 'us-east-1', None)
    """
    near = difflib.get_close_matches(text.lower(), aws_regions(), n=len(aws_regions()))
    # Swapped letters are the most frequent mistake. Of equal matches, a region with code interpreters comes first.
    near.sort(key=lambda name: (_characters(name) != _characters(text), name not in INTERPRETER_REGIONS))
    return near[0] if near else None


def _characters(text: str) -> list[str]:
    """Returns the letters and digits of a name in any order, case and separation."""
    return sorted(filter(str.isalnum, text.lower()))
