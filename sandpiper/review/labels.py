"""Replaces invented and generated names by labels, and removes hashes that change without a change of meaning."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandpiper.review.resolution.invented import TOKEN
from sandpiper_policy.model.symbols import symbol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Labels:
    """Replaces the names that CloudFormation generates, or that the review invents in their place.

    Args:
        invented: The token, the name and the address of each resource whose name CloudFormation generates. The token
            of a name that is not invented is the name.
        hashes: The hashes in names of interpreters.
    """

    def __init__(self, invented: Iterable[tuple[str, str, str]], hashes: Iterable[str]) -> None:
        self._labels = {token: (name, symbol(address)) for token, name, address in invented}
        self._generated = _any_of(token for token, (name, _) in self._labels.items() if token == name)
        self._hashes = _any_of(hashes)

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
        if self._generated is not None:
            text = self._generated.sub(lambda match: self._labels[match[0]][1], text)
        return text

    def without_hashes(self, text: str) -> str:
        """Returns a readable text in which `HASH` stands for the hashes in names of interpreters."""
        text = self.readable(text)
        return text if self._hashes is None else self._hashes.sub("HASH", text)


def _any_of(texts: Iterable[str]) -> re.Pattern[str] | None:
    """Returns a pattern that matches the longest of some texts; None without a text."""
    alternatives = "|".join(map(re.escape, sorted({*texts}, key=lambda one: (-len(one), one))))
    return re.compile(alternatives) if alternatives else None
