"""A folder of an S3 bucket and the policy statements that grant access to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from aws_cdk import Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from sandpiper_constructs.cdk_values import location_of
from sandpiper_constructs.tokens import is_valid
from sandpiper_contract import s3_statements

if TYPE_CHECKING:
    from collections.abc import Sequence


_ACCOUNT = re.compile(r"[0-9]{12}")


@dataclass(frozen=True, kw_only=True)
class BucketFolder:
    """All objects of a bucket whose key starts with `path` and a slash.

    Its statements require that the bucket belongs to one account. A bucket's name is not enough: when its owner deletes
    the bucket, another account can create one with the same name and would receive the data.

    Example:
        ```python
        folder = BucketFolder(bucket=bucket, path="tenants/claims")
        role.add_to_policy(folder.object_statement("s3:GetObject"))
        role.add_to_policy(folder.subfolder("inputs").list_statement())
        ```

    Attributes:
        bucket: the bucket, created by this app or imported.
        path: the folder's path, without a slash at its end.
        account: the 12-digit id of the account that owns the bucket. Default: the account of the bucket's stack.
        key_arn: the KMS key that encrypts the bucket. Default: no KMS key.

    Raises:
        ValueError: for a path with wildcards or empty parts, and for an invalid account id.
    """

    bucket: s3.IBucket
    path: str
    account: str | None = None
    key_arn: str | None = None

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if not all(parts) or re.search(r"[*?$\x00-\x1f]", self.path):
            raise ValueError(
                f"path is {self.path!r}; allowed: names joined by single slashes, without * ? $ and control characters"
            )
        if self.account and not is_valid(_ACCOUNT, self.account):
            raise ValueError(
                f"account is {self.account!r}; allowed: 12 digits, or None for the account of the bucket's stack"
            )

    def subfolder(self, name: str) -> BucketFolder:
        """Returns a folder inside this one."""
        return replace(self, path=f"{self.path}/{name}")

    @property
    def key_pattern(self) -> str:
        """The keys of all objects in the folder, as a pattern in a policy."""
        return f"{self.path}/*"

    @property
    def objects_arn(self) -> str:
        """The ARN pattern of all objects in the folder."""
        return f"{_facts(self.bucket).arn}/{self.key_pattern}"

    def object_statement(self, *actions: str, names: str = "*", vpc: str | None = None) -> iam.PolicyStatement:
        """Returns a statement that allows actions on the objects, such as `s3:GetObject`.

        Args:
            actions: the actions.
            names: pattern of the objects in the folder. Default: all objects.
            vpc: id of the VPC that requests must come from, through an endpoint for S3. Default: requests from
                anywhere.
        """
        return _statement(self._object_json(actions, names, vpc))

    def list_statement(self, vpc: str | None = None) -> iam.PolicyStatement:
        """Returns a statement that allows listing the keys of the folder and no others.

        Args:
            vpc: id of the VPC that requests must come from, through an endpoint for S3. Default: requests from
                anywhere.
        """
        return _statement(self._list_json(vpc))

    def key_statements(self, *, write: bool, parts: Sequence[BucketFolder] = ()) -> list[iam.PolicyStatement]:
        """Returns statements that allow S3 to use the bucket's KMS key for a role, or none without a KMS key.

        A writer also needs `kms:Decrypt`, because a multipart upload reads the parts that it has written. The
        encryption context is the ARN of the object, or the ARN of the bucket if the bucket has a bucket key. With a
        bucket key, only the statements on objects limit the role to its folders.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html

        Args:
            write: whether the role writes objects.
            parts: folders inside this one that the role uses. Default: the whole folder.
        """
        return list(map(_statement, self._key_json(write=write, parts=parts)))

    def access_json(
        self, actions: Sequence[str], *, write: bool, vpc: str | None = None
    ) -> list[s3_statements.Statement]:
        """Returns all statements for a role that uses the folder, as JSON: objects, list and KMS key.

        Args:
            actions: the actions on the objects.
            write: whether the role writes objects.
            vpc: id of the VPC that requests must come from, as of `object_statement`. Default: from anywhere.
        """
        return [self._object_json(actions, "*", vpc), self._list_json(vpc), *self._key_json(write=write)]

    def _object_json(self, actions: Sequence[str], names: str, vpc: str | None) -> s3_statements.Statement:
        objects = f"{_facts(self.bucket).arn}/{self.path}/{names}"
        return s3_statements.object_statement(actions, objects, self._owner, vpc)

    def _list_json(self, vpc: str | None) -> s3_statements.Statement:
        return s3_statements.list_statement(_facts(self.bucket).arn, self.key_pattern, self._owner, vpc)

    def _key_json(self, *, write: bool, parts: Sequence[BucketFolder] = ()) -> list[s3_statements.Statement]:
        if self.key_arn is None:
            return []
        stack = Stack.of(self.bucket)
        # A key is in the region of its bucket, which can differ from the stack's region.
        region = stack.region if Token.is_unresolved(self.key_arn) else self.key_arn.split(":")[3]
        context = [self.bucket.bucket_arn, *(folder.objects_arn for folder in parts or (self,))]
        via_s3 = f"s3.{region}.{stack.url_suffix}"
        return [s3_statements.key_statement(self.key_arn, via_s3, context, write=write)]

    @property
    def _owner(self) -> str:
        return self.account or _facts(self.bucket).account


@dataclass(frozen=True)
class _Facts:
    """What the statements of all folders of a bucket need, read once from the process of the CDK."""

    arn: str
    account: str


_FACTS: WeakKeyDictionary[s3.IBucket, _Facts] = WeakKeyDictionary()


def _facts(bucket: s3.IBucket) -> _Facts:
    facts = _FACTS.get(bucket)
    if facts is None:
        facts = _FACTS[bucket] = _Facts(bucket.bucket_arn, location_of(bucket).account)
    return facts


def _statement(statement: s3_statements.Statement) -> iam.PolicyStatement:
    return iam.PolicyStatement.from_json(statement)
