"""The query of SEARCH: a schema, terms with partial and exact matches, and Boolean operators.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from local_aws.cloudwatch.errors import InvalidQueryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_aws.cloudwatch.series import Metric

MAX_QUERY_CHARACTERS = 1024
TOKEN = re.compile(r"""\s*(?:(?P<quoted>"(?:\\.|[^"\\])*")|(?P<mark>[(){}=,])|(?P<word>[^\s"(){}=,]+))""")
PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
"""Tokens of a name: words in camel case, and numbers."""
ESCAPED = re.compile(r"\\(.)")
Predicate = Callable[["Metric"], bool]
Texts = Callable[["Metric"], "Iterable[str]"]


def parse_search(query: str) -> Predicate:
    """Returns whether a metric matches, as a function.

    Raises:
        InvalidQueryError: The query is invalid.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise InvalidQueryError(f"The query of SEARCH has {len(query)} characters; allowed: {MAX_QUERY_CHARACTERS}")
    return _Parser(query).query()


def _namespaces(metric: Metric) -> Iterable[str]:
    return (metric.namespace,)


def _names(metric: Metric) -> Iterable[str]:
    return (metric.name,)


def _all_texts(metric: Metric) -> Iterable[str]:
    return (metric.namespace, metric.name, *metric.dimensions, *metric.dimensions.values())


def _dimension_texts(dimension: str) -> Texts:
    return lambda metric: [metric.dimensions[dimension]] if dimension in metric.dimensions else []


class _Parser:
    def __init__(self, query: str) -> None:
        self._query, self._index = query, 0
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while query[position:].strip():
            match = TOKEN.match(query, position)
            if match is None:
                raise InvalidQueryError(f"The query {query!r} of SEARCH is invalid at {position}")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()

    def query(self) -> Predicate:
        predicates: list[Predicate] = []
        if self._accept("{"):
            predicates.append(self._schema())
            self._accept(",")
        if self._index < len(self._tokens):
            predicates.append(self._any())
        if self._index < len(self._tokens) or not predicates:
            raise InvalidQueryError(f"The query {self._query!r} of SEARCH has no terms or an extra parenthesis")
        return lambda metric: all(predicate(metric) for predicate in predicates)

    def _schema(self) -> Predicate:
        names: list[str] = []
        while not self._accept("}"):
            if self._index >= len(self._tokens):
                raise InvalidQueryError(f"The schema in the query {self._query!r} of SEARCH has no end")
            if not self._accept(","):
                names.append(self._text())
        namespace, *dimensions = names or [""]
        return lambda metric: (
            metric.namespace == namespace and (not dimensions or set(metric.dimensions) == set(dimensions))
        )

    def _any(self) -> Predicate:
        alternatives = [self._all()]
        while self._accept("OR"):
            alternatives.append(self._all())
        return lambda metric: any(predicate(metric) for predicate in alternatives)

    def _all(self) -> Predicate:
        predicates = [self._one()]
        while self._index < len(self._tokens) and self._tokens[self._index] not in (("mark", ")"), ("word", "OR")):
            if not self._accept("AND") and self._accept(","):
                continue
            predicates.append(self._one())
        return lambda metric: all(predicate(metric) for predicate in predicates)

    def _one(self) -> Predicate:
        if self._accept("NOT"):
            predicate = self._one()
            return lambda metric: not predicate(metric)
        if self._accept("("):
            predicate = self._any()
            if not self._accept(")"):
                raise InvalidQueryError(f"The query {self._query!r} of SEARCH lacks a closing parenthesis")
            return predicate
        kind, text = self._term()
        if not self._accept("="):
            return _matches(_all_texts, kind, text)
        name = ESCAPED.sub(r"\1", text[1:-1]) if kind == "quoted" else text
        texts = {"MetricName": _names, "Namespace": _namespaces}.get(name) or _dimension_texts(name)
        if not self._accept("("):
            return _matches(texts, *self._term())
        alternatives = [_matches(texts, *self._term())]
        while not self._accept(")"):
            if not self._accept("OR"):
                raise InvalidQueryError(
                    f"The values of {name} in the query {self._query!r} of SEARCH are not joined by OR"
                )
            alternatives.append(_matches(texts, *self._term()))
        return lambda metric: any(predicate(metric) for predicate in alternatives)

    def _term(self) -> tuple[str, str]:
        if self._index >= len(self._tokens) or self._tokens[self._index][0] == "mark":
            raise InvalidQueryError(f"A term is missing in the query {self._query!r} of SEARCH")
        self._index += 1
        return self._tokens[self._index - 1]

    def _text(self) -> str:
        kind, text = self._term()
        return ESCAPED.sub(r"\1", text[1:-1]) if kind == "quoted" else text

    def _accept(self, text: str) -> bool:
        found = self._index < len(self._tokens) and self._tokens[self._index] in (("mark", text), ("word", text))
        self._index += found
        return found


def _matches(texts: Texts, kind: str, term: str) -> Predicate:
    if kind == "quoted":
        exact = ESCAPED.sub(r"\1", term[1:-1])
        return lambda metric: exact in texts(metric)
    return lambda metric: any(_matches_partly(term, text) for text in texts(metric))


def _matches_partly(term: str, text: str) -> bool:
    """Returns whether a term is a token of a text, or several that follow each other."""
    wanted, found = PART.findall(term), PART.findall(text)
    if len(wanted) == 1 or not term.isalnum():  # only a composite token without separators is case sensitive
        wanted, found = [part.lower() for part in wanted], [part.lower() for part in found]
    consecutive = (found[index : index + len(wanted)] for index in range(len(found) - len(wanted) + 1))
    is_whole = "".join(wanted).lower() == "".join(found).lower()
    return bool(wanted) and (is_whole or wanted in consecutive)
