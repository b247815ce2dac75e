"""A folder of a bucket, as the place that a policy speaks of. Not the bucket, which may belong to another stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from aws_cdk import aws_s3 as s3


@dataclass(frozen=True, kw_only=True)
class BucketFolder:
    """Every object whose key begins with `path` and a slash.

    Its statements hold for a bucket of the stack's own account. A bucket's name alone is no such promise: when its
    owner deletes it, another account can take the name, and would be sent the data.
    """

    bucket: s3.IBucket
    path: str

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if not all(parts) or any(character in self.path for character in "*?$"):
            raise ValueError(f"path is {self.path!r}; allowed: names joined by single slashes, without * ? $")

    def below(self, name: str) -> BucketFolder:
        """A folder inside this one."""
        return BucketFolder(bucket=self.bucket, path=f"{self.path}/{name}")

    @property
    def keys(self) -> str:
        """Its objects' keys, as a policy's pattern."""
        return f"{self.path}/*"

    @property
    def objects_arn(self) -> str:
        """Its objects, as a policy's resource."""
        return self.bucket.arn_for_objects(self.keys)

    def object_statement(self, *actions: str) -> iam.PolicyStatement:
        """Allows actions on the objects, such as `s3:GetObject`."""
        return iam.PolicyStatement(
            actions=list(actions), resources=[self.objects_arn], conditions={"StringEquals": self._own_account}
        )

    def list_statement(self) -> iam.PolicyStatement:
        """Allows listing the folder's keys and no others."""
        return iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self.bucket.bucket_arn],
            conditions={"StringEquals": self._own_account, "StringLike": {"s3:prefix": self.keys}},
        )

    @property
    def _own_account(self) -> dict[str, str]:
        return {"aws:ResourceAccount": Stack.of(self.bucket).account}
