"""The part of the bucket that one run reads and writes: its inputs, what it left, and what is told about it."""

from __future__ import annotations

import base64
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from code_runner.agentcore.service_errors import FAILURES, error_code, storage_errors, was_accepted
from code_runner.files.content_types import content_type
from code_runner.files.errors import NotKeptError
from code_runner.files.multipart_upload import SHA256_METADATA, holds, upload
from sandpiper_contract.errors import InvalidRequest, PayloadTooLarge, StorageError
from sandpiper_contract.files import MAX_FILE_BYTES, OutputFile, SkipReason
from sandpiper_contract.s3_objects import S3Object, S3Uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_s3 import S3Client

    from code_runner.agentcore.deadline import Deadline
    from code_runner.files.staging import Staging

log = logging.getLogger(__name__)

MOST_CODE_BYTES = 10 * 1024 * 1024
"""Of a program that is read from S3."""
PUT_SECONDS = 5
"""With less time than this no further object is written."""
COPIED_BYTES_A_SECOND = 50_000_000
"""What a slow copy inside S3 does, so that a copy of gigabytes is given time."""
COPY_WAITS_SECONDS = (1.0, 3.0)
"""Before a copy inside S3 is sent again."""
UNSEEN = {
    "404": "there is no such object, or no such bucket; put it there, or give the address of one that is there",
    "403": "the object is not there, or this role may not read it; put it there, mend its address, or grant the role "
    "to read it",
}
"""What S3's answers to a look at an object mean: without leave to list its very name, it is 403 for one not there."""
MOST_KEY_BYTES = 1_024
"""S3's own limit."""
MOST_FOLDER_OBJECTS = 1_000
"""Of a folder of inputs, which is what one listing holds."""


@dataclass(frozen=True)
class Stored:
    """An object as it was looked at: its size in bytes, and its ETag, which it must still have when it is read."""

    address: S3Object
    size: int
    etag: str


@dataclass(frozen=True, eq=False, repr=False)
class Storage:
    """`inputs` and `run` are folders without a slash at their end: what may be read, and where the run writes.

    `staging` is for files that are too large for the function; None where the interpreter has no role that reaches it.
    """

    s3: S3Client
    inputs: S3Object
    run: S3Object
    staging: Staging | None = None

    def __post_init__(self) -> None:
        """Raises InvalidRequest for what is no address, before anything is sent whose files could not be kept."""
        S3Uri().validate("inputs", self.inputs)
        S3Uri().validate("run", self.run)

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
        stored = self.stored(field, source, most_bytes)
        return self.read(stored, 0, stored.size)

    def stored(self, field: str, source: S3Object, most_bytes: int = MAX_FILE_BYTES) -> Stored:
        """Looks at an object of the folder of inputs. Raises as `get` does."""
        self.require_input(field, source)
        with storage_errors(f"{field}: reading", source.uri):
            try:
                found = self.s3.head_object(Bucket=source.bucket, Key=source.key)
            except ClientError as error:
                if error_code(error) not in UNSEEN:
                    raise
                raise StorageError(f"{field} {source.uri}: {UNSEEN[error_code(error)]}") from error
        if found["ContentLength"] > most_bytes:
            size = found["ContentLength"]
            raise PayloadTooLarge(f"{field} {source.uri}: {size:,} bytes; allowed: {most_bytes:,}")
        return Stored(source, found["ContentLength"], found["ETag"])

    def folder(self, field: str, folder: S3Object) -> list[Stored]:
        """The objects below a folder of inputs, whose address ends with a slash. Raises as `get` does."""
        self.require_input(field, folder)
        with storage_errors(f"{field}: listing", folder.uri):
            found = self.s3.list_objects_v2(Bucket=folder.bucket, Prefix=folder.key, MaxKeys=MOST_FOLDER_OBJECTS)
        # A console writes an empty object whose name ends with a slash for each folder that it shows.
        objects = [
            Stored(S3Object(folder.bucket, entry.get("Key", "")), entry.get("Size", 0), entry.get("ETag", ""))
            for entry in found.get("Contents", [])
            if entry.get("Size") or not entry.get("Key", "").endswith("/")
        ]
        if found["IsTruncated"] or not objects:
            number = f"more than {MOST_FOLDER_OBJECTS:,}" if found["IsTruncated"] else "none"
            raise InvalidRequest(f"{field} {folder.uri}: {number}; allowed: 1 to {MOST_FOLDER_OBJECTS:,} objects")
        for stored in objects:
            if stored.size > MAX_FILE_BYTES:
                raise PayloadTooLarge(
                    f"{field} {stored.address.uri}: {stored.size:,} bytes; allowed: {MAX_FILE_BYTES:,}"
                )
        return objects

    def read(self, stored: Stored, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`. Raises StorageError, also for an object that was changed."""
        if start == end:
            return b""
        address = stored.address
        with storage_errors("reading", address.uri):
            answer = self.s3.get_object(
                Bucket=address.bucket, Key=address.key, IfMatch=stored.etag, Range=f"bytes={start}-{end - 1}"
            )
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
                if error_code(error) != "PreconditionFailed" or not holds(self.s3, target, sha256):
                    raise
        return self._kept(path, len(data), sha256, target, link_seconds)

    def keep_parts(
        self, path: str, parts: Iterable[bytes], sha256: str, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """Puts a file that comes in parts, of 5 MiB at least but for the last. Whatever they raise, nothing is left."""
        deadline.require(PUT_SECONDS, f"writing {path}")
        target = self._target(f"files/{path}")
        size = 0
        with storage_errors("writing", target.uri), upload(self.s3, target, sha256, content_type(path)) as uploading:
            for part in parts:
                deadline.require(PUT_SECONDS, f"writing {path}")
                uploading.put(part)
                size += len(part)
        return self._kept(path, size, sha256, target, link_seconds)

    def keep_staged(
        self, path: str, staged: Stored, sha256: str, copying: S3Client, deadline: Deadline, link_seconds: int | None
    ) -> OutputFile:
        """Copies a file that lies in staging to the run's, inside S3, whose word the digest in the result is.

        `sha256` is what the file had in the sandbox. `copying` waits as long as a copy takes. Raises as `keep` does,
        and NotKeptError when `staged` is no longer the object that was looked at, or never was the sandbox's file:
        others reach staging, too. Then what was copied stays, unnamed by the result: nothing of a run is deleted.
        """
        target = self._target(f"files/{path}")
        with storage_errors("writing", target.uri):
            try:
                digest = _copy(staged, target, content_type(path), copying, deadline)
            except ClientError as error:
                if error_code(error) != "PreconditionFailed":
                    raise
                digest = self._digest_of(target)
                if digest is None:
                    raise NotKeptError(SkipReason.CHANGED) from error
                if digest != sha256:
                    raise
        if digest is None:
            raise StorageError(f"writing {target.uri}: S3 answered without its SHA-256")
        if digest != sha256:
            log.warning("%s is not the file that the sandbox sent: another was put in its place", target.uri)
            raise NotKeptError(SkipReason.CHANGED)
        return self._kept(path, staged.size, digest, target, link_seconds)

    def _digest_of(self, target: S3Object) -> str | None:
        """The SHA-256 of what an earlier attempt has copied; None where there is nothing."""
        try:
            return sha256_of(self.s3.head_object(Bucket=target.bucket, Key=target.key, ChecksumMode="ENABLED"))
        except ClientError:
            return None

    def _kept(self, path: str, size: int, sha256: str, target: S3Object, link_seconds: int | None) -> OutputFile:
        """What the result says of a file that lies in S3."""
        return OutputFile(
            path=path,
            name=path.rpartition("/")[2],
            content_type=content_type(path),
            size=size,
            sha256=sha256,
            s3_uri=target,
            link=None if link_seconds is None else self.link(target, link_seconds),
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

    def link(self, target: S3Object, seconds: int) -> str:
        """What anybody may download an object of the run's by, for so long."""
        return self.s3.generate_presigned_url(
            "get_object", Params={"Bucket": target.bucket, "Key": target.key}, ExpiresIn=seconds
        )


def _copy(source: Stored, target: S3Object, content_type: str, copying: S3Client, deadline: Deadline) -> str | None:
    """Copies an object inside S3 to a name that is free; the answer is its SHA-256, as S3 tells it.

    Sent again where S3 was busy or gave no answer, as often as there is time for another whole copy.
    """

    def copy() -> str | None:
        deadline.require(PUT_SECONDS + source.size / COPIED_BYTES_A_SECOND, f"copying {source.address.uri}")
        # Whole and not in parts, of which S3 has a SHA-256 each and none of the object (S3 User Guide, "Checking object
        # integrity": of a multipart upload, SHA-256 is composite).
        answer = copying.copy_object(
            Bucket=target.bucket,
            Key=target.key,
            CopySource={"Bucket": source.address.bucket, "Key": source.address.key},
            CopySourceIfMatch=source.etag,
            IfNoneMatch="*",
            ChecksumAlgorithm="SHA256",
            ContentType=content_type,
            MetadataDirective="REPLACE",  # what the sandbox said of it is not taken over
        )
        return sha256_of(answer["CopyObjectResult"])

    for wait in COPY_WAITS_SECONDS:
        try:
            return copy()
        except FAILURES as error:
            if isinstance(error, ClientError) and not was_accepted(error):
                raise
            log.warning("copying %s: %s", source.address.uri, error)
            time.sleep(wait)
    return copy()


def sha256_of(told: Mapping[str, Any]) -> str | None:
    """A whole object's SHA-256 in hexadecimal, which S3 computes itself and tells in base64."""
    try:
        return base64.b64decode(told["ChecksumSHA256"], validate=True).hex()
    except (KeyError, ValueError):  # there is none, or one of parts, which ends with their number
        return None


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
