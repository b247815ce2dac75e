"""Replaces the names that the review invents by labels, and removes hashes that change without a change of meaning."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.review.resolution.invented import TOKEN
from sandpiper_policy.model.symbols import symbol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Labels:
    """Replaces invented names.

    Args:
        invented: The token, the invented name and the address of each resource whose name CloudFormation generates.
        hashes: The hashes in names of interpreters.
    """

    def __init__(self, invented: Iterable[tuple[str, str, str]], hashes: Iterable[str]) -> None:
        self._labels = {token: (name, symbol(address)) for token, name, address in invented}
        alternatives = "|".join(sorted({re.escape(one) for one in hashes}))
        self._hashes = re.compile(alternatives) if alternatives else None

    def readable(self, text: str) -> str:
        """Returns a text in which each invented name is a label, such as `⟨app/Role⟩`.

        Example:
            >>> Labels([("zabcdefghi", "app-Role-zabcdefghi", "app/Role")], []).readable("role/app-Role-zabcdefghi")
            'role/⟨app/Role⟩'
        """
        for token in set(TOKEN.findall(text)):
            name, label = self._labels.get(token, ("", ""))
            if name:
                text = text.replace(name, label)
        return text

    def without_hashes(self, text: str) -> str:
        """Returns a readable text in which `HASH` stands for the hashes in names of interpreters."""
        text = self.readable(text)
        return text if self._hashes is None else self._hashes.sub("HASH", text)
