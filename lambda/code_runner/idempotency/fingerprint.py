"""What is asked for as a digest, by which a run knows its own request when it is sent again.

Only what differs from the defaults counts, so that a version whose records have more fields, with defaults, knows a run
of the version before.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sandpiper_contract.records import Record, fields_of

if TYPE_CHECKING:
    from sandpiper_contract.records import Field
    from sandpiper_contract.run import Run


def digests(run: Run, request: Record) -> tuple[str, str]:
    """SHA-256 of the operation, its request and its run as they are told, and as claims had it before.

    The run counts since its key has neither the account and the region of the execution nor when that started: an
    execution of the same name is another one's.
    """
    operation = type(request).__name__
    return _sha256([operation, given(request), given(run)]), _sha256([operation, request.to_json()])


def given(record: Record) -> dict[str, object]:
    """The record as JSON, without the fields that are as they would be had nobody named them."""
    values = ((field, getattr(record, field.attribute)) for field in fields_of(type(record)))
    return {field.name: _told(field, value) for field, value in values if field.required or value != field.default}


def _told(field: Field, value: Any) -> object:
    match value:
        case Record():
            return given(value)
        case (Record(), *_):
            return [given(each) for each in value]
        case _:
            return field.field_type.serialize(value)


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
