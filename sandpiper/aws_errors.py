"""Errors of AWS calls as messages of the command line."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from sandpiper.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Generator


NO_CREDENTIALS = "no credentials: sign in (`aws sso login`) or set AWS_PROFILE"


def error_code(error: ClientError) -> str:
    """Returns the error code of a response, such as `ResourceNotFoundException`."""
    return str(cast("dict[str, Any]", error.response).get("Error", {}).get("Code", ""))


@contextmanager
def aws_errors_as_cli_errors(actions: str) -> Generator[None]:
    """Raises CliError when AWS refuses a call or cannot be reached.

    Args:
        actions: the IAM actions that the calls need, as text for the message.
    """
    try:
        yield
    except NoCredentialsError:
        raise CliError(NO_CREDENTIALS) from None
    except NoRegionError:
        raise CliError("no region: set AWS_REGION") from None
    except ClientError as error:
        raise CliError(f"AWS refused a call: {error}; required: {actions}") from None
    except BotoCoreError as error:
        raise CliError(f"AWS cannot be reached: {error}") from None
