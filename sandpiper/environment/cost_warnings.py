"""Finds tenants and callers whose cost nothing limits except the quotas of the account.

They are separate from `find_warnings`: a new file may start without limits. `sandpiper plan`, `sandpiper status` and
the synthesis report them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment.errors import format_key_path
from sandpiper.environment.traversal import iter_interpreters, iter_tenants
from sandpiper.environment.warnings import EnvironmentWarning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment

_CONSEQUENCE = "only the quotas of the account limit concurrent runs and their cost"


def find_cost_warnings(environment: Environment) -> tuple[EnvironmentWarning, ...]:
    """Returns a warning for each tenant without reserved concurrency, and for the callers of each interpreter.

    On the embedded AWS, nothing is billed.
    """
    if environment.is_embedded:
        return ()
    found = (*_unlimited(environment), *_callers(environment))
    return tuple(EnvironmentWarning(format_key_path(key_path), text) for key_path, text in found)


def _unlimited(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    for key_path, tenant in iter_tenants(environment):
        if tenant.session_function.reserved_concurrency is None:
            option = (*key_path, "session_function", "reserved_concurrency")
            yield option, f"is not set, so {_CONSEQUENCE}: set the most runs that the tenant needs at the same time"
    if environment.interpreters is not None:
        yield ("interpreters",), f"has no reserved concurrency, so {_CONSEQUENCE}: use tenants, which can reserve it"


def _callers(environment: Environment) -> Iterator[tuple[KeyPath, str]]:
    for key_path, interpreter in iter_interpreters(environment):
        if interpreter.callers:
            yield (
                (*key_path, "callers"),
                "start sessions without the session function, so only the session quota of the account limits their "
                "number and their cost: remove roles that can start run-code instead (workflows.run-code.starters)",
            )
