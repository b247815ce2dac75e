"""Contains the options of an alarm topic that the environment creates: who receives its notifications."""

from typing import Annotated

from pydantic import Field

from sandpiper.environment.options import AsTuple, NotEmpty, Options, item, option

MAX_SUBSCRIPTIONS = 10
ALLOWED_EMAIL = "an e-mail address of at most 50 characters"
Email = Annotated[
    str, item(ALLOWED_EMAIL, "platform@example.com", pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=50)
]
HttpsUrl = Annotated[
    str,
    item(
        "an HTTPS URL without a user name, such as https://events.pagerduty.com/integration/KEY/enqueue",
        "https://events.pagerduty.com/integration/KEY/enqueue",
        pattern=r"^https://[A-Za-z0-9.-]+\.[A-Za-z0-9-]+(:[0-9]{1,5})?(/[^\s@#]*)?$",
        max_length=2_048,
    ),
]


class SlackChannel(Options):
    """A channel of a Slack workspace that Amazon Q Developer in chat applications (AWS Chatbot) is authorized for."""

    workspace: str = option(
        "the workspace, which is authorized once in the console of Amazon Q Developer in chat applications",
        "the ID of a Slack workspace, such as T0123ABCD",
        pattern=r"^[0-9A-Z]{1,255}$",
        examples=["T0123ABCD"],
    )
    channel: str = option(
        "the channel, to which the app Amazon Q is invited if it is private",
        "the ID of a Slack channel, such as C0123ABCD",
        pattern=r"^[A-Za-z0-9]{1,255}$",
        examples=["C0123ABCD"],
    )


class AlarmSubscriptions(Options):
    """An encrypted SNS topic that the fleet stack creates, and its subscriptions."""

    emails: Annotated[tuple[Email, ...], Field(max_length=MAX_SUBSCRIPTIONS), AsTuple] = option(
        "recipients of an e-mail, who confirm the subscription",
        f"a list of at most {MAX_SUBSCRIPTIONS} e-mail addresses",
        (),
    )
    https: Annotated[tuple[HttpsUrl, ...], Field(max_length=MAX_SUBSCRIPTIONS), AsTuple] = option(
        "endpoints that receive each notification, such as an integration of PagerDuty with CloudWatch",
        f"a list of at most {MAX_SUBSCRIPTIONS} HTTPS URLs",
        (),
    )
    slack: Annotated[SlackChannel | None, NotEmpty] = option(
        "a channel of Slack", "a mapping of workspace, channel", None
    )

    @property
    def is_empty(self) -> bool:
        """Returns whether it has no recipient."""
        return not self.emails and not self.https and self.slack is None
