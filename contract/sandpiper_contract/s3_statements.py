"""Builds the IAM statements that grant access to S3 folders, as JSON.

The constructs write them into roles and endpoint policies, and the checks of an environment file measure their length.
A folder is a bucket and a prefix without a trailing slash, such as `data/rates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper_contract.aws import COMPONENT_TAG, SESSION_FUNCTION
from sandpiper_contract.settings import INPUTS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Statement = dict[str, Any]
    Folders = Mapping[str, Sequence[str]]
    """Buckets or folders, by the account that owns the bucket."""

READ_ACTIONS = ("s3:GetObject",)
# S3 has a separate action for aborting a multipart upload, which the AWS CLI and boto3 do when a part fails. Without it
# the uploaded parts remain and are billed.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions
WRITE_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload")
MIN_CHARACTERS_BEFORE_WILDCARD = 6
"""A resource or prefix in an endpoint policy needs this many characters before a wildcard.

https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
"""
PRESIGNED_BY_SESSION_FUNCTION = {
    f"aws:PrincipalTag/{COMPONENT_TAG}": SESSION_FUNCTION,
    "s3:authType": "REST-QUERY-STRING",
}
"""Condition keys of a request with a URL that the role of a session function presigned.

https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
"""


def object_statement(actions: Sequence[str], objects_arn: str, account: str, vpc: str | None = None) -> Statement:
    """Returns a statement that allows actions on objects, in a bucket of one account.

    Args:
        actions: The actions.
        objects_arn: The ARN pattern of the objects.
        account: The account that owns the bucket.
        vpc: The VPC that requests must come from, through an endpoint for S3. Default: requests from anywhere.
    """
    return _allow(actions, [objects_arn], {"StringEquals": _origin(account, vpc)})


def list_statement(bucket_arn: str, keys: str, account: str, vpc: str | None = None) -> Statement:
    """Returns a statement that allows listing the keys of a pattern, in a bucket of one account.

    Args:
        bucket_arn: The bucket.
        keys: The pattern.
        account: The account that owns the bucket.
        vpc: The VPC that requests must come from, through an endpoint for S3. Default: requests from anywhere.
    """
    conditions = {"StringEquals": _origin(account, vpc), "StringLike": {"s3:prefix": keys}}
    return _allow(["s3:ListBucket"], [bucket_arn], conditions)


def key_statement(key_arn: str, via_service: object, context_arns: Sequence[str], *, write: bool) -> Statement:
    """Returns a statement that allows S3 to use a KMS key.

    Args:
        key_arn: The key.
        via_service: S3's service name in the key's region, such as `s3.eu-west-1.amazonaws.com`.
        context_arns: ARNs that the encryption context can have: the objects, and the bucket if it has a bucket key.
        write: Whether objects are also written. A multipart upload also decrypts its own parts, so a writer needs both
            permissions.
    """
    return _allow(
        ["kms:Decrypt", *(["kms:GenerateDataKey"] if write else [])],
        [key_arn],
        {
            "StringEquals": {"kms:ViaService": via_service},
            "ArnLike": {"kms:EncryptionContext:aws:s3:arn": list(context_arns)},
        },
    )


def endpoint_statements(
    partition: str, account: str, writable: Folders, readable: Folders, tenants: Folders
) -> list[Statement]:
    """Returns the statements of S3's gateway endpoint policy.

    In the bucket of a folder, only the keys of the folder can be listed. The principal of a gateway endpoint's policy
    must be `*`, so conditions limit it to the account.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html

    Args:
        partition: The partition of the ARNs.
        account: The account whose principals are allowed.
        writable: Buckets or folders that can be read and written.
        readable: Buckets or folders that can only be read.
        tenants: Folders of tenants, with `inputs/` and `runs/`. Code can use URLs that session functions presigned:
            to read inputs, and to write files of runs.
    """
    arn = f"arn:{partition}:s3:::"

    def allow(
        owner: str,
        actions: Sequence[str],
        resources: Iterable[str],
        prefixes: Sequence[str] = (),
        keys: Mapping[str, str] | None = None,
    ) -> Statement:
        equal = {"aws:PrincipalAccount": account, "aws:ResourceAccount": owner, **(keys or {})}
        conditions = {"StringEquals": equal, **({"StringLike": {"s3:prefix": list(prefixes)}} if prefixes else {})}
        return _allow(actions, [arn + resource for resource in resources], conditions) | {"Principal": "*"}

    statements = [
        allow(owner, actions, [f"{folder}/*" for folder in folders])
        for by_owner, actions in ((writable, WRITE_ACTIONS), (readable, READ_ACTIONS))
        for owner, folders in by_owner.items()
        if folders
    ]
    statements += [
        allow(owner, actions, [f"{folder}/{part}/*" for folder in folders], keys=PRESIGNED_BY_SESSION_FUNCTION)
        for actions, part in ((["s3:GetObject"], INPUTS), (["s3:PutObject"], RUNS))
        for owner, folders in tenants.items()
        if folders
    ]
    for owner in dict.fromkeys([*writable, *readable]):
        folders = [*writable.get(owner, ()), *readable.get(owner, ())]
        for bucket in bucket_names(folders):
            statements.append(allow(owner, ["s3:ListBucket"], [bucket], _listed_prefixes(bucket, folders)))
    return statements


def bucket_names(folders: Iterable[str]) -> list[str]:
    """Returns the buckets of folders such as `data/rates`, each once."""
    return list(dict.fromkeys(folder.partition("/")[0] for folder in folders))


def _listed_prefixes(bucket: str, folders: Sequence[str]) -> list[str]:
    """Returns the patterns of keys that can be listed in a bucket. An empty list means all keys."""
    if bucket in folders:
        return []
    prefixes = [folder.removeprefix(f"{bucket}/") + "/" for folder in folders if folder.startswith(f"{bucket}/")]
    return [prefix + ("*" if len(prefix) >= MIN_CHARACTERS_BEFORE_WILDCARD else "") for prefix in prefixes]


def _origin(account: str, vpc: str | None) -> dict[str, str]:
    """Returns conditions on the owner of the bucket and on the network of the request.

    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html
    """
    return {"aws:ResourceAccount": account, **({"aws:SourceVpc": vpc} if vpc else {})}


def _allow(actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any]) -> Statement:
    return {"Action": list(actions), "Condition": conditions, "Effect": "Allow", "Resource": list(resources)}
