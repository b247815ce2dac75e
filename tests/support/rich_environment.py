"""The options of an environment that uses nearly every option."""

from __future__ import annotations

import datetime
from typing import Any

RICH: dict[str, Any] = {
    "account": "111122223333",
    "region": "eu-west-1",
    "owner": "platform team",
    "tags": {"cost-centre": "42", "stage": "test"},
    "permissions_boundary": "arn:aws:iam::111122223333:policy/boundaries/sandbox",
    "alarm_topic_arn": "arn:aws:sns:eu-west-1:111122223333:alarms",
    "tenant_alarm_subscriptions": {
        "emails": ("owners@example.com",),
        "https": ("https://events.pagerduty.com/integration/abc/enqueue",),
        "slack": {"workspace": "T0123ABCD", "channel": "C0123ABCD"},
    },
    "approval_topic_arn": "arn:aws:sns:eu-west-1:111122223333:approvals",
    "budget": {"usd_a_month": 400, "emails": ("a@example.com",)},
    "audit": {"trail": "own", "retention_days": 400},
    "data_bucket": {"key": "own", "events": True, "retention_days": {"runs": 30, "removed_tenants": {"former": 10}}},
    "availability_zones": {"eu-west-1a": "euw1-az1", "eu-west-1c": "euw1-az3"},
    "network": {"endpoints": ("logs", "ecr.dkr"), "domains": ("*.example.com",), "query_log_days": 365},
    "tenants": {
        "claims": {
            "interpreters": {
                "one": {"certificates": ("arn:aws:secretsmanager:eu-west-1:111122223333:secret:root-AbCdEf",)}
            },
            "owner": "claims team",
            "alarm_topic_arn": "arn:aws:sns:eu-west-1:111122223333:claims-alarms",
            "tags": {"stage": "trial"},
            "workflows": {
                "run-code": {
                    "starters": (
                        "arn:aws:iam::111122223333:role/starter",
                        "arn:aws:iam::444455556666:role/starter",
                    ),
                    "readers": ("arn:aws:iam::111122223333:role/path/reader", "arn:aws:iam::444455556666:role/reader"),
                },
                "run-code-express": {},
                "run-command": {"starters": ("arn:aws:iam::111122223333:role/starter",)},
                "run-session": {},
            },
        },
        "analytics": {
            "interpreters": {
                "two": {
                    "network": "PUBLIC",
                    "reason": "pip",
                    "owner": "analysts",
                    "expires": datetime.date(2999, 6, 30),
                },
                "three": {
                    "callers": (
                        "arn:aws:iam::111122223333:role/agent",
                        "arn:aws:iam::444455556666:role/agent",
                    )
                },
                "four": {
                    "network": "VPC",
                    "read": ("s3://reference-data/rates/",),
                    "write": ({"uri": "s3://partner.data/inbox/", "account": "222233334444"},),
                    "session": {"longest_seconds": 3600},
                },
                "five": {
                    "network": "VPC",
                    "subnets": ("subnet-0123456789abcdef0",),
                    "security_groups": ("sg-0123456789abcdef0",),
                    "execution_role": "none",
                },
            },
            "session_function": {"memory_mib": 1024, "reserved_concurrency": 20, "log_level": "DEBUG"},
        },
    },
}
"""An environment that uses nearly every option."""
