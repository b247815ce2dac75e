"""Makes the plan: each stack of the assembly beside the one that is deployed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Protocol, cast

from sandpiper.names import FLEET, NETWORK, STORAGE
from sandpiper.plan import data_changes, interpreters, permissions, quotas
from sandpiper.plan.assembly import OURS
from sandpiper.plan.model import Plan, ResourceChange, StackPlan
from sandpiper.plan.properties import of_resource, pairs, text
from sandpiper.plan.template import BUCKET, INTERPRETER, LOG_GROUP, ROLE, Template
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandpiper.environment.model import Quotas
    from sandpiper.plan.assembly import Assembly, Stack
    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.plan.model import Objects, PropertyChange, Session

TOLD_ELSEWHERE = {
    BUCKET: ("LifecycleConfiguration", "VersioningConfiguration", "DeletionPolicy"),
    LOG_GROUP: ("RetentionInDays", "DeletionPolicy"),
    ROLE: ("AssumeRolePolicyDocument", "ManagedPolicyArns", "PermissionsBoundary", "Policies"),
    "AWS::EC2::VPCEndpoint": ("PolicyDocument",),
    "AWS::KMS::Key": ("DeletionPolicy", "KeyPolicy"),
}
"""Properties that are told as permissions or as data."""
WHOLLY_TOLD_ELSEWHERE = (INTERPRETER, "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::S3::BucketPolicy")
FAILED_CREATION = "ROLLBACK_COMPLETE"
"""Of a stack without a resource, which can only be deleted: the CDK does so first."""
NOT_ASCII = re.compile("[\u0080-\U0010ffff]")


class Observed(Protocol):
    """Where the environment is deployed."""

    def physical_ids(self, stack: str) -> dict[str, str]:
        """Of a stack's resources, by logical id."""
        ...

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        """Live sessions of an interpreter."""
        ...

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:
        """Objects of a folder, and those older than days."""
        ...

    def has_bucket(self, name: str) -> bool:
        """Whether the account has a bucket of a name already."""
        ...

    def bootstrap_version(self, parameter: str) -> int | None:
        """The version of a bootstrap by its SSM parameter; None where there is none."""
        ...


def make(
    assembly: Assembly,
    deployed: Mapping[str, DeployedStack],
    observed: Observed,
    granted: Quotas,
    warnings: Sequence[str] = (),
) -> Plan:
    """The plan of `cdk deploy --all` for an environment; `warnings` are those of its file."""
    gone = {name: one for name, one in deployed.items() if name not in assembly.stacks}
    stacks = [_stack(one, deployed.get(name), gone, observed) for name, one in assembly.stacks.items()]
    stacks += [_gone(one, observed) for one in gone.values()]
    return Plan(
        environment=assembly.environment,
        account=assembly.place.account,
        region=assembly.place.region,
        notes=(*warnings, *_bootstrap(assembly, observed)),
        stacks=tuple(stacks),
        quotas=tuple(quotas.left(granted, assembly.stacks, [one.template for one in gone.values()])),
    )


def _bootstrap(assembly: Assembly, observed: Observed) -> Iterator[str]:
    """What `cdk deploy` would stop at."""
    where = f"{assembly.place.account}/{assembly.place.region}"
    for one in sorted(assembly.bootstraps, key=lambda one: one.parameter):
        command = f"cdk bootstrap aws://{where}"
        if one.qualifier != BOOTSTRAP_QUALIFIER:
            command += f" --qualifier {one.qualifier} --toolkit-stack-name CDKToolkit-{one.qualifier}"
        found = observed.bootstrap_version(one.parameter)
        if found is None:
            yield f"{where} is not bootstrapped, without which nothing is deployed: `{command}`"
        elif found < one.version:
            yield f"the bootstrap of {where} has version {found}, and {one.version} is needed: `{command}`"


def _stack(
    stack: Stack, deployed: DeployedStack | None, gone: Mapping[str, DeployedStack], observed: Observed
) -> StackPlan:
    if deployed is None or deployed.status == FAILED_CREATION:
        notes = (*_failed(deployed), *_taken(stack.template, observed), *_renamed(stack.template, gone))
        return _compared(stack.name, "new", None, stack.template, observed, notes)
    before, after = deployed.template, _as_answered(stack.template, deployed.template)
    notes = tuple(_notes(stack, deployed))
    if before.content == after.content and stack.is_protected == deployed.is_protected:
        return StackPlan(name=stack.name, tenant=_tenant(stack.name), change="unchanged", notes=notes)
    return _compared(
        stack.name, "changed", before, after, observed, (*notes, *_default(before, after), *_sections(before, after))
    )


def _gone(deployed: DeployedStack, observed: Observed) -> StackPlan:
    """A tenant that was renamed or taken out of the file. `cdk deploy` deletes no stack."""
    delete = f"aws cloudformation delete-stack --stack-name {deployed.name}"
    if deployed.is_protected:
        allow = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        delete = f"{allow} --stack-name {deployed.name}` and `{delete}"
    notes = [f"`cdk deploy` leaves it as it is; to delete it, with all that is told here: `{delete}`"]
    outputs = deployed.template.plain(deployed.template.content.get("Outputs", {}))
    if {"DataBucketName", "DataPrefix"} <= set(outputs):
        bucket, prefix = outputs["DataBucketName"]["Value"], outputs["DataPrefix"]["Value"]
        notes.append(f"its data stays in s3://{bucket}/{prefix}/")
    return _compared(deployed.name, "gone", deployed.template, None, observed, tuple(notes))


def _compared(
    name: str,
    change: Any,
    before: Template | None,
    after: Template | None,
    observed: Observed,
    notes: tuple[str, ...],
) -> StackPlan:
    physical_ids = observed.physical_ids(name) if before else {}
    resources, follows = _resources(before, after)
    return StackPlan(
        name=name,
        tenant=_tenant(name),
        change=change,
        notes=notes,
        data=tuple(data_changes.compare(before, after, observed.count)),
        interpreters=tuple(interpreters.compare(before, after, physical_ids, observed.sessions)),
        permissions=tuple(permissions.compare(before, after)),
        resources=tuple(resources),
        follows=tuple(follows),
    )


def _resources(before: Template | None, after: Template | None) -> tuple[list[ResourceChange], list[str]]:
    """Resources of which nothing else tells, and those that only follow others."""
    found: list[ResourceChange] = []
    follows: list[str] = []
    for label, (was, will) in pairs(before, after):
        kind = will.type if will else was.type if was else ""
        if kind in WHOLLY_TOLD_ELSEWHERE:
            continue
        if was is None or will is None or before is None or after is None:
            told = kind == ROLE or (will is None and kind in data_changes.HOLD_DATA)
            if not told:
                found.append(ResourceChange(resource=label, type=kind, change="made" if was is None else "deleted"))
            continue
        differences = of_resource(before, was, after, will)
        rest = [one for one in differences if not _is_told(kind, one)]
        replaced = was.logical_id != will.logical_id or any(one.effect == "replaced" for one in rest)
        if rest or (replaced and kind != ROLE):  # a role that is made anew is told with its permissions
            found.append(
                ResourceChange(
                    resource=label, type=kind, change="replaced" if replaced else "changed", properties=tuple(rest)
                )
            )
        elif (
            not replaced and not differences and (was.properties, was.attributes) != (will.properties, will.attributes)
        ):
            follows.append(label)
    return found, follows


def _is_told(kind: str, change: PropertyChange) -> bool:
    return change.path.partition(".")[0] in TOLD_ELSEWHERE.get(kind, ())


def _notes(stack: Stack, deployed: DeployedStack) -> Iterator[str]:
    if not deployed.status.endswith("_COMPLETE"):
        yield f"its status is {deployed.status}: look at its events before you deploy"
    if stack.is_protected != deployed.is_protected:
        yield f"termination protection is switched {'on' if stack.is_protected else 'off'}"


def _sections(before: Template, after: Template) -> Iterator[str]:
    """What differs beside resources."""
    for section in dict.fromkeys((*after.content, *before.content)):
        was: object = before.plain(before.content.get(section))
        will: object = after.plain(after.content.get(section))
        if section == "Resources" or was == will:
            continue
        old, new = (cast("dict[str, Any]", one) if isinstance(one, dict) else None for one in (was, will))
        if old is not None and new is not None:
            names = [name for name in dict.fromkeys((*new, *old)) if old.get(name) != new.get(name)]
            yield f"{section.lower()}: {', '.join(f'{name} {_how(old, new, name)}' for name in names)}"
        else:
            yield f"{section.lower()}: {text(was) or 'nothing'} → {text(will) or 'nothing'}"


def _how(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    return "is added" if name not in old else "is taken out" if name not in new else "changes"


def _failed(deployed: DeployedStack | None) -> Iterator[str]:
    if deployed is not None:
        yield f"its creation failed ({deployed.status}): `cdk deploy` deletes what is left of it, and makes it anew"


def _taken(template: Template, observed: Observed) -> Iterator[str]:
    """Buckets that an environment before left, since they are retained."""
    for one in template.of_type(BUCKET).values():
        name = one.properties.get("BucketName")
        if isinstance(name, str) and observed.has_bucket(name):
            yield (
                f"bucket {name} is there already, and AWS makes no second one: empty and delete it, or keep the data "
                "bucket for this environment, too, by data_bucket.name"
            )


def _default(before: Template, after: Template) -> Iterator[str]:
    was, will = before.default_interpreter, after.default_interpreter
    if was and will and was != will:
        yield f"requests that name no interpreter run in {will} instead of {was}, since it is the first of the file"


def _renamed(template: Template, gone: Mapping[str, DeployedStack]) -> Iterator[str]:
    """Which gone tenant a new one may have been."""
    mine = _shape(template)
    for name, one in gone.items():
        if mine and _shape(one.template) == mine:
            old, new = _tenant(name), _tenant(template.stack)
            yield (
                f"it has the interpreters of {old}, which is gone: if {old} was renamed, {new} starts with an empty "
                "folder, and what was kept stays in the old one"
            )


def _shape(template: Template) -> dict[str, str]:
    return {key: interpreters.network_of(one) for key, one in template.interpreters.items()}


def _tenant(stack: str) -> str | None:
    found = OURS.fullmatch(stack)
    part = found[2] if found else None
    return None if part in (STORAGE, NETWORK, FLEET) else part


def _as_answered(template: Template, deployed: Template) -> Template:
    """The template as GetTemplate would answer it: CloudFormation keeps ? for each character that is not ASCII.

    https://github.com/aws/aws-cdk-cli, `mangleLikeCloudFormation`. The embedded AWS keeps the characters.
    """
    if not json.dumps(deployed.content, ensure_ascii=False).isascii():
        return template
    answered = NOT_ASCII.sub("?", json.dumps(template.content, ensure_ascii=False))
    return Template(template.stack, json.loads(answered), template.place)
