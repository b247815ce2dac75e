"""Contains the options of the environment's VPC, for interpreters in VPC mode that name no subnets."""

from typing import Annotated

from pydantic import Field

from sandpiper.environment.options import ALLOWED_LOG_RETENTION, AsTuple, LogRetentionDays, Options, item, option

ALLOWED_CIDR = "a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20"
ALLOWED_PREFIX_LIST = "the id of com.amazonaws.REGION.s3, such as pl-6da54004"


class Network(Options):
    """A VPC with private subnets only, one in each of the environment's availability zones.

    It has no route to the internet. Code reaches S3 through a gateway endpoint that names the buckets, and AWS
    services through interface endpoints. Other domain names do not resolve, except those in `domains`, which resolve
    but are not reachable.
    """

    cidr: str = option(
        "address range of the VPC",
        ALLOWED_CIDR,
        "10.64.0.0/20",
        pattern=r"^(10\.[0-9]{1,3}|172\.(1[6-9]|2[0-9]|3[01])|192\.168)\.[0-9]{1,3}\.[0-9]{1,3}/(1[6-9]|2[0-4])$",
    )
    endpoints: Annotated[
        tuple[
            Annotated[
                str,
                item("an endpoint name such as logs or secretsmanager", "logs", pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$"),
            ],
            ...,
        ],
        Field(max_length=20),
        AsTuple,
    ] = option(
        "AWS services that code can reach besides S3",
        "a list of at most 20 endpoint names of AWS services, such as logs or secretsmanager",
        (),
    )
    domains: Annotated[
        tuple[
            Annotated[
                str,
                item(
                    "a domain name such as *.example.com, in lower case",
                    "*.example.com",
                    pattern=r"^(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}$",
                ),
            ],
            ...,
        ],
        Field(max_length=100),
        AsTuple,
    ] = option(
        "domain names that resolve besides those of the endpoints; the DNS Firewall blocks all others",
        "a list of at most 100 domain names such as *.example.com",
        (),
    )
    s3_prefix_list: str | None = option(
        "S3's managed prefix list, in regions without a built-in default: `aws ec2 describe-managed-prefix-lists`",
        ALLOWED_PREFIX_LIST,
        None,
        pattern="^pl-[0-9a-f]{8,17}$",
    )
    query_log_days: LogRetentionDays = option("retention of the DNS query log in days", ALLOWED_LOG_RETENTION, 90)
