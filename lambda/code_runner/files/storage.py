"""The part of the data bucket that one run uses: its inputs, its outputs and its artifacts."""

from __future__ import annotations

import base64
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.agentcore.service_errors import AWS_ERRORS, error_code, storage_errors
from code_runner.files.content_types import content_type
from code_runner.files.multipart_upload import multipart_upload
from code_runner.files.presigned_urls import get_url, put_url
from code_runner.files.s3_objects import SHA256_METADATA, StoredObject, has_content
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, StorageError
from sandpiper_contract.files import MAX_FILE_BYTES, OutputFile
from sandpiper_contract.program_source import decode_program
from sandpiper_contract.s3_objects import S3Object, S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client

    from code_runner.agentcore.deadline import Deadline

log = logging.getLogger(__name__)

MAX_CODE_BYTES = 10 * 1024 * 1024
"""Maximum size of a program in S3."""
MIN_PUT_SECONDS = 5
"""No further object is written when less time remains."""
HEAD_ERRORS = {
    "404": "the object or the bucket does not exist; create the object or correct the URI",
    "403": "the object does not exist or this role cannot read it; create the object, correct the URI, or grant the "
    "role s3:GetObject",
}
"""Messages for the errors of HeadObject. Without ListBucket permission, S3 returns 403 for a missing object."""
MAX_KEY_BYTES = 1_024
"""S3's limit for a key."""
MAX_FOLDER_OBJECTS = 1_000
"""Maximum number of objects in an input folder: the size of one page of a listing."""


@dataclass(frozen=True, eq=False, repr=False)
class Storage:
    """Reads inputs and writes outputs.

    Attributes:
        s3: Client for S3.
        inputs: The folder that inputs may be read from, without a slash at its end.
        run: The folder that the run writes to, without a slash at its end.

    Example:
        >>> storage = Storage(AwsClients().s3, S3Object("my-bucket", "inputs"), S3Object("my-bucket", "runs/1"))
    """

    s3: S3Client
    inputs: S3Object
    run: S3Object

    def __post_init__(self) -> None:
        """Validates the addresses before anything is sent. Raises InvalidRequest."""
        S3Uri().validate("inputs", self.inputs)
        S3Uri().validate("run", self.run)

    def read_code(self, source: S3Object, language: str = "python") -> str:
        """Reads a program from the input folder. Raises InvalidRequest, PayloadTooLarge or StorageError."""
        data = self.read_input("codeS3Uri", source, MAX_CODE_BYTES)
        return decode_program(f"codeS3Uri {source.uri}", data, language)

    def read_input(self, location: str, source: S3Object, max_bytes: int) -> bytes:
        """Reads a whole object from the input folder.

        Args:
            location: The field that names the object, for error messages.
            source: The object.
            max_bytes: Its maximum size in bytes.

        Raises:
            InvalidRequest: The object is outside the input folder.
            PayloadTooLarge: The object is too large.
            StorageError: S3 failed.
        """
        stored = self.head_input(location, source, max_bytes)
        return self.read_range(stored, 0, stored.size)

    def head_input(self, location: str, source: S3Object, max_bytes: int = MAX_FILE_BYTES) -> StoredObject:
        """Returns size and ETag of an object in the input folder. Arguments and errors are those of `read_input`."""
        self.require_input_uri(location, source)
        with storage_errors(f"{location}: reading", source.uri):
            try:
                response = self.s3.head_object(Bucket=source.bucket, Key=source.key)
            except ClientError as error:
                if error_code(error) not in HEAD_ERRORS:
                    raise
                raise StorageError(f"{location} {source.uri}: {HEAD_ERRORS[error_code(error)]}") from error
        if (size := response["ContentLength"]) > max_bytes:
            raise PayloadTooLarge(f"{location} {source.uri}: {size:,} bytes; allowed: {max_bytes:,}")
        return StoredObject(source, size, response["ETag"])

    def list_inputs(self, location: str, folder: S3Object) -> list[StoredObject]:
        """Lists the objects in a folder below the input folder. Raises the errors of `read_input`.

        Args:
            location: The field that names the folder, for error messages.
            folder: The folder, with a slash at its end.
        """
        self.require_input_uri(location, folder)
        with storage_errors(f"{location}: listing", folder.uri):
            response = self.s3.list_objects_v2(Bucket=folder.bucket, Prefix=folder.key, MaxKeys=MAX_FOLDER_OBJECTS)
        # The S3 console creates an empty object whose key ends with a slash for each folder.
        objects = [
            StoredObject(S3Object(folder.bucket, entry.get("Key", "")), entry.get("Size", 0), entry.get("ETag", ""))
            for entry in response.get("Contents", [])
            if entry.get("Size") or not entry.get("Key", "").endswith("/")
        ]
        if response["IsTruncated"] or not objects:
            number = f"more than {MAX_FOLDER_OBJECTS:,}" if response["IsTruncated"] else "none"
            raise InvalidRequest(f"{location} {folder.uri}: {number}; allowed: 1 to {MAX_FOLDER_OBJECTS:,} objects")
        for stored in objects:
            if stored.size > MAX_FILE_BYTES:
                uri = stored.address.uri
                raise PayloadTooLarge(f"{location} {uri}: {stored.size:,} bytes; allowed: {MAX_FILE_BYTES:,}")
        return objects

    def read_range(self, stored: StoredObject, start: int, end: int) -> bytes:
        """Returns the bytes from `start` up to, but not including, `end`.

        Raises:
            StorageError: S3 failed or the object has changed.
        """
        if start == end:
            return b""
        address = stored.address
        with storage_errors("reading", address.uri):
            response = self.s3.get_object(
                Bucket=address.bucket, Key=address.key, IfMatch=stored.etag, Range=f"bytes={start}-{end - 1}"
            )
            return response["Body"].read()

    def require_input_uri(self, location: str, source: S3Object) -> None:
        """Raises InvalidRequest if an object is outside of the input folder."""
        allowed = f"{self.inputs.uri}/"
        if not source.uri.startswith(allowed):
            raise InvalidRequest(f"{location} is {source.uri!r}; allowed: objects below {allowed}")

    def put_output(
        self, path: str, data: bytes, sha256: str, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """Writes a file that the program created.

        Args:
            path: Its path in the sandbox.
            data: Its content.
            sha256: Its digest in hexadecimal.
            deadline: The deadline of the run.
            link_seconds: Lifetime of a presigned link to the object; None for no link.

        Raises:
            StorageError: S3 failed.
            DeadlineExceeded: Not enough time is left.
        """
        deadline.require(MIN_PUT_SECONDS, f"writing {path}")
        target = self._target(f"files/{path}")
        with storage_errors("writing", target.uri):
            try:
                self.s3.put_object(
                    Bucket=target.bucket,
                    Key=target.key,
                    Body=data,
                    ContentType=content_type(path),
                    ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                    Metadata={SHA256_METADATA: sha256},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error_code(error) != "PreconditionFailed" or not has_content(self.s3, target, len(data), sha256):
                    raise
        return self.output_file(path, len(data), sha256, link_seconds)

    def put_output_chunks(
        self, path: str, chunks: Iterable[bytes], sha256: str, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """Writes a file from chunks of at least 5 MiB, except the last; otherwise like `put_output`.

        If a chunk raises an error, no object is created.
        """
        deadline.require(MIN_PUT_SECONDS, f"writing {path}")
        target = self._target(f"files/{path}")
        upload = multipart_upload(self.s3, target, sha256, content_type(path))
        with storage_errors("writing", target.uri), upload as parts:
            for chunk in chunks:
                deadline.require(MIN_PUT_SECONDS, f"writing {path}")
                parts.put(chunk)
        return self.output_file(path, parts.size, sha256, link_seconds)

    def put_url(self, path: str, size: int, sha256: str, seconds: float) -> str:
        """Returns a presigned URL with which a sandbox can store exactly this file, once. Raises StorageError."""
        target = self._target(f"files/{path}")
        with storage_errors("signing a URL for", target.uri):
            return put_url(self.s3, target, path, size, sha256, seconds)

    def get_url(self, stored: StoredObject, seconds: float) -> str:
        """Returns a presigned URL with which a sandbox can read this input. Raises StorageError."""
        with storage_errors("signing a URL for", stored.address.uri):
            return get_url(self.s3, stored, seconds)

    def has_output(self, path: str, size: int, sha256: str) -> bool:
        """Returns whether S3 has a file of the run with this content, by the checksum that S3 verified."""
        target = self._target(f"files/{path}")
        try:
            return has_content(self.s3, target, size, sha256)
        except AWS_ERRORS as error:
            log.warning("%s: %s", target.uri, error)
            return False

    def output_file(self, path: str, size: int, sha256: str, link_seconds: int | None) -> OutputFile:
        """Returns the output file for an object that was written or that `has_output` found."""
        target = self._target(f"files/{path}")
        return OutputFile(
            path=path,
            name=path.rpartition("/")[2],
            content_type=content_type(path),
            size=size,
            sha256=sha256,
            s3_uri=target,
            link=None if link_seconds is None else self.link(target, link_seconds),
        )

    def put_run_artifact(self, name: str, text: str) -> S3Object | None:
        """Writes a text to the run's folder and returns its address, or None when S3 failed."""
        target = self._target(name)
        try:
            with storage_errors("writing", target.uri):
                self.s3.put_object(
                    Bucket=target.bucket,
                    Key=target.key,
                    Body=text.encode("utf-8", "backslashreplace"),
                    ContentType=content_type(name),
                )
        except StorageError as error:
            log.warning("%s", error)
            return None
        return target

    def _target(self, path: str) -> S3Object:
        target = S3Object(self.run.bucket, f"{self.run.key}/{path}")
        if len(target.key.encode()) > MAX_KEY_BYTES:
            raise StorageError(f"writing {target.uri}: the key is longer than {MAX_KEY_BYTES} bytes, S3's limit")
        return target

    def link(self, target: S3Object, seconds: int) -> str:
        """Returns a presigned URL, with which anyone can download the object for this many seconds."""
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": target.bucket, "Key": target.key}, ExpiresIn=seconds
        )


def inline_file(path: str, data: bytes, sha256: str) -> OutputFile:
    """Returns an output file whose content is in the result."""
    return OutputFile(
        path=path,
        name=path.rpartition("/")[2],
        content_type=content_type(path),
        size=len(data),
        sha256=sha256,
        base64=data,
    )
