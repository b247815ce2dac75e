"""What code in an interpreter reaches of the network: S3 and DNS alone, the internet, or what a VPC lets it.

Not the VPC itself, which exists before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aws_cdk import Token
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_ec2 as ec2

from sandpiper_contract.aws import MAX_SECURITY_GROUPS, MAX_SUBNETS

if TYPE_CHECKING:
    import datetime
    from collections.abc import Sequence

_PARAMETER = r"\{\{resolve:ssm:[^{}]+\}\}"
_SUBNET = re.compile(rf"subnet-[0-9a-zA-Z]{{8,17}}|{_PARAMETER}")
_SECURITY_GROUP = re.compile(rf"sg-[0-9a-zA-Z]{{8,17}}|{_PARAMETER}")
_Configuration = agentcore.CfnCodeInterpreterCustom.CodeInterpreterNetworkConfigurationProperty


@dataclass(frozen=True)
class SandboxAccess:
    """S3 and DNS, and nothing else."""

    mode: ClassVar = "SANDBOX"

    @property
    def inputs(self) -> dict[str, object]:
        """What of it the service is told, and can be set at creation only."""
        return {"mode": self.mode}

    def configuration(self) -> _Configuration:
        """The template's NetworkConfiguration."""
        return _Configuration(network_mode=self.mode)


SANDBOX = SandboxAccess()


@dataclass(frozen=True, kw_only=True)
class PublicAccess:
    """Why an interpreter's code may reach the internet, who answers for it, and until when. It is in the template.

    Without `expires` it lasts for ever, which is for the embedded AWS.

    Raises ValueError for an empty reason or owner.
    """

    reason: str
    owner: str
    expires: datetime.date | None = None
    mode: ClassVar = "PUBLIC"

    def __post_init__(self) -> None:
        for name in ("reason", "owner"):
            if not str(getattr(self, name)).strip():
                raise ValueError(f"{name} is empty; allowed: a sentence that a reviewer can judge")

    @property
    def inputs(self) -> dict[str, object]:
        """What of it the service is told, and can be set at creation only."""
        return {"mode": self.mode}

    def configuration(self) -> _Configuration:
        """The template's NetworkConfiguration."""
        return _Configuration(network_mode=self.mode)


@dataclass(frozen=True, kw_only=True)
class VpcAccess:
    """Subnets and security groups, by id or as constructs, through which an interpreter's code reaches a VPC.

    Both exist before: no security group is made here, since one that is made unseen lets everything out. In which zones
    AgentCore takes subnets is in https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html.

    An id may be a reference to a parameter of Systems Manager, `{{resolve:ssm:NAME}}`. When another network takes the
    place of the first, its parameters need other names: by these the interpreter's own name changes, under which it
    could not be replaced.

    Raises ValueError for none, for more than 16, for one that is given twice, and for what is no id.
    """

    subnets: Sequence[str | ec2.ISubnet]
    security_groups: Sequence[str | ec2.ISecurityGroup]
    mode: ClassVar = "VPC"

    def __post_init__(self) -> None:
        for name, ids, pattern, example, maximum in (
            ("subnets", self.subnet_ids, _SUBNET, "subnet-0123456789abcdef0", MAX_SUBNETS),
            ("security_groups", self.security_group_ids, _SECURITY_GROUP, "sg-0123456789abcdef0", MAX_SECURITY_GROUPS),
        ):
            allowed = (
                f"allowed: 1 to {maximum}, each once, by ids such as {example}, by parameters such as "
                "{{resolve:ssm:/a/b}} or as constructs"
            )
            if not 1 <= len(ids) <= maximum:
                raise ValueError(f"{name} has {len(ids)} items; {allowed}")
            if len(set(ids)) < len(ids):
                raise ValueError(f"{name} has an item twice; {allowed}")
            for each in ids:
                if not Token.is_unresolved(each) and not pattern.fullmatch(each):
                    raise ValueError(f"{name} has {each!r}; {allowed}")

    @property
    def subnet_ids(self) -> list[str]:
        """The subnets' ids, always in the same order: another one would replace the interpreter for nothing."""
        return sorted(each if isinstance(each, str) else each.subnet_id for each in self.subnets)

    @property
    def security_group_ids(self) -> list[str]:
        """The security groups' ids, likewise."""
        return sorted(each if isinstance(each, str) else each.security_group_id for each in self.security_groups)

    @property
    def inputs(self) -> dict[str, object]:
        """What of it the service is told, and can be set at creation only."""
        return {"mode": self.mode, "subnets": self.subnet_ids, "security_groups": self.security_group_ids}

    def configuration(self) -> _Configuration:
        """The template's NetworkConfiguration."""
        vpc = agentcore.CfnCodeInterpreterCustom.VpcConfigProperty(
            subnets=self.subnet_ids, security_groups=self.security_group_ids
        )
        return _Configuration(network_mode=self.mode, vpc_config=vpc)


NetworkAccess = SandboxAccess | PublicAccess | VpcAccess
