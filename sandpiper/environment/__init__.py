"""Reads an environment file: one account and region with its tenants, from `environments/NAME.yaml` into types.

The package needs neither the CDK nor an AWS account. `stacks` builds resources from an environment.

Example:
    >>> from sandpiper.environment import InvalidEnvironment, load
    >>> try:
    ...     environment = load("environments/dev.yaml")
    ... except InvalidEnvironment as error:
    ...     for issue in error.issues:
    ...         print(issue.file, issue.line, issue.at, issue.problem, issue.remedy)
"""

from sandpiper.environment.alarms import AlarmThresholds
from sandpiper.environment.cost_warnings import find_cost_warnings
from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment
from sandpiper.environment.file import load
from sandpiper.environment.interpreter import (
    Interpreter,
    PublicInterpreter,
    SandboxInterpreter,
    SessionLimits,
    VpcInterpreter,
)
from sandpiper.environment.model import Environment
from sandpiper.environment.tenant import SessionFunctionOptions, Tenant
from sandpiper.environment.warnings import EnvironmentWarning, find_warnings

__all__ = [
    "AlarmThresholds",
    "ConfigIssue",
    "Environment",
    "EnvironmentWarning",
    "Interpreter",
    "InvalidEnvironment",
    "PublicInterpreter",
    "SandboxInterpreter",
    "SessionFunctionOptions",
    "SessionLimits",
    "Tenant",
    "VpcInterpreter",
    "find_cost_warnings",
    "find_warnings",
    "load",
]
