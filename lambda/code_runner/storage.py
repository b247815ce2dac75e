"""The part of the bucket that one run reads and writes: its inputs, what it left, and what is told about it."""

from __future__ import annotations

import logging
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.service_errors import storage_errors
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, StorageError
from sandpiper_contract.files import OutputFile
from sandpiper_contract.kinds import S3Object

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from code_runner.deadline import Deadline

log = logging.getLogger(__name__)

MOST_CODE_BYTES = 10 * 1024 * 1024
"""Of a program that is read from S3."""
PUT_SECONDS = 5
"""With less time than this no further object is written."""
MOST_KEY_BYTES = 1_024
"""S3's own limit."""
SHA256_METADATA = "sha256"


@dataclass(frozen=True)
class Storage:
    """`inputs` and `run` are folders without a slash at their end: what may be read, and where the run writes."""

    s3: S3Client
    inputs: S3Object
    run: S3Object

    def program(self, source: S3Object) -> str:
        """A program that lies in S3. Raises InvalidRequest, PayloadTooLarge, StorageError."""
        data = self.get("codeS3Uri", source, MOST_CODE_BYTES)
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"codeS3Uri {source.uri}: not UTF-8 at byte {error.start}") from None

    def get(self, field: str, source: S3Object, most_bytes: int) -> bytes:
        """An object of the folder of inputs, whole. `field` is where the request names it.

        Raises InvalidRequest for one that lies elsewhere, PayloadTooLarge for a longer one, StorageError.
        """
        self.require_input(field, source)
        # Without leave to list, S3 answers AccessDenied for an object that is not there.
        with storage_errors("reading, where it may be missing,", source.uri):
            answer = self.s3.get_object(Bucket=source.bucket, Key=source.key)
            if answer["ContentLength"] > most_bytes:
                size = answer["ContentLength"]
                raise PayloadTooLarge(f"{field} {source.uri}: {size:,} bytes; allowed: {most_bytes:,}")
            return answer["Body"].read()

    def require_input(self, field: str, source: S3Object) -> None:
        """Raises InvalidRequest for an object, or a prefix, outside the folder of inputs."""
        allowed = f"{self.inputs.uri}/"
        if not source.uri.startswith(allowed):
            raise InvalidRequest(f"{field} is {source.uri!r}; allowed: what lies below {allowed}")

    def keep(self, path: str, data: bytes, sha256: str, deadline: Deadline, link_seconds: int | None) -> OutputFile:
        """Puts a file of the program's. Raises StorageError, or DeadlineExceeded when there is no time for it."""
        deadline.require(PUT_SECONDS, f"writing {path}")
        target = self._target(f"files/{path}")
        with storage_errors("writing", target.uri):
            try:
                self.s3.put_object(
                    Bucket=target.bucket,
                    Key=target.key,
                    Body=data,
                    ContentType=content_type(path),
                    Metadata={SHA256_METADATA: sha256},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") != "PreconditionFailed" or not self._is(target, sha256):
                    raise
        return self.kept(path, len(data), sha256, target, link_seconds)

    def kept(self, path: str, size: int, sha256: str, target: S3Object, link_seconds: int | None) -> OutputFile:
        """What the result says of a file that lies in S3."""
        return OutputFile(
            path=path,
            name=path.rpartition("/")[2],
            content_type=content_type(path),
            size=size,
            sha256=sha256,
            s3_uri=target,
            link=None if link_seconds is None else self._link(target, link_seconds),
        )

    def keep_own(self, name: str, text: str) -> S3Object | None:
        """Puts a text about the run beside its files and returns its address, or None when S3 does not take it."""
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
        if len(target.key.encode()) > MOST_KEY_BYTES:
            raise StorageError(f"writing {target.uri}: its key is longer than S3's {MOST_KEY_BYTES} bytes")
        return target

    def _is(self, target: S3Object, sha256: str) -> bool:
        """Whether the object is this very file, put by a call whose answer was lost."""
        found = self.s3.head_object(Bucket=target.bucket, Key=target.key)
        return found["Metadata"].get(SHA256_METADATA) == sha256

    def _link(self, target: S3Object, seconds: int) -> str:
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": target.bucket, "Key": target.key}, ExpiresIn=seconds
        )


def content_type(path: str) -> str:
    """The type by the file's name, as the connector reports it; bytes without a known name are octets."""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def inline(path: str, data: bytes, sha256: str) -> OutputFile:
    """A file that the result carries itself."""
    return OutputFile(
        path=path,
        name=path.rpartition("/")[2],
        content_type=content_type(path),
        size=len(data),
        sha256=sha256,
        base64=data,
    )
