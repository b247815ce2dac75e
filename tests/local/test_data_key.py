"""A data bucket with its own KMS key: a run writes to it, and a second deployment changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import boto3

from sandpiper import workflow

if TYPE_CHECKING:
    from tests.support.environments import Environments

OWN_KEY = """\
  key: own
interpreters:
  sandbox:
"""


def test_a_run_stores_files_in_a_bucket_with_a_customer_managed_key(environments: Environments) -> None:
    file = environments.write("keyed", OWN_KEY)
    environments.deploy(file)
    deployment = environments.tenant(file, "main")
    kms = cast("Any", boto3.client("kms"))
    key = cast("Any", boto3.client("ssm")).get_parameter(Name="/sandpiper/keyed/data-key-arn")["Parameter"]["Value"]
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True

    program = {"code": "open('left.txt', 'w').write('kept')"}
    finished = workflow.run(boto3.Session(), deployment, program, [], environments.folder / "out", lambda _: None)
    assert [(each.name, each.size) for each in finished.files] == [("left.txt", 4)]

    second = environments.deploy(file)
    assert second.count("(no changes)") == 3, second
