"""Which folders of S3 an environment's own network leads to: those of the interpreters in it, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.interpreter import VpcInterpreter
from sandpiper.names import data_bucket_name, tenant_prefix
from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.environment.interpreter import S3Access
    from sandpiper.environment.model import Environment

    Folders = dict[str, list[str]]
    """Such as `data/rates`, by the account that owns the bucket."""


def network_folders(environment: Environment) -> tuple[Folders, Folders]:
    """Folders for code in this network: those that some interpreter writes, and those that they only read.

    Of the data bucket they are the own folders of these very interpreters, whoever's credentials the code has: what
    tenants sent and got is not for code, and neither is another interpreter's folder.
    """
    inside = list(_inside(environment))
    written = {(environment.account, own) for own, one in inside if one.execution_role != "none"}
    written |= {key_path for _, one in inside for key_path in _places(environment, one.write)}
    read = {key_path for _, one in inside for key_path in _places(environment, one.read)} - written
    return _by_account(written), _by_account(read)


def interpreter_prefix(environment: Environment, tenant: str, interpreter: str) -> str:
    """An interpreter's own folder of the data bucket, with the bucket."""
    bucket = environment.data_bucket.name or data_bucket_name(environment.name, environment.account, environment.region)
    return f"{bucket}/{tenant_prefix(tenant)}/{settings.SANDBOX}/{interpreter}"


def _inside(environment: Environment) -> Iterator[tuple[str, VpcInterpreter]]:
    for name, tenant in environment.all_tenants.items():
        for key, interpreter in tenant.interpreters.items():
            if isinstance(interpreter, VpcInterpreter) and not interpreter.subnets:
                yield interpreter_prefix(environment, name, key), interpreter


def _places(environment: Environment, folders: Iterable[S3Access]) -> Iterator[tuple[str, str]]:
    for each in folders:
        yield each.account or environment.account, f"{each.bucket}/{each.folder}"


def _by_account(places: set[tuple[str, str]]) -> Folders:
    found: Folders = {}
    for account, key_path in sorted(places):
        found.setdefault(account, []).append(key_path)
    return found
