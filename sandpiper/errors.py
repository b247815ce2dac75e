"""Contains the errors that end a command with a message and without a traceback.

CliError
├── CommandInterruptedError
├── NoResultError
│   ├── InvalidOptionsError
│   └── ProgramFailedError
└── InvalidEnvironment (in `sandpiper.environment.errors`)
"""

from __future__ import annotations


class CliError(Exception):
    """The command could not do what was requested. The message holds the problem, its location and the remedy."""


class CommandInterruptedError(CliError):
    """A signal interrupted the command. The message states what continues to run."""


class NoResultError(CliError):
    """A request ended without a result. The message starts with the error's name and uses the contract's fields."""


class InvalidOptionsError(NoResultError):
    """The options form no valid request. The whole message is about fields of the request; nothing was sent."""


class ProgramFailedError(NoResultError):
    """The program failed, and its request has `failOnError`. Its result is in the records of the execution."""
