"""Contains the features of an environment that decide which grants its deployment needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.environment import VpcInterpreter

if TYPE_CHECKING:
    from sandpiper.environment import Environment


def always(_: Environment) -> bool:
    """Every environment."""
    return True


def own_bucket(environment: Environment) -> bool:
    """The environment creates its data bucket."""
    return environment.data_bucket.name is None


def own_trail(environment: Environment) -> bool:
    """The environment creates an audit trail."""
    return environment.own_trail is not None


def own_key(environment: Environment) -> bool:
    """The environment creates the data bucket's KMS key."""
    return environment.data_bucket.key == "own"


def alarm_topics(environment: Environment) -> bool:
    """The environment creates topics for alarms."""
    return bool(environment.own_alarm_topics)


def slack(environment: Environment) -> bool:
    """A topic for alarms notifies a channel of Slack."""
    return any(each.slack is not None for each in environment.own_alarm_topics.values())


def any_key(environment: Environment) -> bool:
    """The environment creates a KMS key."""
    return own_key(environment) or alarm_topics(environment)


def network(environment: Environment) -> bool:
    """The environment creates a VPC."""
    return environment.network is not None


def interface_endpoints(environment: Environment) -> bool:
    """The environment creates interface endpoints."""
    return environment.network is not None and bool(environment.network.endpoints)


def vpc_interpreters(environment: Environment) -> bool:
    """An interpreter is in VPC mode."""
    return any(
        isinstance(interpreter, VpcInterpreter)
        for tenant in environment.all_tenants.values()
        for interpreter in tenant.interpreters.values()
    )


def budget(environment: Environment) -> bool:
    """The environment creates a budget."""
    return environment.budget is not None


def boundary(environment: Environment) -> bool:
    """Roles get a permissions boundary."""
    return environment.permissions_boundary is not None


def no_boundary(environment: Environment) -> bool:
    """Roles get no permissions boundary."""
    return not boundary(environment)
