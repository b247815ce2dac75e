"""What becomes of data: buckets, keys and logs that go or stay, and how long what is in them lives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.names import TENANTS_PREFIX
from sandpiper.plan.model import DataChange
from sandpiper.plan.properties import changes, pairs
from sandpiper.plan.template import BUCKET, KEY, LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.model import Objects
    from sandpiper.plan.template import Resource, Template

    Count = Callable[[str, str, int], Objects | None]
    """Objects of a bucket below a prefix, some of them older than days. None where they cannot be listed."""

HOLD_DATA = (BUCKET, KEY, LOG_GROUP)
"""Types that hold data, or without which data cannot be read."""


def compare(before: Template | None, after: Template | None, count: Count) -> Iterator[DataChange]:
    """What of the data is lost or kept in another way. What is made holds nothing yet."""
    for label, (was, will) in pairs(before, after):
        if was is None or before is None or was.type not in HOLD_DATA:
            continue
        if will is None or after is None:
            yield _left(label, was.deletion)
            continue
        old, new = before.plain(was.properties), after.plain(will.properties)
        if was.logical_id != will.logical_id:
            yield _left(label, was.deletion)
        elif any(one.effect == "replaced" for one in changes(was.type, old, new)):
            yield _left(label, will.replacement)
        else:
            yield from _policies(label, was, will)
            yield from _times(label, was.type, old, new, count)


def _left(label: str, policy: str) -> DataChange:
    """A resource that goes out of its stack."""
    deleted = policy == "Delete"
    return DataChange(resource=label, change="deleted" if deleted else "retained", loses_data=deleted)


def _policies(label: str, was: Resource, will: Resource) -> Iterator[DataChange]:
    if will.deletion == "Delete" and was.deletion != "Delete":
        yield DataChange(resource=label, change="no longer retained", loses_data=False)


def _times(label: str, kind: str, old: Mapping[str, Any], new: Mapping[str, Any], count: Count) -> Iterator[DataChange]:
    if kind == LOG_GROUP:
        yield from _retention(label, None, False, old.get("RetentionInDays"), new.get("RetentionInDays"), None)
    if kind != BUCKET:
        return
    if _is_versioned(old) and not _is_versioned(new):
        yield DataChange(resource=label, change="versions stopped", loses_data=True)
    was, will = lifetimes(old), lifetimes(new)
    abandoned = _folders_of_tenants(was) - _folders_of_tenants(will)
    for folder in sorted(abandoned):
        found = count(str(old.get("BucketName")), folder, 1)
        if found is None or found.total:
            yield DataChange(
                resource=label, change="left without an end", loses_data=False, folder=folder, objects=found
            )
    for folder, of_old_versions in sorted({*was, *will}):
        if any(folder.startswith(each) for each in abandoned):
            continue
        before, after = (_lifetime(folder, of_old_versions, each) for each in (was, will))
        found = None
        if before != after and after is not None:
            found = count(str(old.get("BucketName")), folder, after)
        if (folder, of_old_versions) not in was and found is not None and found.total == 0:
            # Nothing has ever been in it: a folder of somebody new.
            yield DataChange(
                resource=label,
                change="retention set",
                loses_data=False,
                folder=folder,
                of_old_versions=of_old_versions,
                after_days=after,
            )
            continue
        yield from _retention(label, folder, of_old_versions, before, after, found)


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


def _folders_of_tenants(found: Mapping[tuple[str, bool], int]) -> set[str]:
    """Of whose objects some have a lifetime, such as `tenants/claims/`."""
    parts = [folder.split("/") for folder, of_old_versions in found if not of_old_versions]
    return {f"{TENANTS_PREFIX}/{each[1]}/" for each in parts if each[0] == TENANTS_PREFIX and len(each) > 2}


def _lifetime(folder: str, of_old_versions: bool, found: Mapping[tuple[str, bool], int]) -> int | None:
    """Days that objects of a folder live by rules on it and on what it lies in, the shortest of which S3 takes."""
    days = [each for (prefix, old), each in found.items() if old == of_old_versions and folder.startswith(prefix)]
    return min(days, default=None)


def _is_versioned(properties: Mapping[str, Any]) -> bool:
    return properties.get("VersioningConfiguration", {}).get("Status") == "Enabled"


def lifetimes(properties: Mapping[str, Any]) -> dict[tuple[str, bool], int]:
    """Days by folder, and whether they are those of old versions; of several rules the shortest, as S3 has it."""
    found: dict[tuple[str, bool], int] = {}
    for rule in properties.get("LifecycleConfiguration", {}).get("Rules", []):
        if rule.get("Status") != "Enabled":
            continue
        days = {
            False: rule.get("ExpirationInDays"),
            True: rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        }
        for of_old_versions, some in days.items():
            if some is not None:
                place = (str(rule.get("Prefix", "")), of_old_versions)
                found[place] = min(int(some), found.get(place, int(some)))
    return found
