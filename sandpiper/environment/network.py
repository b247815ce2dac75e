"""The environment's own network, for interpreters in VPC mode that name no subnets of their own."""

from typing import Annotated

from pydantic import Field

from sandpiper.environment.options import ALLOWED_LOG_RETENTION, AsTuple, LogRetentionDays, Options, item, option

ALLOWED_ENDPOINTS = "a list of at most 20 services of AWS by their endpoint's name, such as logs or secretsmanager"


class Network(Options):
    """A VPC with private subnets alone, one in each of the environment's availability zones.

    Nothing leads out of it: S3 through a gateway endpoint that names the buckets, services of AWS through interface
    endpoints, other names not at all unless `domains` has them, and then they are resolved and still not reached.
    """

    cidr: str = option(
        "its addresses",
        "a private IPv4 range of 16 to 24 bits, such as 10.64.0.0/20",
        "10.64.0.0/20",
        pattern=r"^(10\.[0-9]{1,3}|172\.(1[6-9]|2[0-9]|3[01])|192\.168)\.[0-9]{1,3}\.[0-9]{1,3}/(1[6-9]|2[0-4])$",
    )
    endpoints: Annotated[
        tuple[
            Annotated[
                str,
                item(
                    "an endpoint's name such as logs or secretsmanager", "logs", pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$"
                ),
            ],
            ...,
        ],
        Field(max_length=20),
        AsTuple,
    ] = option("services of AWS that code may reach beside S3", ALLOWED_ENDPOINTS, ())
    domains: Annotated[
        tuple[
            Annotated[
                str,
                item(
                    "a name such as *.example.com, in lower case",
                    "*.example.com",
                    pattern=r"^(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}$",
                ),
            ],
            ...,
        ],
        Field(max_length=100),
        AsTuple,
    ] = option(
        "names that code may resolve, beside those of the endpoints; the DNS Firewall refuses all others",
        "a list of at most 100 names such as *.example.com",
        (),
    )
    s3_prefix_list: str | None = option(
        "S3's prefix list in the region, where this version does not know it: `aws ec2 describe-managed-prefix-lists`",
        "the id of com.amazonaws.REGION.s3, such as pl-6da54004",
        None,
        pattern="^pl-[0-9a-f]{8,17}$",
    )
    query_log_days: LogRetentionDays = option("how long the log of DNS queries is kept", ALLOWED_LOG_RETENTION, 90)
