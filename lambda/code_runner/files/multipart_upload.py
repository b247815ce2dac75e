"""Multipart uploads: the object is created completely under an unused key, or not at all."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.agentcore.service_errors import AWS_ERRORS, error_code
from code_runner.files.s3_objects import SHA256_METADATA, has_content

if TYPE_CHECKING:
    from collections.abc import Generator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

ALREADY_COMPLETED = ("PreconditionFailed", "NoSuchUpload")
"""Error codes when an earlier attempt of the same call succeeded and its response was lost."""


@dataclass
class Upload:
    """A started upload. Its methods raise botocore's errors."""

    s3: S3Client
    target: S3Object
    upload_id: str
    parts: list[CompletedPartTypeDef] = field(default_factory=list["CompletedPartTypeDef"])
    size: int = 0

    def put(self, data: bytes) -> None:
        """Uploads the next part, which has at least 5 MiB unless it is the last."""
        number = len(self.parts) + 1
        response = self.s3.upload_part(
            Bucket=self.target.bucket, Key=self.target.key, UploadId=self.upload_id, PartNumber=number, Body=data
        )
        self.parts.append({"PartNumber": number, "ETag": response["ETag"]})
        self.size += len(data)

    def complete(self, sha256: str) -> None:
        """Creates the object unless the key is in use. An existing object with this SHA-256 counts as this upload."""
        try:
            self.s3.complete_multipart_upload(
                Bucket=self.target.bucket,
                Key=self.target.key,
                UploadId=self.upload_id,
                MultipartUpload={"Parts": self.parts},
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) not in ALREADY_COMPLETED or not has_content(self.s3, self.target, self.size, sha256):
                raise
            self.abort()

    def abort(self) -> None:
        """Deletes the parts. A failure is logged; the bucket's lifecycle rule deletes the parts after a day."""
        try:
            self.s3.abort_multipart_upload(Bucket=self.target.bucket, Key=self.target.key, UploadId=self.upload_id)
        except AWS_ERRORS as error:
            log.warning("upload of %s not aborted: %s", self.target.uri, error)


@contextmanager
def multipart_upload(s3: S3Client, target: S3Object, sha256: str, content_type: str) -> Generator[Upload]:
    """Starts an upload, completes it at the end of the block, and aborts it when the block raises."""
    created = s3.create_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        ContentType=content_type,
        Metadata={SHA256_METADATA: sha256},
    )
    upload = Upload(s3, target, created["UploadId"])
    try:
        yield upload
        upload.complete(sha256)
    except BaseException:
        upload.abort()
        raise
