"""Downloads the files of a run's result into a folder. Untrusted code chose their paths."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from sandpiper.safe_write import write_file
from sandpiper.saved_files import SavedFiles
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class SavedFile:
    """A file of the result.

    Attributes:
        s3_uri: its address; empty when it could not be stored in S3 and is part of the result.
        link: a presigned URL; empty when none was requested.
        saved_to: its path on this machine.
        problem: why it was not saved, with the remedy; None when it was saved.
    """

    name: str
    content_type: str
    size: int
    s3_uri: str
    link: str
    saved_to: Path
    problem: str | None = None


def download_files(
    objects: S3Client,
    result: Mapping[str, Any],
    out: Path,
    progress: Callable[[str], None],
    *,
    overwrite: bool = False,
) -> tuple[list[SavedFile], str | None]:
    """Downloads the files of a result. Returns them, and why the list may be incomplete or None.

    Args:
        objects: client for S3.
        result: the result of a program, as `run-code` returns it.
        out: the folder for the files.
        progress: called with a line about each file.
        overwrite: whether to replace existing files in the folder that no earlier run has saved.
    """
    earlier = SavedFiles.read(out)
    files, problem = _files(objects, result)
    saved = [
        _download(objects, file, earlier, overwrite=overwrite, progress=progress, position=f"{number} of {len(files)}")
        for number, file in enumerate(files, 1)
    ]
    return saved, problem


def save_object(objects: S3Client, source: S3Object, out: Path, content_type: str, *, overwrite: bool) -> SavedFile:
    """Saves an object in a folder, with the rules for existing files of `download_files`.

    Args:
        objects: client for S3.
        source: the object.
        out: the folder.
        content_type: the type of its content.
        overwrite: whether to replace an existing file that no earlier run has saved.
    """
    path, size, problem = source.key.rpartition("/")[2], 0, None
    earlier, target = SavedFiles.read(out), out / path
    try:
        with tempfile.TemporaryFile() as content:  # its hash, which the rules need, is not known before
            objects.download_fileobj(source.bucket, source.key, content)
            size = content.tell()
            content.seek(0)
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            content.seek(0)
            may_replace = overwrite or earlier.may_replace(path, sha256)
            if write_file(out, path, sha256, lambda saved: shutil.copyfileobj(content, saved), overwrite=may_replace):
                earlier.add(path, sha256)
            else:
                problem = _exists(target)
    except OSError as error:
        problem = _not_writable(target, error)
    except (BotoCoreError, ClientError, RetriesExceededError) as error:
        problem = f"{source.uri} cannot be downloaded: {error}"
    return SavedFile(path, content_type, size, source.uri, "", target, problem)


def _exists(target: Path) -> str:
    return f"{target} exists already: choose another folder with --out, or add --overwrite"


def _not_writable(target: Path, error: OSError) -> str:
    return f"{target} cannot be written: {error.strerror}; choose another folder with --out"


def _files(objects: S3Client, result: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], str | None]:
    """Returns the files of a result, from its manifest if it has one, and why the manifest cannot be read."""
    if "manifestUri" not in result:
        return result["files"], None
    try:
        source = S3Object.parse("manifestUri", result["manifestUri"])
        response = objects.get_object(Bucket=source.bucket, Key=source.key)
        return json.loads(response["Body"].read())["files"], None
    except (InvalidRequest, BotoCoreError, ClientError, ValueError) as error:
        return result["files"], f"the list of all files, {result['manifestUri']}, cannot be read: {error}"


def _download(
    objects: S3Client,
    file: Mapping[str, Any],
    earlier: SavedFiles,
    *,
    overwrite: bool,
    progress: Callable[[str], None],
    position: str,
) -> SavedFile:
    """Writes one file into the folder. Untrusted code chose its path, so the path is validated again."""
    out = earlier.folder
    target, problem = out, None
    received, size = 0, int(file["size"])

    def report(count: int) -> None:
        nonlocal received
        received += count
        progress(f"saving file {position}, {received:,} of {size:,} bytes")

    def fill(saved: IO[bytes]) -> None:
        report(0)
        if "s3Uri" not in file:  # it could not be stored in S3, so the result contains it
            saved.write(base64.b64decode(file["base64"]))
            return
        source = S3Object.parse("s3Uri", file["s3Uri"])
        objects.download_fileobj(source.bucket, source.key, saved, Callback=report)

    try:
        path = parse_relative_path("path", file["path"])
        target = out / path
        sha256 = file["sha256"]
        if write_file(out, path, sha256, fill, overwrite=overwrite or earlier.may_replace(path, sha256)):
            earlier.add(path, sha256)
        else:
            problem = _exists(target)
    except OSError as error:
        problem = _not_writable(target, error)
    except (InvalidRequest, BotoCoreError, ClientError, RetriesExceededError) as error:
        problem = f"{file.get('s3Uri', file['path'])} cannot be downloaded: {error}"
    return SavedFile(
        file["path"], file["contentType"], size, file.get("s3Uri", ""), file.get("link", ""), target, problem
    )
