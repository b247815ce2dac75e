"""Where things lie in an environment file, for those who check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.interpreter import Interpreter
    from sandpiper.environment.model import Environment, Tenant


def iter_tenants(environment: Environment) -> Iterator[tuple[KeyPath, Tenant]]:
    """Every tenant that has a name in the file, with its key_path."""
    for name, tenant in (environment.tenants or {}).items():
        yield ("tenants", name), tenant


def iter_interpreters(environment: Environment) -> Iterator[tuple[KeyPath, Interpreter]]:
    """Every interpreter, with its key_path."""
    for key, interpreter in (environment.interpreters or {}).items():
        yield ("interpreters", key), interpreter
    for key_path, tenant in iter_tenants(environment):
        for key, interpreter in tenant.interpreters.items():
            yield (*key_path, "interpreters", key), interpreter
