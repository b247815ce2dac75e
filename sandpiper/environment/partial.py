"""Reads an environment without its invalid values, so that the checks between options run in the same pass."""

from __future__ import annotations

import copy
from typing import cast

from pydantic import ValidationError

from sandpiper.environment.errors import KeyPath
from sandpiper.environment.model import Environment
from sandpiper.environment.option_lookup import OptionLookup, value_at
from sandpiper.environment.validation import relevant_errors

MAX_ROUNDS = 100
"""Each round removes at least one value. The maximum bounds the time that a hostile file can take."""


def without_invalid_values(document: object) -> tuple[Environment | None, set[KeyPath]]:
    """Returns the environment without the invalid values of a document, and the key paths that were removed.

    An example replaces an invalid value that is required. The environment is None if nothing valid remains.
    """
    remaining, removed = copy.deepcopy(document), set[KeyPath]()
    for _ in range(MAX_ROUNDS):
        try:
            return Environment.model_validate(remaining), removed
        except ValidationError as error:
            for detail in relevant_errors(error):
                removed.add(_remove(remaining, OptionLookup.from_error(remaining, detail)))
        if () in removed:
            break
    return None, removed


def _remove(document: object, option: OptionLookup) -> KeyPath:
    """Removes an invalid value from the document in place. Returns its key path, or () for the whole document."""
    key_path, example = option.key_path, option.example
    while key_path:
        parent = value_at(document, key_path[:-1])
        is_option = key_path == option.key_path
        if isinstance(parent, list) and isinstance(key_path[-1], int) and is_option and example is not None:
            cast("list[object]", parent)[key_path[-1]] = example
            return key_path
        if isinstance(parent, dict):
            mapping = cast("dict[object, object]", parent)
            if example is None and option.is_required and is_option:
                key_path = key_path[:-1]
                continue
            if example is None:
                _delete_key(mapping, key_path[-1])
            else:
                mapping[key_path[-1]] = example
            return key_path
        # An item of a list without an example is removed with its list: removing it would shift the other indexes.
        key_path = key_path[:-1]
    return ()


def _delete_key(mapping: dict[object, object], step: object) -> None:
    for key in [key for key in mapping if str(key) == str(step)]:
        del mapping[key]
