"""Addresses of objects and folders in S3, and their field types."""

# ruff: noqa: D102 - FieldType documents the methods of every field type
from __future__ import annotations

import re
from dataclasses import dataclass

from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.field_types import CHARACTER_PATTERN
from sandpiper_contract.invalid_values import invalid_value, require_instance
from sandpiper_contract.truncation import truncate

MAX_URI_CHARACTERS = len("s3://") + 63 + 1 + 1_024
"""From S3's limits for bucket names (63 characters) and keys (1,024 bytes).
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
S3_URI_FORMAT = "s3://BUCKET/KEY, BUCKET 3 to 63 of a-z 0-9 . - and KEY without control characters"
_BUCKET = "[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
S3_URI_PATTERN = f"s3://{_BUCKET}/{CHARACTER_PATTERN}+"
S3_FOLDER_PATTERN = f"{S3_URI_PATTERN}/"
_S3_URI = re.compile(S3_URI_PATTERN)
_S3_ROOT = re.compile(f"s3://{_BUCKET}/+")


@dataclass(frozen=True)
class S3Object:
    """The address of an object, or a prefix of addresses."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as `s3://BUCKET/KEY`."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, location: str, value: object) -> S3Object:
        """Parses `s3://BUCKET/KEY`. Raises InvalidRequest, whose message begins with `location`.

        Example:
            >>> S3Object.parse("s3Uri", "s3://my-bucket/data/sales.csv")
            S3Object(bucket='my-bucket', key='data/sales.csv')
        """
        if isinstance(value, str) and len(value) > MAX_URI_CHARACTERS:
            problem = f"{location} is {truncate(repr(value))} of {len(value):,} characters"
            raise InvalidRequest(f"{problem}; allowed: s3://BUCKET/KEY of at most {MAX_URI_CHARACTERS:,} characters")
        if not isinstance(value, str) or not _S3_URI.fullmatch(value):
            raise invalid_value(location, value, S3_URI_FORMAT)
        bucket, _, key = value.removeprefix("s3://").partition("/")
        return cls(bucket, key)


class S3Uri:
    """The address of an object."""

    def parse(self, location: str, value: object) -> S3Object:
        return S3Object.parse(location, value)

    def validate(self, location: str, value: object) -> S3Object:
        address = require_instance(location, value, S3Object)
        if self.parse(location, address.uri) != address:
            raise invalid_value(location, address.uri, "a bucket name and a key, each a string")
        return address

    def serialize(self, value: S3Object) -> object:
        return value.uri

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_URI_CHARACTERS, "pattern": f"^{S3_URI_PATTERN}$"}


class S3Folder(S3Uri):
    """A prefix that ends with a slash. Without the slash it would match every key that begins with its name."""

    def parse(self, location: str, value: object) -> S3Object:
        if isinstance(value, str) and _S3_ROOT.fullmatch(value):
            problem = f"{location} is {truncate(repr(value))}, which has no folder"
            raise InvalidRequest(f"{problem}; allowed: s3://BUCKET/FOLDER/")
        folder = S3Object.parse(location, value)
        if not folder.key.endswith("/"):  # stated in words, because truncation can hide the end of the value
            problem = f"{location} is {truncate(repr(value))}, which does not end with a slash"
            raise InvalidRequest(f"{problem}; allowed: s3://BUCKET/FOLDER/")
        return folder

    def schema(self) -> dict[str, object]:
        return {"type": "string", "maxLength": MAX_URI_CHARACTERS, "pattern": f"^{S3_FOLDER_PATTERN}$"}
