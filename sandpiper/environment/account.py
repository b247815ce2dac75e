"""Contains the options about the whole account: its quotas and the monthly budget."""

from typing import Annotated

from pydantic import Field

from sandpiper.environment.options import AsTuple, Options, option
from sandpiper.environment.subscriptions import Email


class Budget(Options):
    """The monthly budget. AWS sends an e-mail when the forecast exceeds it, and does not stop anything."""

    usd_a_month: int = option(
        "monthly limit for all resources with this environment's tag",
        "a whole number of dollars, 1 or more",
        ge=1,
        examples=[500],
    )
    emails: Annotated[tuple[Email, ...], Field(min_length=1, max_length=10), AsTuple] = option(
        "recipients", "a list of 1 to 10 e-mail addresses", examples=[["platform@example.com"]]
    )


class Quotas(Options):
    """The account's quotas. Sandpiper compares the environment with them and does not query AWS.

    The defaults are AWS's defaults of November 2026:
    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/bedrock-agentcore-limits.html
    AWS may have granted a new account less, and accounts have reported a quota of 0 sessions. To see the account's
    quotas, run `aws service-quotas list-service-quotas --service-code bedrock-agentcore` (and `lambda`).
    """

    live_sessions: int = option("concurrent sessions", "a whole number, 1 or more", 1_000, ge=1)
    calls_per_second: int = option("calls per second of each session operation", "a whole number, 1 or more", 30, ge=1)
    interpreters: int = option("custom interpreters", "a whole number, 1 or more", 1_000, ge=1)
    functions_at_once: int = option("Lambda's concurrent executions", "a whole number, 1 or more", 1_000, ge=1)
