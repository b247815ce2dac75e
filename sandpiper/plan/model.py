"""A plan as programs get it: `sandpiper plan --json` prints these types, with names in camelCase.

Names and words of a change are only ever added, so that what reads them today reads them tomorrow.
"""

import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from sandpiper.plan.create_only import Effect

Change = Literal["made", "changed", "replaced", "deleted"]


class Part(BaseModel):
    """A part of what a command prints as JSON."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class PropertyChange(Part):
    """A property of a resource, such as `NetworkConfiguration.NetworkMode`; None where it is not set."""

    path: str
    before: str | None
    after: str | None
    effect: Effect


class Session(Part):
    """A session that is live."""

    id: str
    since: datetime.datetime


class InterpreterChange(Part):
    """An interpreter by its key. A change in place has properties as well; `sessions` end with the old interpreter."""

    interpreter: str
    change: Change
    network: str
    because: tuple[PropertyChange, ...] = ()
    identifier: str | None = None
    sessions: tuple[Session, ...] = ()


class Grant(Part):
    """What statements of a policy say alike. No resources: the managed policy that `actions` names."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()


class PermissionChange(Part):
    """What a role may do, or what the policy of a resource lets others do."""

    holder: str
    is_role: bool
    change: Change
    gains: tuple[Grant, ...] = ()
    loses: tuple[Grant, ...] = ()
    trust_gains: tuple[Grant, ...] = ()
    trust_loses: tuple[Grant, ...] = ()
    boundary: PropertyChange | None = None


class Objects(Part):
    """Objects of a folder: all, and those that are older than a retention time. Counted to a limit."""

    total: int
    older: int
    older_bytes: int
    is_all: bool


class DataChange(Part):
    """What becomes of data: of a bucket, of one of its folders, of a key, of a log."""

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


class ResourceChange(Part):
    """Any other resource."""

    resource: str
    type: str
    change: Change
    properties: tuple[PropertyChange, ...] = ()


class StackPlan(Part):
    """One stack. A gone one is deployed, and in the environment no more: `cdk deploy` leaves it as it is."""

    name: str
    tenant: str | None
    change: Literal["new", "changed", "gone", "unchanged"]
    notes: tuple[str, ...] = ()
    data: tuple[DataChange, ...] = ()
    interpreters: tuple[InterpreterChange, ...] = ()
    permissions: tuple[PermissionChange, ...] = ()
    resources: tuple[ResourceChange, ...] = ()
    follows: tuple[str, ...] = ()
    """Resources that change only because what they name does."""


class Quota(Part):
    """What is used of a quota after the change. `stack` is the one that it counts in, if not the account."""

    quota: str
    stack: str | None
    used: int
    limit: int
    note: str = ""

    @property
    def left(self) -> int:
        """What is left of it; negative when it is exceeded."""
        return self.limit - self.used


class Plan(Part):
    """What `cdk deploy --all` would change in an environment."""

    environment: str
    account: str
    region: str
    notes: tuple[str, ...] = ()
    """What to know, or to do, before anything is deployed."""
    stacks: tuple[StackPlan, ...]
    quotas: tuple[Quota, ...]

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do."""
        return any(stack.change != "unchanged" for stack in self.stacks)

    def to_json(self) -> dict[str, Any]:
        """As the command prints it."""
        return {"hasChanges": self.has_changes, **self.model_dump(mode="json", by_alias=True)}
