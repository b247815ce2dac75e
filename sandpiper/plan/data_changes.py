"""Finds the effects of a deployment on data: deleted or retained buckets, keys and log groups, and retention times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.names import TENANTS_PREFIX
from sandpiper.plan.matching import match_resources, property_changes
from sandpiper.plan.model import DataChange
from sandpiper.plan.resource_types import BUCKET, DATA_TYPES, LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.model import Objects
    from sandpiper.plan.template import Resource, Template

    CountObjects = Callable[[str, str, int], Objects | None]
    """Counts the objects of a bucket below a prefix, and those older than a number of days. None: cannot be listed."""
    Lifetimes = Mapping[tuple[str, bool], int]
    """Days until expiration, by prefix and whether they apply to noncurrent versions."""


def compare_data(before: Template | None, after: Template | None, count: CountObjects) -> Iterator[DataChange]:
    """Yields the changes of data that a deployment causes. New resources hold no data and are omitted."""
    for label, (was, now) in match_resources(before, after):
        if was is None or before is None or was.type not in DATA_TYPES:
            continue
        if now is None or after is None:
            yield _removed(label, was, was.deletion_policy)
            continue
        old, new = before.resolve(was.properties), after.resolve(now.properties)
        if was.logical_id != now.logical_id:
            yield _removed(label, was, was.deletion_policy)
        elif any(one.effect == "replaced" for one in property_changes(was.type, old, new)):
            yield _removed(label, was, now.replace_policy)
        else:
            yield from _deletion_policy(label, was, now)
            yield from _retention_times(label, was.type, old, new, count)


def lifetimes(properties: Mapping[str, Any]) -> dict[tuple[str, bool], int]:
    """Returns the days until expiration by prefix and whether they apply to noncurrent versions.

    The shortest of several rules counts, as in S3.
    """
    found: dict[tuple[str, bool], int] = {}
    for rule in properties.get("LifecycleConfiguration", {}).get("Rules", []):
        if rule.get("Status") != "Enabled":
            continue
        expirations = {
            False: rule.get("ExpirationInDays"),
            True: rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        }
        for of_old_versions, days in expirations.items():
            if days is not None:
                key = (str(rule.get("Prefix", "")), of_old_versions)
                found[key] = min(int(days), found.get(key, int(days)))
    return found


def _removed(label: str, was: Resource, policy: str) -> DataChange:
    """Returns the change of a resource that is removed from its stack under a deletion policy."""
    if policy == "Delete":
        return DataChange(resource=label, change="deleted", loses_data=True)
    return DataChange(
        resource=label, change="retained", loses_data=False, after_days=was.properties.get("RetentionInDays")
    )


def _deletion_policy(label: str, was: Resource, now: Resource) -> Iterator[DataChange]:
    if now.deletion_policy == "Delete" and was.deletion_policy != "Delete":
        yield DataChange(resource=label, change="no longer retained", loses_data=False)


def _retention_times(
    label: str, resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any], count: CountObjects
) -> Iterator[DataChange]:
    if resource_type == LOG_GROUP:
        yield from _retention(label, None, False, old.get("RetentionInDays"), new.get("RetentionInDays"), None)
    if resource_type != BUCKET:
        return
    if _is_versioned(old) and not _is_versioned(new):
        yield DataChange(resource=label, change="versions stopped", loses_data=True)
    was, now, bucket = lifetimes(old), lifetimes(new), str(old.get("BucketName"))
    abandoned = _tenant_folders(was) - _tenant_folders(now)
    yield from _abandoned_folders(label, bucket, abandoned, count)
    for folder, of_old_versions in sorted({*was, *now}):
        if any(folder.startswith(one) for one in abandoned):
            continue
        if of_old_versions and not _is_versioned(old):
            continue  # there are none
        before, after = (_lifetime(folder, of_old_versions, one) for one in (was, now))
        objects = count(bucket, folder, after) if before != after and after is not None else None
        if (folder, of_old_versions) not in was and objects is not None and objects.total == 0:
            # The folder of a new tenant, which is still empty.
            yield DataChange(
                resource=label,
                change="retention set",
                loses_data=False,
                folder=folder,
                of_old_versions=of_old_versions,
                after_days=after,
            )
            continue
        yield from _retention(label, folder, of_old_versions, before, after, objects)


def _abandoned_folders(label: str, bucket: str, folders: set[str], count: CountObjects) -> Iterator[DataChange]:
    """Yields folders of removed tenants that are not empty and have no lifecycle rule any longer."""
    for folder in sorted(folders):
        objects = count(bucket, folder, 1)
        if objects is None or objects.total:
            yield DataChange(
                resource=label, change="left without an end", loses_data=False, folder=folder, objects=objects
            )


def _retention(
    label: str,
    folder: str | None,
    of_old_versions: bool,
    before: int | None,
    after: int | None,
    objects: Objects | None,
) -> Iterator[DataChange]:
    if before == after:
        return
    shortened = after is not None and (before is None or after < before)
    yield DataChange(
        resource=label,
        change="retention shortened" if shortened else "retention lengthened",
        loses_data=shortened,
        folder=folder,
        of_old_versions=of_old_versions,
        before_days=before,
        after_days=after,
        objects=None if of_old_versions else objects,
    )


def _tenant_folders(found: Lifetimes) -> set[str]:
    """Returns the folders of tenants, such as `tenants/claims/`, below which current objects expire."""
    parts = [folder.split("/") for folder, of_old_versions in found if not of_old_versions]
    return {f"{TENANTS_PREFIX}/{each[1]}/" for each in parts if each[0] == TENANTS_PREFIX and len(each) > 2}


def _lifetime(folder: str, of_old_versions: bool, found: Lifetimes) -> int | None:
    """Returns the shortest lifetime in days among the rules for a folder and its parents, as S3 uses it."""
    days = [each for (prefix, old), each in found.items() if old == of_old_versions and folder.startswith(prefix)]
    return min(days, default=None)


def _is_versioned(properties: Mapping[str, Any]) -> bool:
    return properties.get("VersioningConfiguration", {}).get("Status") == "Enabled"
