"""Contains the base class of option mappings and the field types that several of them use.

Each option is a pydantic Field. Its `title` states the purpose and its `description` the allowed values. The JSON
Schema, the reference page and the error messages are generated from these two.
"""

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The values that CloudWatch Logs accepts.

https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""

ShortName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="1 to 24 characters a-z, 0-9 and single hyphens, starting with a letter",
    ),
]
"""The key of an interpreter, or the name of a tenant."""


class Options(BaseModel):
    """A mapping in the file. Unknown keys are rejected, types are exact, and instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def item(allowed: str, example: object, **constraints: Any) -> Any:
    """Returns a Field for an item of a list or a value of a mapping.

    Args:
        allowed: The allowed values, for messages.
        example: A valid value, which replaces an invalid one while the other options are checked.
        constraints: What pydantic checks, such as `pattern`.
    """
    return Field(description=allowed, examples=[example], **constraints)


def option(title: str, allowed: str, default: Any = ..., **constraints: Any) -> Any:
    """Returns a Field for an option.

    Args:
        title: The purpose of the option.
        allowed: The allowed values, for messages.
        default: The default. An option without one is required.
        constraints: What pydantic checks, such as `pattern`.
    """
    return Field(default, title=title, description=allowed, **constraints)


def _require_retention_days(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        nearest = min(LOG_RETENTION_DAYS, key=lambda allowed: abs(allowed - days))
        raise ValueError(f"use {nearest}, the nearest allowed value")
    return days


def _as_tuple(value: object) -> object:
    """Converts YAML's lists to tuples, which are immutable."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def empty_as_default(value: object) -> object:
    """Converts None to an empty mapping: YAML reads `sandbox:` as None, and it means all defaults."""
    return {} if value is None else value


def reject_empty(value: object) -> object:
    """Rejects None, which would otherwise count as a missing option."""
    if value is None:
        raise ValueError("set a value, or remove the option")
    return value


AsTuple = BeforeValidator(_as_tuple)
EmptyAsDefault = BeforeValidator(empty_as_default)
NotEmpty = BeforeValidator(reject_empty)

ReviewText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
LogRetentionDays = Annotated[
    int, AfterValidator(_require_retention_days), Field(json_schema_extra={"enum": list(LOG_RETENTION_DAYS)})
]
ALLOWED_LOG_RETENTION = "one of " + ", ".join(map(str, LOG_RETENTION_DAYS))

ACCOUNT = "[0-9]{12}"
ENVIRONMENT_NAME = "[a-z][a-z0-9]{0,19}"
REGION = "[a-z]{2,4}(-[a-z]+)+-[0-9]"
PARTITION = "aws[a-z-]*"
PATH = "([!-#%-)+->@-~]+/)?"
"""The path of a role or policy. IAM also accepts the characters `*`, `?` and `$`, which are mistakes in practice."""
_ROLE_NAME = r"[A-Za-z0-9_+=,.@-]{1,64}"
ALLOWED_ROLE_ARN = "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/NAME"
RoleArn = Annotated[
    str,
    item(
        ALLOWED_ROLE_ARN,
        "arn:aws:iam::111122223333:role/NAME",
        pattern=rf"^arn:{PARTITION}:iam::{ACCOUNT}:role/{PATH}{_ROLE_NAME}$",
    ),
]
ExactRoleArn = Annotated[
    str,
    item(
        f"{ALLOWED_ROLE_ARN}, without wildcards",
        "arn:aws:iam::111122223333:role/NAME",
        pattern=rf"^arn:{PARTITION}:iam::{ACCOUNT}:role/([A-Za-z0-9_+=,.@/-]+/)?{_ROLE_NAME}$",
        max_length=600,
    ),
]
"""A role in a condition of a policy, in which `*` would be a wildcard."""
KeyArn = Annotated[str, Field(pattern=rf"^arn:{PARTITION}:kms:[a-z0-9-]+:{ACCOUNT}:key/[A-Za-z0-9-]+$")]
ALLOWED_KEY_ARN = "the ARN of a KMS key, such as arn:aws:kms:eu-west-1:111122223333:key/ID (not an alias)"


def account_of(arn: str) -> str:
    """Returns the account in an ARN."""
    return arn.split(":")[4]


def is_match(pattern: str, value: str) -> bool:
    """Returns whether a pattern matches the entire value."""
    return re.fullmatch(pattern, value) is not None
