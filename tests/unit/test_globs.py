"""Tests that globs match like Python's `fnmatch`, for each part of a path."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandpiper_contract.globs import Pattern


def matches(globs: list[str], parts: list[str]) -> bool:
    """Matches with fnmatch for each part. `**` matches any folders or, at the end, all files below."""
    if not globs:
        return not parts
    first, *others = globs
    if first == "**":
        return any(matches(others, parts[count:]) for count in range(len(parts) + 1)) if others else bool(parts)
    return bool(parts) and fnmatchcase(parts[0], first) and matches(others, parts[1:])


PARTS = st.text("ab.-]^![\\&~|", min_size=1, max_size=4)
PIECES = st.sampled_from(["*", "**", "?", "[ab]", "[!a]", "[a-b]", "[b-a]", "[!b-a]", "[]a]", "[!]]", "[", "]", "[^a]"])
GLOBS = st.lists(PIECES | PARTS, min_size=1, max_size=3).map("".join) | st.text("ab-]^![*?", min_size=1, max_size=6)


@settings(max_examples=1000)
@given(st.lists(st.just("**") | GLOBS, min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=4))
def test_glob_matches_like_fnmatch(globs: list[str], parts: list[str]) -> None:
    expression = Pattern("/".join(globs)).regex()
    matched = re.compile(expression, re.DOTALL).fullmatch("/".join(parts)) is not None
    assert matched is matches(globs, parts), expression


@pytest.mark.parametrize(
    ("glob", "matching", "other"),
    [
        ("*.csv", ["a.csv", ".csv", "a\n.csv"], ["d/a.csv", "a.csv.gz"]),
        ("**/*.csv", ["a.csv", "d/a.csv", "d/e/a.csv"], ["a.txt"]),
        ("out/**", ["out/a", "out/d/a"], ["out", "a"]),
        ("data[1].csv", ["data1.csv"], ["data[1].csv"]),
        ("data[[]1].csv", ["data[1].csv"], ["data1.csv"]),
        ("Grüße ?.txt", ["Grüße 1.txt"], ["Grüße /.txt"]),
    ],
)
def test_example_globs_match_only_the_expected_paths(glob: str, matching: list[str], other: list[str]) -> None:
    expression = re.compile(Pattern(glob).regex(), re.DOTALL)
    assert [path for path in matching + other if expression.fullmatch(path)] == matching


@settings(deadline=None)
@given(GLOBS)
def test_glob_without_wildcards_is_literal(glob: str) -> None:
    assert Pattern(glob).is_literal is (not set("*?") & set(glob) and re.search(r"\[[^!].*]|\[!.+]", glob) is None)
