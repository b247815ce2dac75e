"""Contains the options of a tenant."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sandpiper.environment.alarms import TOPIC_ARN, AlarmThresholds
from sandpiper.environment.interpreter import Interpreter
from sandpiper.environment.options import EmptyAsDefault, Options, ShortName, option
from sandpiper.environment.tags import ALLOWED_OWNER_TAG, ALLOWED_TAGS, Owner, Tags
from sandpiper.environment.workflows import ALLOWED_WORKFLOWS, DEFAULT_WORKFLOWS, RUN_CODE, WorkflowOptions, Workflows
from sandpiper.names import FLEET, NETWORK, STORAGE

RESERVED_TENANT_NAMES = (STORAGE, NETWORK, FLEET)
"""Names of the environment's own stacks, which a tenant cannot have."""


class SessionFunctionOptions(Options):
    """The Lambda function that runs sessions for a tenant."""

    architecture: Literal["arm64", "x86_64"] = option(
        "processor architecture; arm64 costs less", "arm64 | x86_64", "arm64"
    )
    runtime: Literal["python3.12", "python3.13", "python3.14"] = option(
        "Python runtime", "python3.12 | python3.13 | python3.14", "python3.14"
    )
    memory_mib: int = option("memory in MiB", "a whole number of MiB from 128 to 10240", 512, ge=128, le=10_240)
    timeout_seconds: int = option(
        "maximum duration of a run in seconds, including file transfers",
        "a whole number of seconds from 60 to 900",
        900,
        ge=60,
        le=900,
    )
    reserved_concurrency: int | None = option(
        "concurrent runs that are reserved for this tenant, and its maximum",
        "a whole number from 1 to 1000",
        None,
        ge=1,
        le=1_000,
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = option(
        "log level; code and data are never logged", "DEBUG | INFO | WARNING | ERROR", "INFO"
    )


def _not_reserved(name: str) -> str:
    if name in RESERVED_TENANT_NAMES:
        raise ValueError("choose another name, because the environment's own stacks use this one")
    return name


TenantName = Annotated[
    str,
    Field(
        pattern=r"^[a-z](-?[a-z0-9])*$",
        max_length=24,
        description="1 to 24 characters a-z, 0-9 and single hyphens, starting with a letter, except "
        + ", ".join(RESERVED_TENANT_NAMES),
    ),
    AfterValidator(_not_reserved),
]
# More interpreters would not fit into the function's environment variables, which are limited to 4 KB.
Interpreters = Annotated[dict[ShortName, Interpreter], Field(min_length=1, max_length=20)]
ALLOWED_INTERPRETERS = "a mapping of 1 to 20 interpreters, such as sandbox: {}"


class Tenant(Options):
    """A unit of isolation: interpreters, data, workflow and alarms that no other tenant shares."""

    interpreters: Interpreters = option(
        "interpreters by the key that requests use; the first is the default", ALLOWED_INTERPRETERS
    )
    owner: Owner | None = option("who is responsible, if it is not the environment's owner", ALLOWED_OWNER_TAG, None)
    tags: Tags = option("tags of the tenant's resources, added to the environment's", ALLOWED_TAGS, {})
    session_function: Annotated[SessionFunctionOptions, EmptyAsDefault] = option(
        "the Lambda function that runs the tenant's sessions",
        "a mapping of " + ", ".join(SessionFunctionOptions.model_fields),
        SessionFunctionOptions(),
    )
    workflows: Workflows = option(
        "deployed workflows by name, with the roles that use them; run-code is deployed in any case",
        ALLOWED_WORKFLOWS,
        DEFAULT_WORKFLOWS,
    )
    alarms: Annotated[AlarmThresholds, EmptyAsDefault] = option(
        "thresholds of the tenant's alarms",
        "a mapping of " + ", ".join(AlarmThresholds.model_fields),
        AlarmThresholds(),
    )
    alarm_topic_arn: str | None = option(
        "SNS topic for the tenant's owner; without it, tenant_alarm_topic_arn of the environment",
        "the ARN of an SNS topic",
        None,
        pattern=TOPIC_ARN,
    )

    @property
    def deployed_workflows(self) -> dict[str, WorkflowOptions]:
        """Returns the options of each deployed workflow by name, `run-code` first."""
        return {RUN_CODE: WorkflowOptions(), **self.workflows}
