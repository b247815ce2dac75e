"""The items of a batch, in a file of this machine or in S3.

A local file is validated before it is uploaded, with the same parsers that the workflow uses, so that an invalid line
costs no execution.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from code_runner.batches.item_formats import CHUNK_BYTES, PARSERS
from sandpiper.aws_errors import error_code
from sandpiper.errors import CliError
from sandpiper_contract.batches import ITEM_FORMATS, MAX_ITEMS
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from sandpiper.deployment import Deployment

S3 = "s3://"
PREFIX = "s3-prefix"
FORMATS = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
"""Formats by the suffix of the file or object."""
MISSING_CODES = ("404", "NoSuchKey", "NoSuchBucket")
PROGRESS_INTERVAL_ITEMS = 10_000


@dataclass(frozen=True)
class ItemsSource:
    """Where the items of a batch are.

    Attributes:
        source: the path of a file, or the S3 URI of an object or of a folder, which ends with a slash.
        format: one of the contract's formats.
    """

    source: str
    format: str

    @property
    def is_local(self) -> bool:
        """Whether the items are in a file of this machine."""
        return not self.source.startswith(S3)


def items_source(source: str, item_format: str | None) -> ItemsSource:
    """Returns the source with its format. Nothing is read.

    Args:
        source: a file, or an S3 URI.
        item_format: the format. Default: by the suffix; for a folder in S3, its objects are the items.

    Raises:
        CliError: The format is unknown, or is not one of the source.
    """
    if item_format is not None and item_format not in ITEM_FORMATS:
        raise CliError(f"--batch-format is {item_format!r}; allowed: {' | '.join(ITEM_FORMATS)}")
    is_folder = source.startswith(S3) and source.endswith("/")
    if not source.startswith(S3) and Path(source).is_dir():
        raise CliError(
            f"--batch {source} is a folder; allowed: a file. For the files of a folder, upload them below the tenant's "
            "inputs with `aws s3 cp --recursive`, and use s3://BUCKET/FOLDER/"
        )
    used = item_format or (PREFIX if is_folder else FORMATS.get(Path(source).suffix.lower()))
    if used is None:
        suffixes = " | ".join(FORMATS)
        raise CliError(
            f"--batch {source}: the format is unknown; allowed: {suffixes}, s3://BUCKET/FOLDER/, or --batch-format "
            f"{' | '.join(ITEM_FORMATS)}"
        )
    found = ItemsSource(source, used)
    if found.is_local and used not in PARSERS:
        raise CliError(
            f"--batch {source} is a local file, and --batch-format is {used}; allowed: {' | '.join(PARSERS)}, or an S3 "
            "object or folder"
        )
    if is_folder is not (used == PREFIX):
        raise CliError(
            f"--batch {source} is {'a folder' if is_folder else 'an object'}, and the format is {used}; allowed: "
            f"s3://BUCKET/FOLDER/ with {PREFIX}, and other formats with an object"
        )
    return found


def count_items(
    items: ItemsSource,
    progress: Callable[[str], None],
    check: Callable[[str, str], None] = lambda _place, _text: None,
) -> int:
    """Validates the items of a local file, and returns their number.

    Args:
        items: a local source.
        progress: called with a line about how many were read.
        check: called with the place and the JSON text of each item. Raises InvalidRequest for an invalid one.

    Raises:
        CliError: The file cannot be read, has no items or too many, or an item is invalid. The message has its line.
    """
    subject, count = f"--batch {items.source}", 0
    try:
        for count, (place, text) in enumerate(PARSERS[items.format](_chunks(Path(items.source))), 1):
            if count > MAX_ITEMS:
                raise CliError(f"{subject} has more than {MAX_ITEMS:,} items; allowed: 1 to {MAX_ITEMS:,}")
            check(place, text)
            if count % PROGRESS_INTERVAL_ITEMS == 0:
                progress(f"reading the items, {count:,} so far")
    except InvalidRequest as error:
        raise CliError(f"{subject}: {error}") from None
    except OSError as error:
        raise CliError(f"{subject}: {error.strerror}; allowed: a file with {' | '.join(PARSERS)}") from None
    if count == 0:
        raise CliError(f"{subject} has no items; allowed: 1 to {MAX_ITEMS:,}, as {items.format}")
    return count


def place_items(
    session: boto3.Session, deployment: Deployment, items: ItemsSource, progress: Callable[[str], None]
) -> dict[str, str]:
    """Uploads a local file, or checks that the object or folder in S3 can be used. Returns the items of a request.

    Raises:
        CliError: The upload failed, the object does not exist, the folder is empty, or it is not in the tenant's
            inputs.
    """
    inputs = f"{S3}{deployment.bucket}/{deployment.prefix}/{INPUTS}/"
    if not items.is_local:
        _require_input(session, items.source, inputs)
        return {"location": items.source, "format": items.format}
    location, size, sent = f"{inputs}{uuid.uuid4()}-items.{items.format}", Path(items.source).stat().st_size, 0

    def report(count: int) -> None:
        nonlocal sent
        sent += count
        progress(f"uploading {items.source}, {sent:,} of {size:,} bytes")

    report(0)
    target = S3Object.parse("--batch", location)
    try:
        session.client("s3").upload_file(items.source, target.bucket, target.key, Callback=report)
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise CliError(f"--batch {items.source}: {location} cannot be written: {error}") from None
    return {"location": location, "format": items.format}


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK_BYTES):
            yield chunk


def _require_input(session: boto3.Session, location: str, inputs: str) -> None:
    """Raises CliError if an object or folder certainly cannot be used. Without permission to look, the workflow does.

    Without ListBucket permission, S3 returns 403 for a missing object.
    """
    try:
        address = S3Object.parse("--batch", location)
    except InvalidRequest as error:
        raise CliError(str(error)) from None
    if not location.startswith(inputs):
        raise CliError(f"--batch {location} is another location; allowed: objects and folders below {inputs}")
    s3 = session.client("s3")
    try:
        if not location.endswith("/"):
            s3.head_object(Bucket=address.bucket, Key=address.key)
        elif not s3.list_objects_v2(Bucket=address.bucket, Prefix=address.key, MaxKeys=1).get("Contents"):
            raise CliError(f"--batch {location} has no objects; allowed: a folder with 1 to {MAX_ITEMS:,} objects")
    except ClientError as error:
        if error_code(error) in MISSING_CODES:
            raise CliError(f"--batch {location} does not exist; allowed: an object below {inputs}") from None
    except BotoCoreError as error:
        raise CliError(f"AWS cannot be reached: {error}") from None
