"""Finds the S3 folders that are reachable from the environment's network: those of its interpreters only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.interpreter import VpcInterpreter
from sandpiper.names import data_bucket_name, tenant_prefix
from sandpiper_contract import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandpiper.environment.interpreter import Interpreter, S3Access
    from sandpiper.environment.model import Environment

    Folders = dict[str, list[str]]
    """Folders such as `data/rates`, by the account that owns the bucket."""


def network_folders(environment: Environment) -> tuple[Folders, Folders]:
    """Returns the folders that code in the network can write, and those that it can only read.

    In the data bucket, these are the folders of the network's interpreters, regardless of the credentials that the
    code uses. Inputs and outputs of tenants (`network_tenants`) and folders of other interpreters are not included.
    """
    interpreters = list(_interpreters_in_network(environment))
    writable = {(environment.account, own) for _, own, each in interpreters if each.execution_role != "none"}
    writable |= {folder for _, _, each in interpreters for folder in _by_owner(environment, each.write)}
    readable = {folder for _, _, each in interpreters for folder in _by_owner(environment, each.read)} - writable
    return _grouped(writable), _grouped(readable)


def network_tenants(environment: Environment) -> Folders:
    """Returns the folders of tenants with an interpreter in the network, such as `bucket/tenants/claims`.

    Large files of their runs are transferred between the network and S3 with presigned URLs.
    """
    folders = {tenant_folder(environment, name) for name, _, _ in _interpreters_in_network(environment)}
    return _grouped({(environment.account, folder) for folder in folders})


def tenant_folder(environment: Environment, tenant: str) -> str:
    """Returns a tenant's folder in the data bucket, such as `bucket/tenants/claims`."""
    bucket = environment.data_bucket.name or data_bucket_name(environment.name, environment.account, environment.region)
    return f"{bucket}/{tenant_prefix(tenant)}"


def interpreter_prefix(environment: Environment, tenant: str, interpreter: str) -> str:
    """Returns an interpreter's own folder in the data bucket, such as `bucket/tenants/claims/sandbox/web`."""
    return f"{tenant_folder(environment, tenant)}/{settings.SANDBOX}/{interpreter}"


def is_in_network(interpreter: Interpreter) -> bool:
    """Returns whether an interpreter is in the environment's network, and not in other subnets."""
    return isinstance(interpreter, VpcInterpreter) and not interpreter.subnets


def _interpreters_in_network(environment: Environment) -> Iterator[tuple[str, str, VpcInterpreter]]:
    """Yields the name of the tenant, the interpreter's own folder, and the interpreter."""
    for name, tenant in environment.all_tenants.items():
        for key, interpreter in tenant.interpreters.items():
            if isinstance(interpreter, VpcInterpreter) and is_in_network(interpreter):
                yield name, interpreter_prefix(environment, name, key), interpreter


def _by_owner(environment: Environment, folders: Iterable[S3Access]) -> Iterator[tuple[str, str]]:
    for each in folders:
        yield each.account or environment.account, f"{each.bucket}/{each.folder}"


def _grouped(folders: set[tuple[str, str]]) -> Folders:
    by_account: Folders = {}
    for account, folder in sorted(folders):
        by_account.setdefault(account, []).append(folder)
    return by_account
