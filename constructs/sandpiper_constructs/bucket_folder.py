"""A folder of a bucket, as the place that a policy speaks of. Not the bucket, which may belong to another stack."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_s3 as s3

_ACCOUNT = re.compile(r"[0-9]{12}")
READ = ("s3:GetObject",)
# S3 has no action of its own for the parts of a large upload, but one for giving it up, which the AWS CLI and boto3 do
# when a part fails; without it the parts stay and are billed.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
WRITE = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")


@dataclass(frozen=True, kw_only=True)
class BucketFolder:
    """Every object whose key begins with `path` and a slash.

    Its statements hold for a bucket of one account, the stack's own unless `account` says otherwise. A bucket's name
    alone is no such promise: when its owner deletes it, another account can take the name, and would be sent the data.
    `key_arn` is the KMS key that encrypts the bucket, if one does.

    Raises ValueError for a path with wildcards and for what is no account.
    """

    bucket: s3.IBucket
    path: str
    account: str | None = None
    key_arn: str | None = None

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if not all(parts) or any(character in self.path for character in "*?$"):
            raise ValueError(f"path is {self.path!r}; allowed: names joined by single slashes, without * ? $")
        if self.account and not Token.is_unresolved(self.account) and not _ACCOUNT.fullmatch(self.account):
            raise ValueError(f"account is {self.account!r}; allowed: 12 digits, or None for the bucket's stack's")

    def below(self, name: str) -> BucketFolder:
        """A folder inside this one."""
        return replace(self, path=f"{self.path}/{name}")

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
            actions=list(actions), resources=[self.objects_arn], conditions={"StringEquals": self._of_account}
        )

    def list_statement(self) -> iam.PolicyStatement:
        """Allows listing the folder's keys and no others."""
        return iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[self.bucket.bucket_arn],
            conditions={"StringEquals": self._of_account, "StringLike": {"s3:prefix": self.keys}},
        )

    def key_statements(self, *, write: bool, parts: Sequence[BucketFolder] = ()) -> list[iam.PolicyStatement]:
        """Allows S3, and nobody else, to use the bucket's KMS key for whoever reads or writes. Without a key, nothing.

        `parts` are the folders inside this one that it is for, if not all of it.

        A multipart upload reads what it has written, so a writer decrypts as well. The encryption context is the
        object where the bucket has no bucket key. Where it has one, KMS is told of the bucket alone, and what holds a
        role to its folders are its statements on objects.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html
        """
        if self.key_arn is None:
            return []
        stack = Stack.of(self.bucket)
        # A key and its bucket are in one region, which need not be the stack's.
        region = stack.region if Token.is_unresolved(self.key_arn) else self.key_arn.split(":")[3]
        via_s3 = {"kms:ViaService": f"s3.{region}.{stack.url_suffix}"}
        objects = [folder.objects_arn for folder in parts or (self,)]
        return [
            iam.PolicyStatement(
                actions=["kms:Decrypt", *(["kms:GenerateDataKey"] if write else [])],
                resources=[self.key_arn],
                conditions={
                    "StringEquals": via_s3,
                    "ArnLike": {"kms:EncryptionContext:aws:s3:arn": [self.bucket.bucket_arn, *objects]},
                },
            )
        ]

    @property
    def _of_account(self) -> dict[str, str]:
        return {"aws:ResourceAccount": self.account or Stack.of(self.bucket).account}
