"""The notes of a plan: required steps before a deployment, and resources that a deployment leaves unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sandpiper.plan.assembly import tenant_of
from sandpiper.plan.interpreters import network_mode
from sandpiper.plan.matching import to_text
from sandpiper.plan.resource_types import BUCKET
from sandpiper_contract.aws import BOOTSTRAP_QUALIFIER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.assembly import Assembly, Stack
    from sandpiper.plan.deployed import DeployedStack
    from sandpiper.plan.template import Template


def error_notes(assembly: Assembly) -> Iterator[str]:
    """Yields why `cdk deploy` refuses stacks, such as a permission that has expired."""
    for name, stack in assembly.stacks.items():
        yield from (f"{name} cannot be deployed: {error}" for error in stack.errors)


def bootstrap_notes(assembly: Assembly, bootstrap_version: Callable[[str], int | None]) -> Iterator[str]:
    """Yields the `cdk bootstrap` commands without which `cdk deploy` fails."""
    target = f"{assembly.target.account}/{assembly.target.region}"
    for bootstrap in sorted(assembly.bootstraps, key=lambda one: one.parameter):
        command = f"cdk bootstrap aws://{target}"
        if bootstrap.qualifier != BOOTSTRAP_QUALIFIER:
            toolkit = f"CDKToolkit-{bootstrap.qualifier}"
            command += f" --qualifier {bootstrap.qualifier} --toolkit-stack-name {toolkit}"
        version = bootstrap_version(bootstrap.parameter)
        if version is None:
            yield f"{target} is not bootstrapped, so nothing can be deployed: run `{command}`"
        elif version < bootstrap.version:
            yield (
                f"the bootstrap stack of {target} has version {version}, but version {bootstrap.version} is required: "
                f"run `{command}`"
            )


def new_stack_notes(
    template: Template,
    deployed: DeployedStack | None,
    removed: Mapping[str, DeployedStack],
    has_bucket: Callable[[str], bool],
) -> Iterator[str]:
    """Yields the notes of a stack that will be created; `deployed` is a stack whose creation failed."""
    if deployed is not None:
        yield (f"its creation failed ({deployed.status}): `cdk deploy` deletes its remains and creates it again")
    yield from _existing_buckets(template, has_bucket)
    yield from _renamed_tenants(template, removed)


def changed_stack_notes(before: Template, after: Template) -> Iterator[str]:
    """Yields the notes of a stack whose template changes."""
    yield from _default_interpreter(before, after)
    yield from _sections(before, after)


def existing_stack_notes(stack: Stack, deployed: DeployedStack) -> Iterator[str]:
    """Yields the notes of a stack that is deployed and stays in the environment."""
    if not deployed.status.endswith("_COMPLETE"):
        yield f"its status is {deployed.status}: check its events before you deploy"
    if stack.is_protected != deployed.is_protected:
        yield f"termination protection is turned {'on' if stack.is_protected else 'off'}"


def removed_stack_notes(deployed: DeployedStack) -> Iterator[str]:
    """Yields how to delete a stack that the environment no longer has, and where its data is."""
    delete = f"aws cloudformation delete-stack --stack-name {deployed.name}"
    if deployed.is_protected:
        allow = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        delete = f"{allow} --stack-name {deployed.name}` and `{delete}"
    yield f"to delete this stack, with everything that is listed here, run `{delete}`"
    outputs = deployed.template.resolve(deployed.template.content.get("Outputs", {}))
    if {"DataBucketName", "DataPrefix"} <= set(outputs):
        bucket, prefix = outputs["DataBucketName"]["Value"], outputs["DataPrefix"]["Value"]
        yield f"its data stays in s3://{bucket}/{prefix}/"


def _existing_buckets(template: Template, has_bucket: Callable[[str], bool]) -> Iterator[str]:
    """Yields the buckets to create that already exist, such as those that an earlier environment retained."""
    for one in template.of_type(BUCKET).values():
        name = one.properties.get("BucketName")
        if isinstance(name, str) and has_bucket(name):
            yield (
                f"bucket {name} exists already, so the deployment will fail: empty and delete it, or set "
                "data_bucket.name to keep it as the data bucket of this environment"
            )


def _renamed_tenants(template: Template, removed: Mapping[str, DeployedStack]) -> Iterator[str]:
    """Yields the removed tenants that have the same interpreters as a new one."""
    networks = _networks(template)
    for name, stack in removed.items():
        if networks and _networks(stack.template) == networks:
            old, new = tenant_of(name), tenant_of(template.stack)
            yield (
                f"it has the interpreters of the removed tenant {old}: if {old} was renamed, {new} starts with an "
                f"empty folder, and existing data stays in the folder of {old}"
            )


def _networks(template: Template) -> dict[str, str]:
    return {key: network_mode(one) for key, one in template.interpreters.items()}


def _default_interpreter(before: Template, after: Template) -> Iterator[str]:
    was, now = before.default_interpreter, after.default_interpreter
    if was and now and was != now:
        yield f"requests without an interpreter run in {now} instead of {was}, because {now} is the first in the file"


def _sections(before: Template, after: Template) -> Iterator[str]:
    """Yields the differences of the sections other than resources."""
    for section in dict.fromkeys((*after.content, *before.content)):
        was: object = before.resolve(before.content.get(section))
        now: object = after.resolve(after.content.get(section))
        if section == "Resources" or was == now:
            continue
        old, new = (cast("dict[str, Any]", one) if isinstance(one, dict) else None for one in (was, now))
        if old is not None and new is not None:
            names = [name for name in dict.fromkeys((*new, *old)) if old.get(name) != new.get(name)]
            yield f"{section.lower()}: {', '.join(f'{name} {_verb(old, new, name)}' for name in names)}"
        else:
            yield f"{section.lower()}: {to_text(was) or 'not set'} → {to_text(now) or 'not set'}"


def _verb(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    return "is added" if name not in old else "is removed" if name not in new else "changes"
