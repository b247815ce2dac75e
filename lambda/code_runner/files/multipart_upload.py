"""Multipart uploads: an object of many parts that is there whole, under a name that was free, or not at all."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from code_runner.agentcore.service_errors import FAILURES, error_code

if TYPE_CHECKING:
    from collections.abc import Generator

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

SHA256_METADATA = "sha256"
"""What an object's metadata has of the file that the function put, by which it is known again."""
TAKEN = ("PreconditionFailed", "NoSuchUpload")
"""What S3 answers when an earlier attempt of the same call has succeeded and its answer was lost."""


@dataclass
class Upload:
    """An upload that has begun. Parts have at least 5 MiB, but for the last. Its methods raise botocore's errors."""

    s3: S3Client
    target: S3Object
    upload_id: str
    parts: list[CompletedPartTypeDef] = field(default_factory=list["CompletedPartTypeDef"])

    def put(self, data: bytes) -> None:
        """Adds bytes."""
        number = len(self.parts) + 1
        answer = self.s3.upload_part(
            Bucket=self.target.bucket, Key=self.target.key, UploadId=self.upload_id, PartNumber=number, Body=data
        )
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def complete(self, sha256: str) -> None:
        """Makes the object, unless there is one; one with this SHA-256 is this very upload's."""
        try:
            self.s3.complete_multipart_upload(
                Bucket=self.target.bucket,
                Key=self.target.key,
                UploadId=self.upload_id,
                MultipartUpload={"Parts": self.parts},
                IfNoneMatch="*",
            )
        except ClientError as error:
            if error_code(error) not in TAKEN or not holds(self.s3, self.target, sha256):
                raise
            self.abort()

    def abort(self) -> None:
        """Drops the parts. What could not be dropped is logged; the bucket's lifecycle ends it in a day."""
        try:
            self.s3.abort_multipart_upload(Bucket=self.target.bucket, Key=self.target.key, UploadId=self.upload_id)
        except FAILURES as error:
            log.warning("upload of %s not aborted: %s", self.target.uri, error)


@contextmanager
def upload(s3: S3Client, target: S3Object, sha256: str, content_type: str) -> Generator[Upload]:
    """An upload that is completed at the end of the block, and aborted when anything is raised there."""
    begun = s3.create_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        ContentType=content_type,
        Metadata={SHA256_METADATA: sha256},
    )
    uploading = Upload(s3, target, begun["UploadId"])
    try:
        yield uploading
        uploading.complete(sha256)
    except BaseException:
        uploading.abort()
        raise


def holds(s3: S3Client, target: S3Object, sha256: str) -> bool:
    """Whether the object is this very file, put by a call whose answer was lost."""
    found = s3.head_object(Bucket=target.bucket, Key=target.key)
    return found["Metadata"].get(SHA256_METADATA) == sha256
