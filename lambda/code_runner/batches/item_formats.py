"""Reads the items of a batch as a stream, whatever their number. An error names the line or the item.

Messages never contain the content of an item, because they are written to logs.
"""

from __future__ import annotations

import codecs
import csv
import json
import zlib
from typing import TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import unquote_plus

from code_runner.agentcore.service_errors import storage_errors
from sandpiper_contract.batches import MAX_ITEM_BYTES
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mypy_boto3_s3 import S3Client

    from code_runner.files.storage import Storage

    Item = tuple[str, str]
    """Where the item is, for messages, and the item as JSON text."""

CHUNK_BYTES = 1024 * 1024
MAX_MANIFEST_BYTES = 10 * 1024 * 1024
MAX_LINE_BYTES = 2 * MAX_ITEM_BYTES
"""Maximum length of a line: an item as CSV or with spaces can be longer than as JSON."""
_WHITESPACE = " \t\r\n"
_AFTER_VALUE = tuple(_WHITESPACE + ",]")


def read_items(s3: S3Client, storage: Storage, location: S3Object, item_format: str) -> Iterator[Item]:
    """Yields the items in their order.

    Args:
        s3: Client for S3.
        storage: The tenant's inputs.
        location: The object or folder.
        item_format: One of the contract's formats.

    Raises:
        InvalidRequest: The location is outside of the inputs, or an item is not valid.
        StorageError: S3 failed, or the object does not exist.
    """
    if item_format == "s3-prefix":
        yield from _listed(s3, storage, location)
    elif item_format == "manifest":
        yield from _inventory(s3, storage, location)
    else:
        yield from PARSERS[item_format](_chunks(s3, storage, location))


def json_lines(chunks: Iterable[bytes]) -> Iterator[Item]:
    r"""Yields the values of JSON Lines. Blank lines are ignored.

    Example:
        >>> list(json_lines([b'{"n": 1}\n', b'"two"']))
        [('line 1', '{"n": 1}'), ('line 2', '"two"')]
    """
    for number, line in _lines(chunks):
        if text := line.strip(_WHITESPACE):
            yield f"line {number}", _require_json(f"line {number}", text, "one JSON value on each line")


def csv_rows(chunks: Iterable[bytes]) -> Iterator[Item]:
    r"""Yields the rows of a CSV file as objects of strings. The first row has the names.

    Example:
        >>> list(csv_rows([b"name,amount\\nrent,1200\n"]))
        [('line 2', '{"name": "rent", "amount": "1200"}')]
    """
    rows = _csv(chunks)
    for header_line, names in rows:
        if len(set(names)) < len(names) or not all(names):
            raise InvalidRequest(f"line {header_line}: names are empty or repeated; allowed: a name for each column")
        for number, row in rows:
            if len(row) != len(names):
                raise InvalidRequest(f"line {number} has {len(row)} fields; allowed: {len(names)}, as the first row")
            yield f"line {number}", json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False)


def json_array(chunks: Iterable[bytes]) -> Iterator[Item]:
    """Yields the items of a JSON array. No more than two chunks and one item are in memory.

    Example:
        >>> list(json_array([b'[{"n": 1}, ', b"2]"]))
        [('item 1', '{"n": 1}'), ('item 2', '2')]
    """
    text = _TextBuffer(chunks)
    if text.next_character() != "[":
        raise InvalidRequest("the items are not a JSON array; allowed: an array, or another items.format")
    text.position += 1
    number = 0
    character = text.next_character()
    while character != "]":
        number += 1
        yield f"item {number}", text.next_value(f"item {number}")
        character = text.next_character()
        if character == ",":
            text.position += 1
        elif character != "]":
            raise InvalidRequest(f"item {number} is followed by neither a comma nor the end; allowed: a JSON array")
    text.position += 1
    if text.next_character():
        raise InvalidRequest("the JSON array is followed by other text; allowed: one array")


PARSERS: dict[str, Callable[[Iterable[bytes]], Iterator[Item]]] = {
    "json": json_array,
    "jsonl": json_lines,
    "csv": csv_rows,
}
"""The parsers of formats whose items are in one object."""


class _TextBuffer:
    """The rest of a JSON text whose beginning has been parsed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(_decoded(chunks))
        self._text = ""
        self._decoder = json.JSONDecoder(parse_constant=_reject_constant)
        self.position = 0

    def next_character(self) -> str:
        """Returns the next character that is not white space, at `position`; empty at the end."""
        while True:
            while self.position < len(self._text):
                if self._text[self.position] not in _WHITESPACE:
                    return self._text[self.position]
                self.position += 1
            if not self._read():
                return ""

    def next_value(self, place: str) -> str:
        """Returns the text of the next value, and moves after it."""
        self.next_character()
        while True:
            try:
                _, end = self._decoder.raw_decode(self._text, self.position)
                # A number may continue in the next chunk, also if its beginning is a number.
                is_complete = self._text[end : end + 1] in _AFTER_VALUE
                problem = "another character follows" if end < len(self._text) else "the array does not end"
            except (ValueError, RecursionError) as error:
                end, is_complete, problem = 0, False, _problem(error)
            if is_complete:
                value = self._text[self.position : end]
                self.position = end
                return _require_short(place, value)
            if len(self._text) - self.position > MAX_LINE_BYTES or not self._read():
                raise InvalidRequest(f"{place} is not valid JSON or too long: {problem}; allowed: a JSON array")

    def _read(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._text = self._text[self.position :] + chunk
        self.position = 0
        return True


def _chunks(s3: S3Client, storage: Storage, location: S3Object) -> Iterator[bytes]:
    stored = storage.head_input("items.location", location)
    with storage_errors("items.location: reading", location.uri):
        response = s3.get_object(Bucket=location.bucket, Key=location.key, IfMatch=stored.etag)
        yield from response["Body"].iter_chunks(CHUNK_BYTES)


def _listed(s3: S3Client, storage: Storage, folder: S3Object) -> Iterator[Item]:
    storage.require_input_uri("items.location", folder)
    with storage_errors("items.location: listing", folder.uri):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=folder.bucket, Prefix=folder.key)
        for page in pages:
            for entry in page.get("Contents", []):
                key, size = entry.get("Key", ""), entry.get("Size", 0)
                # The S3 console creates an empty object whose key ends with a slash for each folder.
                if size or not key.endswith("/"):
                    yield key, _object_item(S3Object(folder.bucket, key), size)


def _inventory(s3: S3Client, storage: Storage, location: S3Object) -> Iterator[Item]:
    """Yields the objects of an S3 Inventory in CSV files.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
    """
    allowed = "the manifest.json of an S3 Inventory with the format CSV, whose files are below inputs/"
    try:
        manifest: Any = json.loads(storage.read_input("items.location", location, MAX_MANIFEST_BYTES))
        columns = [name.strip() for name in manifest["fileSchema"].split(",")]
        bucket = manifest["destinationBucket"].removeprefix("arn:aws:s3:::")
        keys = [file["key"] for file in manifest["files"]]
        at = [columns.index(name) for name in ("Bucket", "Key")]
        if manifest["fileFormat"] != "CSV":
            raise ValueError("another format")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(f"{location.uri} is not an inventory; allowed: {allowed}") from error
    size_at = columns.index("Size") if "Size" in columns else None
    for key in keys:
        for number, row in _csv(decompressed(_chunks(s3, storage, S3Object(bucket, key)))):
            if len(row) != len(columns):
                raise InvalidRequest(f"{key}: line {number} has {len(row)} fields; allowed: {len(columns)}")
            size = int(row[size_at]) if size_at is not None and row[size_at].isdigit() else None
            yield f"{key}: line {number}", _object_item(S3Object(row[at[0]], unquote_plus(row[at[1]])), size)


def _object_item(address: S3Object, size: int | None) -> str:
    known = {} if size is None else {"size": size}
    return json.dumps({"s3Uri": address.uri, "key": address.key, **known}, ensure_ascii=False)


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yields the content of a gzip file in parts of at most CHUNK_BYTES. Raises InvalidRequest."""
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        for chunk in chunks:
            data = chunk
            while data:  # in parts, because a chunk can expand to a thousand times its size
                yield decompressor.decompress(data, CHUNK_BYTES)
                data = decompressor.unconsumed_tail
        yield decompressor.flush()
    except zlib.error as error:
        raise InvalidRequest(f"a file of the inventory is not gzip: {error}; allowed: CSV files with gzip") from error


def _csv(chunks: Iterable[bytes]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((line + "\n" for _, line in _lines(chunks)), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InvalidRequest(f"line {reader.line_num} is not CSV: {error}; allowed: CSV with commas") from error
        if row is None:
            return
        if row:
            yield reader.line_num, row


def _lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """Yields the numbers and texts of lines, without their ends."""
    number, rest = 0, ""
    for chunk in _decoded(chunks):
        *complete, rest = (rest + chunk).split("\n")
        for line in complete:
            number += 1
            yield number, line.removesuffix("\r")
        if len(rest) > MAX_LINE_BYTES:
            raise InvalidRequest(f"line {number + 1} is too long; allowed: {MAX_LINE_BYTES:,} bytes")
    if rest:
        yield number + 1, rest.removesuffix("\r")


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder, lines = codecs.getincrementaldecoder("utf-8-sig")(), 1
    try:
        for chunk in chunks:
            text = decoder.decode(chunk)
            yield text
            lines += text.count("\n")
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n")
        raise InvalidRequest(f"line {line} is not UTF-8; allowed: UTF-8") from error


def _require_json(place: str, text: str, allowed: str) -> str:
    try:
        json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{place} is not valid JSON: {_problem(error)}; allowed: {allowed}") from error
    return _require_short(place, text)


def _require_short(place: str, text: str) -> str:
    if (size := len(text.encode())) > MAX_ITEM_BYTES:
        raise InvalidRequest(f"{place} has {size:,} bytes; allowed: {MAX_ITEM_BYTES:,} bytes")
    return text


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _problem(error: Exception) -> str:
    """Returns what is wrong, without the text itself."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return str(error) if isinstance(error, ValueError) else "nested too deeply"


def fields_of_item(text: str) -> dict[str, object]:
    """Returns the fields of an item that is an object, or none."""
    value: object = json.loads(text)
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}
