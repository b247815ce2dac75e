"""Contains the options of alarms: their thresholds and the topics that are notified."""

from sandpiper.environment.options import ACCOUNT, PARTITION, Options, option

TOPIC_ARN = rf"^arn:{PARTITION}:sns:[a-z0-9-]+:{ACCOUNT}:[A-Za-z0-9_-]{{1,256}}$"


class AlarmThresholds(Options):
    """How many events in five minutes raise an alarm, unless another unit is stated.

    `errors` counts failed runs without those that their author has to correct, such as `InvalidRequest`.
    """

    errors: int = option("failed runs", "a whole number of failed runs in five minutes, 1 or more", 1, ge=1)
    throttles: int = option("throttled calls", "a whole number of throttled calls in five minutes, 1 or more", 5, ge=1)
    timed_out: int = option(
        "executions that reached the workflow's maximum duration",
        "a whole number of executions in five minutes, 1 or more",
        1,
        ge=1,
    )
    aborted: int = option(
        "executions that a caller stopped", "a whole number of executions in five minutes, 1 or more", 5, ge=1
    )
    sessions_not_stopped: int = option(
        "sessions that could not be stopped", "a whole number of sessions in five minutes, 1 or more", 1, ge=1
    )
    access_denied: int = option(
        "runs to which AgentCore or S3 denied access", "a whole number of runs in five minutes, 1 or more", 1, ge=1
    )
    duration_percent: int = option(
        "the longest invocation of the session function, in percent of its timeout",
        "a whole number of percent, 1 to 100",
        90,
        ge=1,
        le=100,
    )
    latency_deviations: int = option(
        "standard deviations between the expected latency of AgentCore and the alarm, for 15 minutes",
        "a whole number of standard deviations, 1 or more",
        3,
        ge=1,
    )
    skipped_files: int = option(
        "files of programs that were not returned", "a whole number of files in five minutes, 1 or more", 20, ge=1
    )
    daily_usd: int = option(
        "estimated cost of the tenant in 24 hours", "a whole number of US dollars, 1 or more", 50, ge=1
    )


class FleetAlarmThresholds(Options):
    """Thresholds of the alarms on the account's usage and quotas, and on the network."""

    vcpu_hours: int = option(
        "vCPU hours of all sessions in the account in one hour", "a whole number of vCPU hours, 1 or more", 100, ge=1
    )
    quota_percent: int = option(
        "use of each quota of the account, in percent of the quota",
        "a whole number of percent, 1 to 100",
        80,
        ge=1,
        le=100,
    )
    blocked_names: int = option(
        "DNS queries that the network's firewall blocked",
        "a whole number of queries in five minutes, 1 or more",
        20,
        ge=1,
    )
