"""The tenant's part of the bucket: a run's inputs are read from it, and what it left is added."""

from __future__ import annotations

import logging
import mimetypes
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.service_errors import storage_errors
from sandpiper_contract.errors import DeadlineExceeded, InvalidRequest, PayloadTooLarge, StorageError
from sandpiper_contract.request import S3Object
from sandpiper_contract.result import OutputFile, SkippedFile, SkipReason
from sandpiper_contract.settings import INPUTS, RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mypy_boto3_s3 import S3Client

    from code_runner.deadline import Deadline
    from code_runner.outputs import ReadFile
    from sandpiper_contract.request import InputFile

log = logging.getLogger(__name__)

MOST_INPUT_BYTES = 70 * 1024 * 1024
"""The service takes requests of 100 MB, and a file is a third longer in base64."""
PUT_SECONDS = 5
"""With less time than this no further object is written."""
MOST_KEY_BYTES = 1_024
"""S3's own limit."""


@dataclass(frozen=True)
class RunStorage:
    """Where one run reads and writes: `PREFIX/inputs/…`, `PREFIX/runs/RUN/files/…`, and our own `PREFIX/runs/RUN/…`."""

    s3: S3Client
    bucket: str
    prefix: str
    run_id: str

    def load(self, inputs: Sequence[InputFile]) -> dict[str, bytes]:
        """The inputs' bytes by path.

        Raises InvalidRequest for an object elsewhere, PayloadTooLarge for more than a call carries, StorageError when
        S3 refuses.
        """
        loaded: dict[str, bytes] = {}
        left = MOST_INPUT_BYTES
        for file in inputs:
            content = file.content
            loaded[file.path] = self._get(content, left) if isinstance(content, S3Object) else content
            left -= len(loaded[file.path])
        if left < 0:
            raise _too_large()
        return loaded

    def keep_all(self, files: Iterable[ReadFile], deadline: Deadline) -> tuple[list[OutputFile], list[SkippedFile]]:
        """Puts the program's files; one that S3 does not take, or not in time, is skipped, since the code has run."""
        kept: list[OutputFile] = []
        skipped: list[SkippedFile] = []
        for file in files:
            try:
                deadline.require(PUT_SECONDS, f"writing {file.path}")
                uri = self._put(f"files/{file.path}", file.data)
            except (StorageError, DeadlineExceeded) as error:
                log.warning("%s", error)
                skipped.append(SkippedFile(file.path, len(file.data), SkipReason.NOT_STORED))
            else:
                kept.append(OutputFile(file.path, content_type(file.path), len(file.data), file.sha256, uri))
        return kept, skipped

    def keep_own(self, name: str, text: str) -> str | None:
        """Puts a text of our own beside the run's files and returns its address, or None when S3 does not take it."""
        try:
            return self._put(name, text.encode("utf-8", "backslashreplace"))
        except StorageError as error:
            log.warning("%s", error)
            return None

    def _get(self, source: S3Object, most_bytes: int) -> bytes:
        allowed = f"s3://{self.bucket}/{self.prefix}/{INPUTS}/"
        if not source.uri.startswith(allowed):
            raise InvalidRequest(f"s3Uri is {source.uri!r}; allowed: an object below {allowed}")
        # Without leave to list, S3 answers AccessDenied for an object that is not there.
        with storage_errors("reading, where it may be missing,", source.uri):
            answer = self.s3.get_object(Bucket=source.bucket, Key=source.key)
            if answer["ContentLength"] > most_bytes:
                raise _too_large()
            return answer["Body"].read()

    def _put(self, path: str, data: bytes) -> str:
        target = S3Object(self.bucket, f"{self.prefix}/{RUNS}/{self.run_id}/{path}")
        if len(target.key.encode()) > MOST_KEY_BYTES:
            raise StorageError(f"writing {target.uri}: its key is longer than S3's {MOST_KEY_BYTES} bytes")
        with storage_errors("writing", target.uri):
            self.s3.put_object(Bucket=target.bucket, Key=target.key, Body=data, ContentType=content_type(path))
        return target.uri


def content_type(path: str) -> str:
    """The type by the file's name, as the connector reports it; bytes without a known name are octets."""
    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"inputs: more than {MOST_INPUT_BYTES:,} bytes in all, which is what one call carries")
