"""Log retention periods of CloudWatch: days in the environment file by the CDK's constant."""

from aws_cdk.aws_logs import RetentionDays

from sandpiper.environment.options import LOG_RETENTION_DAYS

RETENTION: dict[int, RetentionDays] = dict(
    zip(
        LOG_RETENTION_DAYS,
        (
            RetentionDays.ONE_DAY,
            RetentionDays.THREE_DAYS,
            RetentionDays.FIVE_DAYS,
            RetentionDays.ONE_WEEK,
            RetentionDays.TWO_WEEKS,
            RetentionDays.ONE_MONTH,
            RetentionDays.TWO_MONTHS,
            RetentionDays.THREE_MONTHS,
            RetentionDays.FOUR_MONTHS,
            RetentionDays.FIVE_MONTHS,
            RetentionDays.SIX_MONTHS,
            RetentionDays.ONE_YEAR,
            RetentionDays.THIRTEEN_MONTHS,
            RetentionDays.EIGHTEEN_MONTHS,
            RetentionDays.TWO_YEARS,
            RetentionDays.THREE_YEARS,
            RetentionDays.FIVE_YEARS,
            RetentionDays.SIX_YEARS,
            RetentionDays.SEVEN_YEARS,
            RetentionDays.EIGHT_YEARS,
            RetentionDays.NINE_YEARS,
            RetentionDays.TEN_YEARS,
        ),
        strict=True,
    )
)
