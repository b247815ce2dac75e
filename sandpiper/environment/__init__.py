"""One environment: an account and region with its tenants, read from `environments/NAME.yaml` into types.

Not what is built from it (`stacks`), and nothing here needs the CDK or an AWS account.
"""

from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment
from sandpiper.environment.file import load
from sandpiper.environment.interpreter import (
    Interpreter,
    PublicInterpreter,
    SandboxInterpreter,
    SessionLimits,
    VpcInterpreter,
)
from sandpiper.environment.model import AlarmThresholds, Environment, SessionFunctionOptions, Tenant
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
    "find_warnings",
    "load",
]
