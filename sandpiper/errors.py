"""The ways in which a command says that it could not do what was asked."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818 - a message for a person, not a programming error
    """What happened, where, and what to do, in one message without a traceback."""


class Interrupted(Failure):
    """Somebody stopped the command; the message says what goes on without it."""


class NoResult(Failure):
    """A request that has no result; the message begins with the error's name, and has fields as the contract does."""
