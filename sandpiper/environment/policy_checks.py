"""Whether the folders of S3 fit the policies that name them, which AWS takes up to a number of characters.

The policies themselves are made by the constructs. Here they are written once more, for their length alone, so that a
file that is too large is told with everything else that is wrong with it; a test holds the lengths to the templates'.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sandpiper.environment.errors import ConfigIssue
from sandpiper.environment.network_folders import interpreter_prefix, network_folders
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.names import DEFAULT_TENANT
from sandpiper_contract.aws import MAX_INLINE_POLICY_CHARACTERS, partition_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.environment.interpreter import Interpreter
    from sandpiper.environment.model import Environment

MAX_ENDPOINT_POLICY_CHARACTERS = 20_480
"""Characters, with white space: https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-limits-endpoints.html"""
_OWN_KEY = "?" * 120
"""As long as a key that is made with the bucket may be, as its ARN or as the parameter that a template has of it."""
_READ = ("s3:GetObject",)
_WRITE = ("s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject")


def endpoint_policy_size(environment: Environment) -> int:
    """Characters of the policy of S3's endpoint in the environment's network, with white space.

    One more for each folder with a short name, which is listed without a wildcard.
    """
    arn = _s3_arn(environment)
    written, read = network_folders(environment)
    statements: list[dict[str, Any]] = []
    for account in written | read:
        owner = {"aws:PrincipalAccount": environment.account, "aws:ResourceAccount": account}
        folders = [*written.get(account, ()), *read.get(account, ())]
        for actions, places in ((_WRITE, written.get(account)), (_READ, read.get(account))):
            if places:
                statements.append(
                    _allow(actions, [f"{arn}{key_path}/*" for key_path in places], {"StringEquals": owner})
                )
        for bucket in {key_path.partition("/")[0] for key_path in folders}:
            inside = [key_path.partition("/")[2] for key_path in folders if key_path.startswith(f"{bucket}/")]
            condition = {"StringEquals": owner, "StringLike": {"s3:prefix": [f"{folder}/*" for folder in inside]}}
            statements.append(_allow(("s3:ListBucket",), [f"{arn}{bucket}"], condition))
    return len(json.dumps(_document([{**each, "Principal": "*"} for each in statements])))


def execution_role_size(environment: Environment, own: str, interpreter: Interpreter) -> int:
    """Characters of the policy of an interpreter's own role, without white space; `own` is its own folder."""
    arn = _s3_arn(environment)
    data_key = {"aws": None, "own": _OWN_KEY}.get(environment.data_bucket.key, environment.data_bucket.key)
    of_account: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    listed: dict[tuple[str, str], list[str]] = defaultdict(list)
    statements: list[dict[str, Any]] = []
    given = (
        *((_READ, f"{one.bucket}/{one.folder}", one.account, one.key) for one in interpreter.read),
        *((_WRITE, f"{one.bucket}/{one.folder}", one.account, one.key) for one in interpreter.write),
        (_WRITE, own, None, data_key),
    )
    for actions, key_path, owner, key in given:
        account = owner or environment.account
        bucket, _, folder = key_path.partition("/")
        of_account[actions, account].append(f"{arn}{key_path}/*")
        listed[account, folder].append(f"{arn}{bucket}")
        if key is not None:
            statements.append(_by_key(environment, key, [f"{arn}{bucket}", f"{arn}{key_path}/*"], actions))
    for (actions, account), objects in of_account.items():
        statements.append(_allow(actions, objects, {"StringEquals": {"aws:ResourceAccount": account}}))
    for (account, folder), buckets in listed.items():
        conditions = {"StringEquals": {"aws:ResourceAccount": account}, "StringLike": {"s3:prefix": f"{folder}/*"}}
        statements.append(_allow(("s3:ListBucket",), buckets, conditions))
    return len(json.dumps(_document(statements), separators=(",", ":")))


def _by_key(environment: Environment, key: str, context: list[str], actions: Sequence[str]) -> dict[str, Any]:
    region = key.split(":")[3] if key.startswith("arn:") else environment.region
    via = {"Fn::Join": ["", [f"s3.{region}.", {"Ref": "AWS::URLSuffix"}]]}
    return _allow(
        ("kms:Decrypt",) if actions is _READ else ("kms:Decrypt", "kms:GenerateDataKey"),
        [key],
        {"StringEquals": {"kms:ViaService": via}, "ArnLike": {"kms:EncryptionContext:aws:s3:arn": context}},
    )


def _s3_arn(environment: Environment) -> str:
    return f"arn:{partition_of(environment.region)}:s3:::"


def _allow(actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Any]) -> dict[str, Any]:
    """A statement, with what is only one not in a list."""
    action, resource = (each[0] if len(each) == 1 else list(each) for each in (actions, resources))
    return {"Action": action, "Condition": conditions, "Effect": "Allow", "Resource": resource}


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Statement": statements, "Version": "2012-10-17"}


def _folders_fit_the_endpoint(environment: Environment) -> Iterator[ConfigIssue]:
    if environment.network is None:
        return
    size = endpoint_policy_size(environment)
    if size > MAX_ENDPOINT_POLICY_CHARACTERS:
        found = sum(len(places) for folders in network_folders(environment) for places in folders.values())
        yield ConfigIssue(
            key_path=("network",),
            problem=f"leads to {found} folders of S3, for which its endpoint needs a policy of {size} characters",
            allowed=f"{MAX_ENDPOINT_POLICY_CHARACTERS} characters, as AWS has it",
            remedy="give its interpreters fewer and wider folders with shorter names, or move some into an environment "
            "of their own",
        )


def _folders_fit_the_role(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.execution_role != "own":
            continue
        tenant = str(key_path[1]) if key_path[0] == "tenants" else DEFAULT_TENANT
        size = execution_role_size(environment, interpreter_prefix(environment, tenant, str(key_path[-1])), interpreter)
        if size > MAX_INLINE_POLICY_CHARACTERS:
            read, write = len(interpreter.read), len(interpreter.write)
            yield ConfigIssue(
                key_path=(*key_path, "read" if read >= write else "write"),
                problem=f"is too long: for {read + write} folders its role needs a policy of {size} characters",
                allowed=f"{MAX_INLINE_POLICY_CHARACTERS} characters, as IAM has it",
                remedy="give it fewer and wider folders with shorter names, or divide them among more interpreters",
            )


POLICY_CHECKS = (_folders_fit_the_endpoint, _folders_fit_the_role)
