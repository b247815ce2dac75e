"""What all options of an environment file have in common: exact keys and types, and the texts that are shared.

Each option is a pydantic Field whose `title` says what it is for and whose `description` says what is allowed. The
JSON Schema for editors, the reference page and the error messages are all made of these two.
"""

import re
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

LOG_RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The values that CloudWatch Logs takes (PutRetentionPolicy)."""

ShortName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="at most 24 of a-z 0-9 and single hyphens, a letter first",
    ),
]
"""A key of an interpreter, or a tenant's name whoever has it."""


class Options(BaseModel):
    """A mapping of the file: its keys are known, its types exact, its values fixed once they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def item(allowed: str, example: object, **limits: Any) -> Any:
    """A Field for what is in a list or a mapping: what is allowed, an example of it, and what pydantic checks."""
    return Field(description=allowed, examples=[example], **limits)


def option(title: str, allowed: str, default: Any = ..., **limits: Any) -> Any:
    """A Field: what it is for, what is allowed, its default (required without one), and what pydantic checks."""
    return Field(default, title=title, description=allowed, **limits)


def _only_retention_values(days: int) -> int:
    if days not in LOG_RETENTION_DAYS:
        raise ValueError(f"say {min(LOG_RETENTION_DAYS, key=lambda one: abs(one - days))}, which is next to it")
    return days


def _as_tuple(value: object) -> object:
    """YAML has lists, a value that stays as it is has tuples."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def empty_as_default(value: object) -> object:
    """`sandbox:` with nothing after it reads as None in YAML and means every default."""
    return {} if value is None else value


def reject_empty(value: object) -> object:
    """What has no defaults to stand for it is not left empty, as if it were not there."""
    if value is None:
        raise ValueError("fill it in, or take it out")
    return value


AsTuple = BeforeValidator(_as_tuple)
EmptyAsDefault = BeforeValidator(empty_as_default)
NotEmpty = BeforeValidator(reject_empty)

ReviewText = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
LogRetentionDays = Annotated[
    int, AfterValidator(_only_retention_values), Field(json_schema_extra={"enum": list(LOG_RETENTION_DAYS)})
]
ALLOWED_LOG_RETENTION = "one of " + ", ".join(map(str, LOG_RETENTION_DAYS))

ACCOUNT = "[0-9]{12}"
ENVIRONMENT_NAME = "[a-z][a-z0-9]{0,19}"
REGION = "[a-z]{2,4}(-[a-z]+)+-[0-9]"
PARTITION = "aws[a-z-]*"
_ROLE_NAME = r"[A-Za-z0-9_+=,.@-]{1,64}"
ALLOWED_ROLE_ARN = "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/NAME"
RoleArn = Annotated[
    str,
    item(
        ALLOWED_ROLE_ARN,
        "arn:aws:iam::111122223333:role/NAME",
        pattern=rf"^arn:{PARTITION}:iam::{ACCOUNT}:role/([!-~]+/)?{_ROLE_NAME}$",
    ),
]
KeyArn = Annotated[str, Field(pattern=rf"^arn:{PARTITION}:kms:[a-z0-9-]+:{ACCOUNT}:key/[A-Za-z0-9-]+$")]
ALLOWED_KEY_ARN = "the ARN of a KMS key, such as arn:aws:kms:eu-west-1:111122223333:key/ID (not of an alias)"


def account_of(arn: str) -> str:
    """The account in an ARN."""
    return arn.split(":")[4]


def is_match(pattern: str, value: str) -> bool:
    """Whether the whole of a value has the pattern."""
    return re.fullmatch(pattern, value) is not None
