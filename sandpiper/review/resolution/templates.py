"""Resolves the values of a set of templates, which refer to each other by exports and SSM parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandpiper.review.reading.values import as_mapping
from sandpiper.review.resolution.bounded_text import MAX_SHARED_TEXT
from sandpiper.review.resolution.scope import Scope
from sandpiper_policy.model.symbols import symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandpiper.review.reading.source import TemplateSource


class Templates:
    """The templates of a review, whose values can be resolved.

    Attributes:
        reasons: Why each symbol could not be resolved, by the text of the symbol.
    """

    def __init__(self, sources: Sequence[TemplateSource]) -> None:
        self.reasons: dict[str, str] = {}
        self.scopes = {source.name: Scope(source, self) for source in sources}
        self._by_parent = {source.parent: self.scopes[source.name] for source in sources if source.parent}
        self._exports: dict[str, tuple[Scope, object]] = {}
        self._parameters: dict[str, tuple[Scope, object]] = {}
        self._cache: dict[tuple[str, str], Any] = {}
        for scope in self.scopes.values():
            self._collect(scope)

    def _collect(self, scope: Scope) -> None:
        for output in scope.source.section("Outputs").values():
            name = scope.resolve(as_mapping(as_mapping(output).get("Export")).get("Name"))
            if isinstance(name, str):
                self._exports.setdefault(name, (scope, as_mapping(output).get("Value")))
        for resource in scope.source.resources.values():
            properties = as_mapping(resource.get("Properties"))
            if resource["Type"] == "AWS::SSM::Parameter":
                name = scope.resolve(properties.get("Name"))
                if isinstance(name, str):
                    self._parameters.setdefault(name, (scope, properties.get("Value")))

    def unknown(self, name: str, reason: str) -> str:
        """Returns a new symbol, and records the reason."""
        text = symbol(name)
        self.reasons.setdefault(text, reason)
        return text

    def exported(self, name: str) -> Any:
        """Returns the value that a stack of the review exports, or a symbol."""
        return self._shared("import", self._exports, name, "another stack exports it")

    def ssm(self, name: str) -> Any:
        """Returns the value of an SSM parameter that a stack of the review creates, or a symbol."""
        return self._shared("ssm", self._parameters, name.partition(":")[0], "an SSM parameter of the account holds it")

    def nested(self, address: str) -> Scope | None:
        """Returns the nested template of a resource, if the review reads it."""
        return self._by_parent.get(address)

    def _shared(self, kind: str, values: dict[str, tuple[Scope, object]], name: str, reason: str) -> Any:
        if (kind, name) not in self._cache:
            # The symbol stands for a value that contains itself.
            self._cache[kind, name] = self.unknown(f"{kind}/{name.lstrip('/')}", reason)
            if name in values:
                scope, value = values[name]
                resolved = scope.resolve(value)
                if not isinstance(resolved, str) or len(resolved) <= MAX_SHARED_TEXT:
                    self._cache[kind, name] = resolved
        return self._cache[kind, name]
