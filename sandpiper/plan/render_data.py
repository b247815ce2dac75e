"""Sentences about data: deletion, retention and expiry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.lines import count_of, human_size

if TYPE_CHECKING:
    from sandpiper.plan.model import DataChange


def data_sentence(change: DataChange) -> str:
    """Returns the sentence for a change."""
    if change.change == "left without an end":
        return _abandoned_folder(change)
    resource = change.resource
    subject = _subject(change)
    return {
        "deleted": f"{resource} is deleted{_consequence(resource)}",
        "retained": f"{resource} is retained: it stays in the account, but no stack manages it any longer"
        f"{_last_events(change)}",
        "retention shortened": f"{subject} {_expiry(change)}{_expired_objects(change)}",
        "retention lengthened": f"{subject} {_expiry(change)}",
        "retention set": f"{subject} {_expiry(change)}; there are none yet",
        "versions stopped": f"{resource} keeps no old versions from now on: overwritten or deleted objects are lost",
        "no longer retained": f"{resource} will be deleted with its stack from now on; until now it was retained",
    }[change.change]


def _subject(change: DataChange) -> str:
    """Returns the subject of a sentence about expiry."""
    if change.folder is None:
        return f"events in {change.resource}"
    objects = "old versions" if change.of_old_versions else "objects"
    return f"{objects} below {change.folder or '/'} of {change.resource}"


def _expiry(change: DataChange) -> str:
    before = "never" if change.before_days is None else count_of(change.before_days, "day")
    if change.after_days is None:
        return f"never expire instead of after {before}"
    after = f"expire after {count_of(change.after_days, 'day')}"
    return after if change.change == "retention set" else f"{after} instead of {before}"


def _expired_objects(change: DataChange) -> str:
    """Returns how many objects are already older than the new retention time."""
    if change.folder is None or change.of_old_versions:
        return ""
    objects = change.objects
    if objects is None:
        return "; the objects cannot be listed, so how many are older is unknown"
    counted = "" if objects.is_all else f" of the first {objects.total:,}"
    size = f" ({human_size(objects.older_bytes)})" if objects.older else ""
    verb = "is older and expires" if objects.older == 1 and objects.is_all else "are older and expire"
    return f"; {objects.older:,}{counted}{size} {verb}"


def _abandoned_folder(change: DataChange) -> str:
    folder = change.folder or ""
    address, tenant = f"s3://{change.resource.removeprefix('bucket ')}/{folder}", folder.split("/")[1]
    return (
        f"the data of tenant {tenant} stays in {address}, and no lifecycle rule deletes it: set "
        f"`data_bucket: {{retention_days: {{removed_tenants: {{{tenant}: DAYS}}}}}}`, or delete it with "
        f"`aws s3 rm --recursive {address}`"
    )


def _last_events(change: DataChange) -> str:
    """Returns when the events of a retained log group expire."""
    return "" if change.after_days is None else f"; its events expire after {count_of(change.after_days, 'day')}"


def _consequence(resource: str) -> str:
    """Returns the consequence of a deletion: CloudFormation deletes only empty buckets, and schedules keys."""
    if resource.startswith("bucket "):
        return ", which fails while the bucket contains objects"
    return ": data that it encrypted can no longer be read" if resource.startswith("key ") else ""
