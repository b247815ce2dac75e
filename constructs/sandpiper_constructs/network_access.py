"""Network modes of an interpreter: S3 only (SANDBOX), the internet (PUBLIC), or a VPC.

This module refers to an existing VPC. `sandbox_network` creates one.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_ec2 as ec2

from sandpiper_constructs.tokens import is_valid
from sandpiper_contract.aws import MAX_REVIEW_CHARACTERS, MAX_SECURITY_GROUPS, MAX_SUBNETS

if TYPE_CHECKING:
    from collections.abc import Sequence

_PARAMETER = r"\{\{resolve:ssm:[^{}]+\}\}"
_SUBNET = re.compile(rf"subnet-[0-9a-zA-Z]{{8,17}}|{_PARAMETER}")
_SECURITY_GROUP = re.compile(rf"sg-[0-9a-zA-Z]{{8,17}}|{_PARAMETER}")
_Configuration = agentcore.CfnCodeInterpreterCustom.CodeInterpreterNetworkConfigurationProperty


@dataclass(frozen=True)
class SandboxAccess:
    """S3 only. Do not rely on the absence of DNS. Use the constant `SANDBOX`."""

    mode: ClassVar = "SANDBOX"

    @property
    def create_only_properties(self) -> dict[str, object]:
        """The create-only properties, from which the interpreter's name is derived."""
        return {"mode": self.mode}

    def configuration(self) -> _Configuration:
        """Returns the property NetworkConfiguration of the resource."""
        return _Configuration(network_mode=self.mode)


SANDBOX = SandboxAccess()


@dataclass(frozen=True, kw_only=True)
class PublicAccess:
    """Internet access, with its approval. The approval is stored in the template's metadata.

    Example:
        ```python
        network = PublicAccess(reason="pip install", owner="data team", expires=datetime.date(2027, 6, 30))
        ```

    Attributes:
        reason: why the code needs the internet.
        owner: the person or team that is responsible.
        expires: the last day of the approval. After it, the stack of the interpreter cannot be deployed, and all
            other stacks can. Default: no expiry, which `CodeInterpreter` accepts only on the embedded AWS.

    Raises:
        ValueError: for an empty or long reason or owner, or for an `expires` that is not a date.
    """

    reason: str
    owner: str
    expires: datetime.date | None = None
    mode: ClassVar = "PUBLIC"

    def __post_init__(self) -> None:
        for name in ("reason", "owner"):
            text = getattr(self, name)
            if not str(text).strip():
                raise ValueError(f"{name} is empty; allowed: a sentence that a reviewer can judge")
            if len(str(text)) > MAX_REVIEW_CHARACTERS:
                raise ValueError(f"{name} has {len(text)} characters; allowed: at most {MAX_REVIEW_CHARACTERS}")
        if self.expires is not None and type(self.expires) is not datetime.date:
            raise ValueError(f"expires is {self.expires!r}; allowed: a date such as datetime.date(2027, 6, 30)")

    @property
    def create_only_properties(self) -> dict[str, object]:
        """The create-only properties, from which the interpreter's name is derived."""
        return {"mode": self.mode}

    def configuration(self) -> _Configuration:
        """Returns the property NetworkConfiguration of the resource."""
        return _Configuration(network_mode=self.mode)


@dataclass(frozen=True, kw_only=True)
class VpcAccess:
    """Access to a VPC through existing subnets and security groups.

    No security group is created, because a default one would allow all outbound traffic. The supported zones are listed
    at https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/agentcore-vpc.html.

    An id can be a reference to an SSM parameter, `{{resolve:ssm:NAME}}`. If the network is replaced, use new parameter
    names: the interpreter's name is derived from them, and an interpreter cannot be replaced under its old name.

    Example:
        ```python
        network = VpcAccess(subnets=["subnet-0123456789abcdef0"], security_groups=["sg-0123456789abcdef0"])
        ```

    Attributes:
        subnets: 1 to 16 subnets, by id or as constructs.
        security_groups: 1 to 16 security groups, by id or as constructs.
        s3_vpc: id of the VPC if code reaches S3 only through an endpoint of that VPC. The execution role then allows
            access to S3 only from there. It can be a reference to an SSM parameter. Default: access from anywhere.

    Raises:
        ValueError: for an invalid id, a repeated item, no item, or more than 16 items.
    """

    subnets: Sequence[str | ec2.ISubnet]
    security_groups: Sequence[str | ec2.ISecurityGroup]
    s3_vpc: str | None = None
    mode: ClassVar = "VPC"

    def __post_init__(self) -> None:
        for name, ids, pattern, example, maximum in (
            ("subnets", self.subnet_ids, _SUBNET, "subnet-0123456789abcdef0", MAX_SUBNETS),
            ("security_groups", self.security_group_ids, _SECURITY_GROUP, "sg-0123456789abcdef0", MAX_SECURITY_GROUPS),
        ):
            allowed = (
                f"allowed: 1 to {maximum}, each once, as ids such as {example}, as parameters such as "
                "{{resolve:ssm:/a/b}} or as constructs"
            )
            if not 1 <= len(ids) <= maximum:
                raise ValueError(f"{name} has {len(ids)} items; {allowed}")
            if len(set(ids)) < len(ids):
                raise ValueError(f"{name} has an item twice; {allowed}")
            for item in ids:
                if not is_valid(pattern, item):
                    raise ValueError(f"{name} has {item!r}; {allowed}")

    @property
    def subnet_ids(self) -> list[str]:
        """The ids of the subnets, sorted: another order would replace the interpreter without need."""
        return sorted(subnet if isinstance(subnet, str) else subnet.subnet_id for subnet in self.subnets)

    @property
    def security_group_ids(self) -> list[str]:
        """The ids of the security groups, sorted."""
        return sorted(group if isinstance(group, str) else group.security_group_id for group in self.security_groups)

    @property
    def create_only_properties(self) -> dict[str, object]:
        """The create-only properties, from which the interpreter's name is derived."""
        return {"mode": self.mode, "subnets": self.subnet_ids, "security_groups": self.security_group_ids}

    def configuration(self) -> _Configuration:
        """Returns the property NetworkConfiguration of the resource."""
        vpc = agentcore.CfnCodeInterpreterCustom.VpcConfigProperty(
            subnets=self.subnet_ids, security_groups=self.security_group_ids
        )
        return _Configuration(network_mode=self.mode, vpc_config=vpc)


NetworkAccess = SandboxAccess | PublicAccess | VpcAccess
