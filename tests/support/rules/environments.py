"""Environments that the rule packs check in addition to the included ones: nearly every option, in ten tenants.

An environment has either its own bucket or an existing one, so there are two.
"""

from __future__ import annotations

import datetime
from typing import Any

from tests.support.rich_environment import RICH

_ACCOUNT, _OTHER_ACCOUNT = "111122223333", "444455556666"
_OWN_CALLER, _OTHER_CALLER = (f"arn:aws:iam::{account}:role/agent" for account in (_ACCOUNT, _OTHER_ACCOUNT))
_OTHER_KEY = f"arn:aws:kms:eu-west-1:{_OTHER_ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_PUBLIC = {"network": "PUBLIC", "reason": "pip", "owner": "analysts", "expires": datetime.date(2999, 6, 30)}
_SUBNETS = {"subnets": ("subnet-0123456789abcdef0",), "security_groups": ("sg-0123456789abcdef0",)}
_OTHER_FOLDER = {"uri": "s3://partner.data/inbox/", "account": _OTHER_ACCOUNT, "key": _OTHER_KEY}

_MORE_TENANTS: dict[str, Any] = {
    "defaults": {"interpreters": {"only": {}}},
    "existing-role": {"interpreters": {"only": {"execution_role": f"arn:aws:iam::{_ACCOUNT}:role/existing"}}},
    "without-role": {"interpreters": {"only": {"execution_role": "none"}}},
    "internet": {"interpreters": {"only": {**_PUBLIC, "write": (_OTHER_FOLDER,)}}},
    "private": {"interpreters": {"only": {"network": "VPC", "read": (_OTHER_FOLDER,)}}},
    "subnets": {"interpreters": {"only": {"network": "VPC", **_SUBNETS}}},
    "own-callers": {"interpreters": {"only": {"callers": (_OWN_CALLER,)}}},
    "other-callers": {"interpreters": {"only": {**_PUBLIC, "callers": (_OTHER_CALLER,)}}},
}
OWN_BUCKET: dict[str, Any] = {**RICH, "name": "own", "tenants": {**RICH["tenants"], **_MORE_TENANTS}}
"""With all tenants of RICH."""
EXISTING_BUCKET: dict[str, Any] = {
    **{option: value for option, value in OWN_BUCKET.items() if option not in ("alarm_topic_arn", "budget")},
    "name": "existing",
    "data_bucket": {
        "name": "existing-data",
        "key": f"arn:aws:kms:eu-west-1:{_ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    },
    "tenants": {name: _MORE_TENANTS[name] for name in ("defaults", "existing-role", "internet", "private")},
}
"""Four of the tenants, with an existing bucket and its key, and without notifications."""
