"""The limits of a simulated batch: those of an environment file, or the defaults of AWS."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandpiper import deployment
from sandpiper.capacity.model import Limits
from sandpiper.environment import load
from sandpiper.environment.batch_limits import batch_sessions, has_batches
from sandpiper.errors import CliError


@dataclass(frozen=True)
class GivenLimits:
    """Limits, and the reserved concurrency of the tenant; None if it has none."""

    limits: Limits
    concurrency: int | None


def find_limits(
    environment: str | None, tenant: str | None, calls_per_second: int | None, live_sessions: int | None, regions: int
) -> GivenLimits:
    """Returns the limits of a batch.

    Args:
        environment: Name or file of the environment. None: the default quotas of AWS.
        tenant: The tenant whose function runs the batch. None: the environment's only tenant.
        calls_per_second: A quota that replaces that of the environment.
        live_sessions: The same.
        regions: The number of regions.

    Raises:
        CliError: The environment is invalid, or has no such tenant.
    """
    found = GivenLimits(Limits(), None) if environment is None else _of_environment(environment, tenant)
    limits = replace(found.limits, regions=regions)
    if calls_per_second is not None:
        limits = replace(limits, calls_per_second=calls_per_second)
    if live_sessions is not None:
        limits = replace(limits, live_sessions=live_sessions)
    return GivenLimits(limits, found.concurrency)


def _of_environment(name: str, tenant: str | None) -> GivenLimits:
    environment = load(deployment.environment_file(name))
    tenants = environment.all_tenants
    selected = tenant or deployment.only_tenant(name)
    if selected not in tenants:
        raise CliError(f"--tenant is {selected!r}; allowed: {' | '.join(tenants)}")
    function, quotas = tenants[selected].session_function, environment.quotas
    reserved = function.reserved_concurrency
    own = reserved or 0
    limits = Limits(
        calls_per_second=quotas.calls_per_second,
        live_sessions=quotas.live_sessions,
        functions_at_once=quotas.functions_at_once,
        other_sessions=batch_sessions(environment) - (own if has_batches(tenants[selected]) else 0),
        function_seconds=function.timeout_seconds,
        memory_mib=function.memory_mib,
        architecture=function.architecture,
    )
    return GivenLimits(limits, reserved)
