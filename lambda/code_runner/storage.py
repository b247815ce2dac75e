"""The tenant's part of the bucket: inputs are read from it, outputs are added to it, nothing is overwritten."""

from __future__ import annotations

import hashlib
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.service_errors import storage_errors
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.request import S3Object
from sandpiper_contract.result import OutputFile
from sandpiper_contract.settings import INPUTS, RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_s3 import S3Client

    from code_runner.outputs import ReadFile
    from sandpiper_contract.request import InputFile

OWN_FOLDER = ".sandpiper"
"""Beside a run's files: what Sandpiper itself writes of a run, such as a stdout too long for a result."""


@dataclass(frozen=True)
class RunStorage:
    """Where one run reads and writes: `BUCKET/PREFIX/inputs/…` and `BUCKET/PREFIX/runs/RUN/…`."""

    s3: S3Client
    bucket: str
    prefix: str
    run_id: str

    def load(self, inputs: Sequence[InputFile]) -> dict[str, bytes]:
        """The inputs' bytes by path. Raises InvalidRequest for an object elsewhere, StorageError when S3 refuses."""
        return {
            file.path: self._get(file.content) if isinstance(file.content, S3Object) else file.content
            for file in inputs
        }

    def keep(self, file: ReadFile) -> OutputFile:
        """Puts one file of the program; raises StorageError."""
        uri = self._put(file.path, file.data)
        return OutputFile(file.path, content_type(file.path), len(file.data), file.sha256, uri)

    def keep_own(self, name: str, text: str) -> str:
        """Puts a text of Sandpiper's own beside the run's files and returns its address."""
        return self._put(f"{OWN_FOLDER}/{name}", text.encode("utf-8", "backslashreplace"))

    def _get(self, source: S3Object) -> bytes:
        allowed = f"s3://{self.bucket}/{self.prefix}/{INPUTS}/"
        if not source.uri.startswith(allowed):
            raise InvalidRequest(f"s3Uri is {source.uri!r}; allowed: an object below {allowed}")
        with storage_errors("reading", source.uri):
            return self.s3.get_object(Bucket=source.bucket, Key=source.key)["Body"].read()

    def _put(self, path: str, data: bytes) -> str:
        target = S3Object(self.bucket, f"{self.prefix}/{RUNS}/{self.run_id}/{path}")
        with storage_errors("writing", target.uri):
            self.s3.put_object(
                Bucket=target.bucket, Key=target.key, Body=data, ContentType=content_type(path), IfNoneMatch="*"
            )
        return target.uri


def content_type(path: str) -> str:
    """The type by the file's name, as the connector reports it; bytes without a known name are octets."""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def run_token(run_id: str) -> str:
    """The session's clientToken for a run: the same run starts the same session. 64 of 33 to 256 characters."""
    return hashlib.sha256(run_id.encode()).hexdigest()
