"""Failures that cannot be had here without somebody's account: what botocore raises before a call is sent."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    CredentialRetrievalError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from code_runner.agentcore.service_errors import from_service, was_accepted
from sandpiper_contract.errors import AccessDenied, ServiceFault


@pytest.mark.parametrize(
    "error",
    [
        SSOTokenLoadError(profile_name="mine", error_msg="expired"),
        UnauthorizedSSOTokenError(),
        TokenRetrievalError(provider="sso", error_msg="expired"),
        CredentialRetrievalError(provider="process", error_msg="ended with 1"),
    ],
)
def test_a_login_that_has_ended_is_no_access_and_nothing_was_sent(error: BotoCoreError) -> None:
    assert isinstance(from_service("starting a session", error), AccessDenied)
    assert not was_accepted(error)


def test_a_connection_that_ended_may_have_carried_the_call() -> None:
    error = ConnectionClosedError(endpoint_url="https://example.org")
    assert isinstance(from_service("starting a session", error), ServiceFault)
    assert was_accepted(error)
