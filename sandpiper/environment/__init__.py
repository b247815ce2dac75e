"""One environment: an account and region with its tenants, read from `environments/NAME.yaml` into types.

Not what is built from it (`stacks`), and nothing here needs the CDK or an AWS account.
"""

from sandpiper.environment.errors import InvalidEnvironment
from sandpiper.environment.file import load
from sandpiper.environment.model import (
    AlarmThresholds,
    Environment,
    PublicInterpreter,
    SandboxInterpreter,
    SessionFunctionOptions,
    Tenant,
)

__all__ = [
    "AlarmThresholds",
    "Environment",
    "InvalidEnvironment",
    "PublicInterpreter",
    "SandboxInterpreter",
    "SessionFunctionOptions",
    "Tenant",
    "load",
]
