"""The policy sizes that the check of environment files computes match the templates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment import Environment
from sandpiper.environment.network_folders import interpreter_prefix
from sandpiper.environment.policy_checks import endpoint_policy_size, execution_role_size
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import synthesize

if TYPE_CHECKING:
    from pathlib import Path

OTHER_ACCOUNT = "222233334444"
KEY = f"arn:aws:kms:eu-west-1:{OTHER_ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ZONES = {f"{REGION}a": "use1-az1", f"{REGION}b": "use1-az2"}
FOLDERS: dict[str, Any] = {
    "none": {},
    "one": {"read": ["s3://bucket/exports/"]},
    "of several buckets and accounts": {
        "read": [
            "s3://bucket/exports/",
            "s3://bucket/rates/daily/",
            {"uri": "s3://theirs/inbox/", "account": OTHER_ACCOUNT},
        ],
        "write": [
            "s3://bucket/reports/",
            "s3://other/reports/",
            {"uri": "s3://theirs/outbox/", "account": OTHER_ACCOUNT},
        ],
    },
    "with keys": {
        "read": [{"uri": "s3://bucket/exports/", "key": KEY}, {"uri": "s3://bucket/rates/", "key": KEY}],
        "write": [{"uri": "s3://theirs/outbox/", "account": OTHER_ACCOUNT, "key": KEY}],
    },
    "thirty": {"read": [f"s3://bucket/folder-{number}/" for number in range(30)]},
}


@pytest.mark.parametrize("key", ["aws", "own", KEY.replace("eu-west-1", REGION)], ids=["no key", "own key", "a key"])
@pytest.mark.parametrize("folders", FOLDERS.values(), ids=FOLDERS)
def test_checked_policy_sizes_match_the_templates(tmp_path: Path, folders: dict[str, Any], key: str) -> None:
    options: dict[str, Any] = {
        "tenants": {"team": {"interpreters": {"private": {"network": "VPC", **folders}}}},
        "availability_zones": ZONES,
        "network": {},
        "data_bucket": {"key": key},
    }
    environment = Environment.model_validate(
        {"name": "one", "account": ACCOUNT, "region": REGION, "owner": "tests", **options}
    )
    assembly = synthesize(tmp_path, options)
    endpoint = assembly["sandpiper-one-network"].only("AWS::EC2::VPCEndpoint")["PolicyDocument"]
    assert endpoint_policy_size(environment) == len(json.dumps(endpoint))

    (role,) = (
        each["Policies"][0]["PolicyDocument"]
        for name, each in assembly["sandpiper-one-team"].resources("AWS::IAM::Role").items()
        if name.startswith("InterpreterprivateExecutionRole")
    )
    interpreter = environment.all_tenants["team"].interpreters["private"]
    computed = execution_role_size(environment, interpreter_prefix(environment, "team", "private"), interpreter)
    written = len(json.dumps(role, separators=(",", ":")))
    # The template contains a reference to a new key, for which the check reserves space.
    assert written <= computed < written + 60 if key == "own" else computed == written
