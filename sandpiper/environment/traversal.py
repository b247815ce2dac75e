"""Where things lie in an environment file, for those who check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import Place
    from sandpiper.environment.interpreter import Interpreter
    from sandpiper.environment.model import Environment, Tenant


def tenants_of(environment: Environment) -> Iterator[tuple[Place, Tenant]]:
    """Every tenant that has a name in the file, with its place."""
    for name, tenant in (environment.tenants or {}).items():
        yield ("tenants", name), tenant


def interpreters_of(environment: Environment) -> Iterator[tuple[Place, Interpreter]]:
    """Every interpreter, with its place."""
    for key, interpreter in (environment.interpreters or {}).items():
        yield ("interpreters", key), interpreter
    for place, tenant in tenants_of(environment):
        for key, interpreter in tenant.interpreters.items():
            yield (*place, "interpreters", key), interpreter
