"""The plan as data: `sandpiper plan --json` prints these types with camelCase names.

Names and values of a change are only ever added, so that existing consumers keep working.
"""

import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field
from pydantic.alias_generators import to_camel

from sandpiper.plan.create_only import Effect
from sandpiper.plan.effects import DeploymentEffect, stack_effects

Change = Literal["made", "changed", "replaced", "deleted"]


class JsonModel(BaseModel):
    """Base of the types that commands print as JSON."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class PropertyChange(JsonModel):
    """A change of a property, such as `NetworkConfiguration.NetworkMode`; None where the property is not set."""

    path: str
    before: str | None
    after: str | None
    effect: Effect


class Session(JsonModel):
    """A live session."""

    id: str
    since: datetime.datetime


class InterpreterChange(JsonModel):
    """A change of an interpreter, identified by its key in requests.

    Attributes:
        because: the property changes; for a replacement also those that could be made in place.
        sessions: the live sessions of the old interpreter, which end.
    """

    interpreter: str
    change: Change
    network: str
    because: tuple[PropertyChange, ...] = ()
    identifier: str | None = None
    sessions: tuple[Session, ...] = ()


class Grant(JsonModel):
    """Permissions with the same effect and conditions. Without resources, `actions` names a managed policy."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()


class PermissionChange(JsonModel):
    """A change of the permissions of a role, or of the permissions that the policy of a resource grants."""

    holder: str
    is_role: bool
    change: Change
    gains: tuple[Grant, ...] = ()
    loses: tuple[Grant, ...] = ()
    trust_gains: tuple[Grant, ...] = ()
    trust_loses: tuple[Grant, ...] = ()
    boundary: PropertyChange | None = None


class Objects(JsonModel):
    """The number of objects in a folder, and of those older than a retention time.

    Attributes:
        older_bytes: the total size of the older objects, in bytes.
        is_all: whether every object was counted; counting stops at a limit.
    """

    total: int
    older: int
    older_bytes: int
    is_all: bool


class DataChange(JsonModel):
    """A change that affects data: of a bucket, one of its folders, a key or a log group.

    Attributes:
        folder: the prefix in the bucket; None for the whole resource.
        of_old_versions: whether the change affects noncurrent versions instead of current objects.
        before_days: retention before, in days; None for unlimited.
        after_days: retention after, in days; None for unlimited.
        objects: the objects that the change affects; None when unknown.
    """

    resource: str
    change: Literal[
        "deleted",
        "retained",
        "retention shortened",
        "retention lengthened",
        "retention set",
        "left without an end",
        "versions stopped",
        "no longer retained",
    ]
    loses_data: bool
    folder: str | None = None
    of_old_versions: bool = False
    before_days: int | None = None
    after_days: int | None = None
    objects: Objects | None = None


class ResourceChange(JsonModel):
    """A change of any other resource."""

    resource: str
    type: str
    change: Change
    properties: tuple[PropertyChange, ...] = ()


class StackPlan(JsonModel):
    """The changes of one stack.

    Attributes:
        change: `gone` is a deployed stack that the environment no longer has; `cdk deploy` does not delete it.
        follows: resources that change only because a resource that they refer to changes.
        effects: what the deployment does to resources, sessions and data.
    """

    name: str
    tenant: str | None
    change: Literal["new", "changed", "gone", "unchanged"]
    notes: tuple[str, ...] = ()
    data: tuple[DataChange, ...] = ()
    interpreters: tuple[InterpreterChange, ...] = ()
    permissions: tuple[PermissionChange, ...] = ()
    resources: tuple[ResourceChange, ...] = ()
    follows: tuple[str, ...] = ()

    @computed_field
    @property
    def effects(self) -> tuple[DeploymentEffect, ...]:
        """The effects, from the least to the most severe."""
        return stack_effects(self)


class Quota(JsonModel):
    """The use of a quota after the deployment; `stack` is the stack that it applies to, None for the account."""

    quota: str
    stack: str | None
    used: int
    limit: int
    note: str = ""

    @property
    def left(self) -> int:
        """The unused part of the quota; negative when it is exceeded."""
        return self.limit - self.used


class CostLimit(JsonModel):
    """A limit of the cost; `tenant` is the tenant that it applies to, None for the account or environment."""

    limit: str
    value: int
    tenant: str | None = None


class TenantCost(JsonModel):
    """The maximum cost of a tenant, in US dollars.

    Attributes:
        sessions: the most sessions that run at the same time.
        limited_by: what limits them.
        session_usd: one session of the longest lifetime.
        live_sessions_usd: what sessions that just started still cost if no other session starts.
    """

    tenant: str
    sessions: int
    limited_by: str
    longest_session_seconds: int
    session_usd: float
    live_sessions_usd: float
    hour_usd: float
    month_usd: float


class Costs(JsonModel):
    """The maximum cost of sessions and functions, in US dollars, as an estimate from list prices.

    Attributes:
        as_of: the month of the prices.
        session_hour_usd: an hour of a session that uses all its processors and memory.
        sessions: the most sessions of all tenants that run at the same time, if each ends with its call.
        open_sessions: the most sessions, if workflows open sessions that outlive their call.
        stopped_by: limits that stop further cost.
        notified_by: limits that only notify.
    """

    as_of: str
    sources: tuple[str, ...]
    session_hour_usd: float
    tenants: tuple[TenantCost, ...]
    sessions: int
    hour_usd: float
    month_usd: float
    open_sessions: int
    open_sessions_hour_usd: float
    open_sessions_month_usd: float
    stopped_by: tuple[CostLimit, ...]
    notified_by: tuple[CostLimit, ...]


class Plan(JsonModel):
    """What `cdk deploy --all` would change in an environment; `notes` list what to check or do before deploying."""

    environment: str
    account: str
    region: str
    notes: tuple[str, ...] = ()
    stacks: tuple[StackPlan, ...]
    quotas: tuple[Quota, ...]
    costs: Costs | None = None

    @property
    def has_changes(self) -> bool:
        """Whether a deployment would change anything. It does not delete the stacks of removed tenants."""
        return any(stack.change in ("new", "changed") for stack in self.stacks)

    @property
    def effects(self) -> tuple[DeploymentEffect, ...]:
        """The effects on all stacks, each once, from the least to the most severe."""
        found = {effect for stack in self.stacks for effect in stack.effects}
        return tuple(effect for effect in DeploymentEffect if effect in found)

    def to_json(self) -> dict[str, Any]:
        """Returns the JSON that the command prints. Without the environment file, it has no costs."""
        unknown = {"costs"} if self.costs is None else None
        return {"hasChanges": self.has_changes, **self.model_dump(mode="json", by_alias=True, exclude=unknown)}
