"""Finds warnings about resources that Sandpiper uses but does not manage: roles, buckets and keys.

Sandpiper neither creates nor changes their policies. `sandpiper status` checks those that it may read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.interpreter import PublicInterpreter
from sandpiper.environment.options import account_of
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.names import data_bucket_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.interpreter import S3Access
    from sandpiper.environment.model import Environment

    Warnings = Iterator[tuple[KeyPath, str]]

FOLDER_OPTIONS = ("read", "write")


def external_resource_warnings(environment: Environment) -> Warnings:
    """Yields the key path and the text of each warning."""
    yield from _data_bucket(environment)
    yield from _execution_roles(environment)
    yield from _buckets(environment)
    yield from _public_writers(environment)


def _data_bucket(environment: Environment) -> Warnings:
    options = environment.data_bucket
    if options.name is not None:
        yield (
            ("data_bucket", "name"),
            f"{options.name} is an existing bucket: Sandpiper does not manage its policy, so other identities of the "
            "account can have access to all data; `sandpiper status` checks the policy",
        )
    if options.key.startswith("arn:") and account_of(options.key) != environment.account:
        yield (
            ("data_bucket", "key"),
            f"is a key of account {account_of(options.key)}: no data can be read after that account disables the key "
            "or changes its policy",
        )


def _execution_roles(environment: Environment) -> Warnings:
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.execution_role.startswith("arn:"):
            yield (
                (*key_path, "execution_role"),
                "is an existing role: Sandpiper manages neither its trust policy nor its permissions, and code can "
                "read its credentials; `sandpiper status` checks both",
            )


def _buckets(environment: Environment) -> Warnings:
    """Yields one warning for each bucket, at the first folder that is written, or else read.

    Reading from a bucket of the environment's own account is no warning.
    """
    own = environment.data_bucket.name or data_bucket_name(environment.name, environment.account, environment.region)
    warned: set[str] = set()
    for option in reversed(FOLDER_OPTIONS):
        for key_path, folder in _folders(environment, option):
            is_foreign = folder.account not in (None, environment.account)
            if folder.bucket in (own, *warned) or not (is_foreign or option == "write"):
                continue
            warned.add(folder.bucket)
            owner = f"account {folder.account}" if is_foreign else "this account"
            verb = "writes data to it" if option == "write" else "trusts what it reads from it"
            yield (
                key_path,
                f"bucket {folder.bucket} of {owner} is not managed by Sandpiper: code {verb}, and the bucket's own "
                "policy decides who else can read and change its objects",
            )


def _folders(environment: Environment, option: str) -> Iterator[tuple[KeyPath, S3Access]]:
    for key_path, interpreter in iter_interpreters(environment):
        for index, folder in enumerate(getattr(interpreter, option)):
            yield (*key_path, option, index), folder


def _public_writers(environment: Environment) -> Warnings:
    for key_path, interpreter in iter_interpreters(environment):
        if isinstance(interpreter, PublicInterpreter) and interpreter.write:
            folders = ", ".join(folder.uri for folder in interpreter.write)
            yield (
                (*key_path, "write"),
                f"code that reaches the internet can write to {folders}: a program from the internet can change or "
                "replace these files",
            )
