"""The account and region that stacks are deployed to."""

from __future__ import annotations

from dataclasses import dataclass

from sandpiper_contract.aws import dns_suffix_of, partition_of


@dataclass(frozen=True)
class DeploymentTarget:
    """An account and a region."""

    account: str
    region: str

    @property
    def partition(self) -> str:
        """The partition of the region, such as `aws-cn`."""
        return partition_of(self.region)

    @property
    def url_suffix(self) -> str:
        """The DNS suffix of service endpoints (`AWS::URLSuffix`)."""
        return dns_suffix_of(self.partition)
