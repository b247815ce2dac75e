"""Reads parts of the account. A part that cannot be read is recorded, so that it never counts as reviewed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.aws_errors import error_code
from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandpiper.plan.deployed import Account

Result = TypeVar("Result")
RETRIES = Config(retries={"mode": "adaptive", "total_max_attempts": 10})
"""A throttled call is repeated more slowly: https://docs.aws.amazon.com/boto3/latest/guide/retries.html"""
DOES_NOT_EXIST = frozenset(
    {
        *("NoSuchBucket", "NoSuchBucketPolicy", "NoSuchPublicAccessBlockConfiguration", "NotFoundException"),
        *("ResourceNotFoundException", "StateMachineDoesNotExist", "InvalidVpcEndpointId.NotFound"),
        *("OwnershipControlsNotFoundError", "ServerSideEncryptionConfigurationNotFoundError"),
    }
)
_ACTION = re.compile(r"not authorized to perform: ([\w-]+:\w+)")


@dataclass(frozen=True)
class Unread:
    """A part of the account that could not be read.

    Attributes:
        part: The part, such as `policy of bucket data`.
        action: The action that is missing, or that failed.
        reason: The message of AWS.
        address: The address of the resource; empty for a part that is not a resource of a stack.
    """

    part: str
    action: str
    reason: str
    address: str = ""


@dataclass
class AccountReader:
    """Reads the account, and collects what it could not read."""

    account: Account
    unread: list[Unread] = field(default_factory=list[Unread])
    _clients: dict[str, Any] = field(default_factory=dict[str, Any])

    def client(self, service: str) -> Any:
        """Returns the client of a service, which is created once."""
        if service not in self._clients:
            session: Any = self.account.session  # the stubs of some services are not installed
            self._clients[service] = session.client(service, config=RETRIES)
        return self._clients[service]

    def read(
        self, part: str, action: str, call: Callable[[], Result], missing: Result, address: str = ""
    ) -> Result | None:
        """Returns the result of a call; None if the part could not be read, which is recorded.

        Args:
            part: What is read, for reports.
            action: The action that the call needs.
            call: Reads the part.
            missing: The result for a part that does not exist.
            address: The address of the resource.
        """
        try:
            return call()
        except ClientError as error:
            if error_code(error) in DOES_NOT_EXIST:
                return missing
            denied = _ACTION.search(str(error))
            self.unread.append(Unread(part, denied[1] if denied else action, str(error), address))
        except (BotoCoreError, CliError) as error:
            denied = _ACTION.search(str(error))
            self.unread.append(Unread(part, denied[1] if denied else action, str(error), address))
        return None
