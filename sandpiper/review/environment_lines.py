"""Finds the line of the environment file that decides about a construct."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.names import DEFAULT_TENANT, NETWORK, STORAGE, stack_name

if TYPE_CHECKING:
    from sandpiper.environment.errors import KeyPath
    from sandpiper.review.report import EnvironmentFile
    from sandpiper_policy.model.location import Location

INTERPRETER_PREFIX = "Interpreter-"
"""The id of an interpreter's construct is this prefix and the name of the interpreter."""
PARTS = {NETWORK: "network", STORAGE: "data_bucket"}
"""The options by the last part of the name of a stack that is not of a tenant."""


def environment_line(source: EnvironmentFile, location: Location) -> int:
    """Returns the line of the interpreter, the tenant or the option that creates a resource; otherwise the first.

    A location in the environment file has its own line.
    """
    if location.file == source.path:
        return location.line or 1
    return source.positions.line_of(_option(source, location)) or 1


def _option(source: EnvironmentFile, location: Location) -> KeyPath:
    stack, *constructs = (location.construct or location.address).split("/")
    environment = source.environment
    for name, tenant in environment.all_tenants.items():
        if stack == stack_name(environment.name, name):
            interpreter = constructs[0].removeprefix(INTERPRETER_PREFIX) if constructs else ""
            known = ("interpreters", interpreter) if interpreter in tenant.interpreters else ()
            return (*(() if name == DEFAULT_TENANT else ("tenants", name)), *known)
    options = {stack_name(environment.name, part): option for part, option in PARTS.items()}
    return (options[stack],) if stack in options else ("name",)
