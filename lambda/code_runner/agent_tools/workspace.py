"""The workspace of an agent: the flat folder `code-interpreter/` in S3.

Saving a file replaces an earlier file of the same name. A bucket with versioning keeps the earlier versions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.agent_tools.results import SavedFile, WorkspaceEntry, WorkspaceFile, WorkspaceListing, content
from code_runner.agentcore.limits import MAX_WRITE_BYTES
from code_runner.agentcore.service_errors import error_code, storage_errors
from code_runner.files.content_types import content_type
from code_runner.files.storage import MAX_KEY_BYTES, SHA256_METADATA
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, StorageError
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.files import InputFile, check_input_paths
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "code-interpreter/"
MAX_READ_BYTES = 100 * 1024 * 1024
"""Maximum size of a file that is read into memory: 100 MiB."""
MAX_LISTED_FILES = 1_000
"""Maximum number of files in one listing, which is the size of a page in S3."""


@dataclass(frozen=True)
class Workspace:
    """The folder `code-interpreter/` below `prefix`, which is empty or ends with a slash.

    Example:
        >>> Workspace(s3, "agent-files").save("out/chart.png", data).path
        'code-interpreter/chart.png'
    """

    s3: S3Client
    bucket: str
    prefix: str = ""

    def save(self, source: str, data: bytes) -> SavedFile:
        """Saves a file of the sandbox under the last part of its path. Raises StorageError."""
        path = workspace_path(source)
        target = self._object(path)
        if len(target.key.encode()) > MAX_KEY_BYTES:
            raise StorageError(f"writing {target.uri}: the key is too long; allowed: at most {MAX_KEY_BYTES} bytes")
        sha256 = hashlib.sha256(data).hexdigest()
        with storage_errors("writing", target.uri):
            response = self.s3.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=data,
                ContentType=content_type(path),
                Metadata={SHA256_METADATA: sha256},
            )
        return SavedFile(
            path=path,
            source=source,
            content_type=content_type(path),
            size=len(data),
            sha256=sha256,
            version_id=response.get("VersionId"),
        )

    def read(self, path: str) -> WorkspaceFile:
        """Returns the latest version of a file. Raises InvalidRequest, PayloadTooLarge, StorageError."""
        source = self._object(_validate(path))
        with storage_errors("reading", source.uri):
            try:
                response = self.s3.get_object(Bucket=source.bucket, Key=source.key)
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    problem = f"path is {path!r}, which is not in the workspace"
                    raise InvalidRequest(f"{problem}; allowed: a saved file. See workspace_list({FOLDER!r})") from None
                raise
            if response["ContentLength"] > MAX_READ_BYTES:
                raise PayloadTooLarge(f"{path}: {response['ContentLength']:,} bytes; allowed: {MAX_READ_BYTES:,}")
            data = response["Body"].read()
        text, base64 = content(data)
        return WorkspaceFile(
            path=path,
            content_type=content_type(path),
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            text=text,
            base64=base64,
        )

    def list(self, path: str) -> WorkspaceListing:
        """Returns the files of the workspace. Raises InvalidRequest for any other folder, StorageError."""
        if path not in (FOLDER, FOLDER.rstrip("/")):
            raise InvalidRequest(f"path is {path!r}; allowed: {FOLDER!r}, which has no subfolders")
        folder = self._object(FOLDER)
        with storage_errors("listing", folder.uri):
            response = self.s3.list_objects_v2(Bucket=folder.bucket, Prefix=folder.key, MaxKeys=MAX_LISTED_FILES)
        entries = (
            WorkspaceEntry(
                path=item.get("Key", "").removeprefix(self.prefix),
                size=item.get("Size", 0),
                modified=item["LastModified"].isoformat() if "LastModified" in item else "unknown",
            )
            for item in response.get("Contents", [])
        )
        return WorkspaceListing(files=tuple(entries), more=response.get("IsTruncated", False))

    def _object(self, path: str) -> S3Object:
        return S3Object(self.bucket, f"{self.prefix}{path}")


def workspace_path(path: str) -> str:
    """Returns the path in the workspace of a file of the sandbox: its folders are dropped."""
    return f"{FOLDER}{path.rpartition('/')[2]}"


def _validate(path: object) -> str:
    validated = parse_relative_path("path", path)
    if workspace_path(validated) != validated:
        raise InvalidRequest(f"path is {validated!r}; allowed: {FOLDER}NAME, as returned when the file was saved")
    return validated


def download_uploads(s3: S3Client, folder: S3Object) -> tuple[InputFile, ...]:
    """Returns the objects below an S3 folder, with its subfolders, as files of a sandbox. Archives are not unpacked.

    Raises:
        InvalidRequest: The name of an object is not a valid path in a sandbox.
        PayloadTooLarge: The objects exceed the size limit of a call in total.
        StorageError: S3 did not return the objects.
    """
    files: list[InputFile] = []
    with storage_errors("reading uploads from", folder.uri):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
        objects = [
            item for page in pages for item in page.get("Contents", []) if not item.get("Key", "/").endswith("/")
        ]
        if (size := sum(item.get("Size", 0) for item in objects)) > MAX_WRITE_BYTES:
            raise PayloadTooLarge(f"uploads at {folder.uri}: {size:,} bytes; allowed: {MAX_WRITE_BYTES:,} in total")
        for key in (item.get("Key", "") for item in objects):
            path = parse_relative_path(
                f"the name of the upload s3://{folder.bucket}/{key}", key.removeprefix(folder.key)
            )
            files.append(InputFile.from_bytes(path, s3.get_object(Bucket=folder.bucket, Key=key)["Body"].read()))
    check_input_paths(tuple(files))
    return tuple(files)
