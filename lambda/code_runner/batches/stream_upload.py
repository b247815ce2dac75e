"""Writes an object of any size from a stream. What was written can be continued by another process."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from code_runner.agentcore.service_errors import storage_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from sandpiper_contract.s3_objects import S3Object

PART_BYTES = 8 * 1024 * 1024
"""Size of a part. S3 requires 5 MiB, and allows 10,000 parts."""


@dataclass
class StreamUpload:
    """An object that is written from its beginning. It replaces an existing object when it is complete.

    Attributes:
        s3: Client for S3.
        target: The object.
        content_type: Its content type.
        upload_id: The multipart upload, once the object is larger than a part.
        etags: The ETags of its parts.
        rest: What is not yet sent.
    """

    s3: S3Client
    target: S3Object
    content_type: str
    upload_id: str | None = None
    etags: list[str] = field(default_factory=list[str])
    rest: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Adds data. Raises StorageError."""
        self.rest += data
        if len(self.rest) >= PART_BYTES:
            self._send_part()

    def complete(self) -> None:
        """Creates the object. Raises StorageError."""
        if self.upload_id is None:
            with storage_errors("writing", self.target.uri):
                self.s3.put_object(
                    Bucket=self.target.bucket,
                    Key=self.target.key,
                    Body=bytes(self.rest),
                    ContentType=self.content_type,
                )
            return
        if self.rest:
            self._send_part()
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(self.etags, 1)]
        with storage_errors("writing", self.target.uri):
            self.s3.complete_multipart_upload(
                Bucket=self.target.bucket,
                Key=self.target.key,
                UploadId=self.upload_id,
                MultipartUpload={"Parts": parts},  # pyright: ignore[reportArgumentType]
            )

    def abort(self) -> None:
        """Deletes the parts. Raises StorageError."""
        if self.upload_id is not None:
            with storage_errors("writing", self.target.uri):
                self.s3.abort_multipart_upload(Bucket=self.target.bucket, Key=self.target.key, UploadId=self.upload_id)

    def _send_part(self) -> None:
        bucket, key = self.target.bucket, self.target.key
        with storage_errors("writing", self.target.uri):
            if self.upload_id is None:
                created = self.s3.create_multipart_upload(Bucket=bucket, Key=key, ContentType=self.content_type)
                self.upload_id = created["UploadId"]
            number = len(self.etags) + 1
            part = self.s3.upload_part(
                Bucket=bucket, Key=key, UploadId=self.upload_id, PartNumber=number, Body=bytes(self.rest)
            )
        self.etags.append(part["ETag"])
        self.rest.clear()
