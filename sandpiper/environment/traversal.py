"""Iterates over the parts of an environment together with their key paths in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.interpreter import Interpreter
    from sandpiper.environment.model import Environment
    from sandpiper.environment.tenant import Tenant
    from sandpiper.environment.workflows import WorkflowOptions


def iter_tenants(environment: Environment) -> Iterator[tuple[KeyPath, Tenant]]:
    """Yields each named tenant with its key path."""
    for name, tenant in (environment.tenants or {}).items():
        yield ("tenants", name), tenant


def iter_interpreters(environment: Environment) -> Iterator[tuple[KeyPath, Interpreter]]:
    """Yields each interpreter with its key path."""
    for key, interpreter in (environment.interpreters or {}).items():
        yield ("interpreters", key), interpreter
    for key_path, tenant in iter_tenants(environment):
        for key, interpreter in tenant.interpreters.items():
            yield (*key_path, "interpreters", key), interpreter


def iter_workflows(environment: Environment) -> Iterator[tuple[KeyPath, WorkflowOptions]]:
    """Yields the options of each workflow with their key path."""
    for name, workflow in (environment.workflows or {}).items():
        yield ("workflows", name), workflow
    for key_path, tenant in iter_tenants(environment):
        for name, workflow in tenant.workflows.items():
            yield (*key_path, "workflows", name), workflow
