"""Contains the options of logs."""

from sandpiper.environment.options import ALLOWED_LOG_RETENTION, LogRetentionDays, Options, option


class Logs(Options):
    """The logs of functions and workflows, and what AgentCore delivers for each interpreter."""

    retention_days: LogRetentionDays = option("retention in days", ALLOWED_LOG_RETENTION, 30)
    usage: bool = option(
        "whether AgentCore delivers CPU time and memory of each session to a log group", "true | false", True
    )
    traces: bool = option(
        "whether AgentCore delivers spans to X-Ray; requires Transaction Search of CloudWatch in the account",
        "true | false",
        True,
    )
