"""The fingerprint of a request, by which a run recognizes its own request when it is sent again.

Only fields that differ from their defaults are included, so that a release that adds fields with defaults recognizes
the runs of earlier releases.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandpiper_contract.records import Record, fields_of

if TYPE_CHECKING:
    from sandpiper_contract.records import Field
    from sandpiper_contract.run import Run


def fingerprints(run: Run, request: Record) -> tuple[str, str]:
    """Returns the fingerprint of a request, and the one that earlier releases stored for it.

    Both are SHA-256 hashes in hexadecimal. The first includes the run, because a run's key contains neither the account
    and Region nor the start of its execution: a later execution may have the same name. The numbers of the attempt are
    excluded, because they differ for each attempt of a run.
    """
    run = replace(run, retry=None, redrive=None)
    operation = type(request).__name__
    current = _sha256([operation, non_default_fields(request), non_default_fields(run)])
    return current, _sha256([operation, request.to_json()])


def non_default_fields(record: Record) -> dict[str, object]:
    """Returns the record as JSON, without the optional fields that have their default value."""
    values = ((field, getattr(record, field.attribute)) for field in fields_of(type(record)))
    return {field.name: _to_json(field, value) for field, value in values if field.required or value != field.default}


def _to_json(field: Field, value: Any) -> object:
    match value:
        case Record():
            return non_default_fields(value)
        case (Record(), *_):
            return [non_default_fields(each) for each in value]
        case _:
            return field.field_type.serialize(value)


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
