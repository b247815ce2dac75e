"""Errors that botocore raises before it sends a request, which the embedded AWS cannot cause."""

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
from sandpiper_contract.errors import AccessDenied, ServiceFault, SessionLost, Throttled


@pytest.mark.parametrize(
    "error",
    [
        SSOTokenLoadError(profile_name="mine", error_msg="expired"),
        UnauthorizedSSOTokenError(),
        TokenRetrievalError(provider="sso", error_msg="expired"),
        CredentialRetrievalError(provider="process", error_msg="ended with 1"),
    ],
)
def test_an_expired_login_is_access_denied_and_nothing_was_sent(error: BotoCoreError) -> None:
    assert isinstance(from_service("starting a session", error), AccessDenied)
    assert not was_accepted(error)


def test_a_call_whose_connection_closed_may_have_been_accepted() -> None:
    error = ConnectionClosedError(endpoint_url="https://example.org")
    assert isinstance(from_service("starting a session", error), ServiceFault)
    assert was_accepted(error)


def test_clauses_follow_a_message_that_ends_with_a_full_stop() -> None:
    closed = ConnectionClosedError(endpoint_url="https://example.com")
    assert str(closed).endswith(".")
    lost = SessionLost(f"{from_service('running the code', closed)}; it may have run")
    assert ".;" not in str(lost)
    assert str(Throttled("rate exceeded.").with_remedy()).startswith("rate exceeded. Retryable: yes. ")
