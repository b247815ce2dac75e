"""The workspace of an agent in S3: a flat folder, where the latest file of a name wins and the bucket keeps the others.

Its addresses are `code-interpreter/NAME`; nothing here reads or writes beside that folder.
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
MOST_READ_BYTES = 100 * 1024 * 1024
"""Of a file that is read back into memory."""
MOST_LISTED = 1_000
"""Names in one answer, which is what one call of S3 gives."""


@dataclass(frozen=True)
class Workspace:
    """The folder `code-interpreter/` below `prefix`, which is empty or ends with a slash."""

    s3: S3Client
    bucket: str
    prefix: str = ""

    def save(self, source: str, data: bytes) -> SavedFile:
        """Puts a file of the sandbox, by the last part of its path. Raises StorageError."""
        address = address_of(source)
        target = self._object(address)
        if len(target.key.encode()) > MAX_KEY_BYTES:
            raise StorageError(f"writing {target.uri}: its key is longer than S3's {MAX_KEY_BYTES} bytes")
        sha256 = hashlib.sha256(data).hexdigest()
        with storage_errors("writing", target.uri):
            answer = self.s3.put_object(
                Bucket=target.bucket,
                Key=target.key,
                Body=data,
                ContentType=content_type(address),
                Metadata={SHA256_METADATA: sha256},
            )
        return SavedFile(
            path=address,
            source=source,
            content_type=content_type(address),
            size=len(data),
            sha256=sha256,
            version_id=answer.get("VersionId"),
        )

    def read(self, path: str) -> WorkspaceFile:
        """The latest version of a file, whole. Raises InvalidRequest, PayloadTooLarge, StorageError."""
        source = self._object(_checked(path))
        with storage_errors("reading", source.uri):
            try:
                answer = self.s3.get_object(Bucket=source.bucket, Key=source.key)
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    message = f"path is {path!r}; the workspace has no such file. See workspace_list({FOLDER!r})"
                    raise InvalidRequest(message) from None
                raise
            if answer["ContentLength"] > MOST_READ_BYTES:
                raise PayloadTooLarge(f"{path}: {answer['ContentLength']:,} bytes; allowed: {MOST_READ_BYTES:,}")
            data = answer["Body"].read()
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
        """The files there are. Raises InvalidRequest for another folder than the workspace's, StorageError."""
        if path not in (FOLDER, FOLDER.rstrip("/")):
            raise InvalidRequest(f"path is {path!r}; allowed: {FOLDER!r}, which is flat")
        folder = self._object(FOLDER)
        with storage_errors("listing", folder.uri):
            answer = self.s3.list_objects_v2(Bucket=folder.bucket, Prefix=folder.key, MaxKeys=MOST_LISTED)
        entries = (
            WorkspaceEntry(
                path=found.get("Key", "").removeprefix(self.prefix),
                size=found.get("Size", 0),
                modified=found["LastModified"].isoformat() if "LastModified" in found else "unknown",
            )
            for found in answer.get("Contents", [])
        )
        return WorkspaceListing(files=tuple(entries), more=answer.get("IsTruncated", False))

    def _object(self, address: str) -> S3Object:
        return S3Object(self.bucket, f"{self.prefix}{address}")


def address_of(path: str) -> str:
    """Where a file of the sandbox lies in the workspace, which is flat."""
    return f"{FOLDER}{path.rpartition('/')[2]}"


def _checked(path: object) -> str:
    address = parse_relative_path("path", path)
    if address_of(address) != address:
        raise InvalidRequest(f"path is {address!r}; allowed: {FOLDER}NAME, as the tool that saved the file returned it")
    return address


def uploaded(s3: S3Client, folder: S3Object) -> tuple[InputFile, ...]:
    """The objects below a folder of S3, with its subfolders, as files of a sandbox. Archives stay archives.

    Raises InvalidRequest for a name that a sandbox cannot take, PayloadTooLarge for more than one call carries,
    StorageError.
    """
    files: list[InputFile] = []
    with storage_errors("reading uploads from", folder.uri):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
        found = [item for page in pages for item in page.get("Contents", []) if not item.get("Key", "/").endswith("/")]
        if (size := sum(item.get("Size", 0) for item in found)) > MAX_WRITE_BYTES:
            raise PayloadTooLarge(f"uploads at {folder.uri}: {size:,} bytes; allowed: {MAX_WRITE_BYTES:,} in all")
        for key in (item.get("Key", "") for item in found):
            path = parse_relative_path(
                f"the name of the upload s3://{folder.bucket}/{key}", key.removeprefix(folder.key)
            )
            files.append(InputFile.from_bytes(path, s3.get_object(Bucket=folder.bucket, Key=key)["Body"].read()))
    check_input_paths(tuple(files))
    return tuple(files)
