"""IAM principals of tests: roles and users with given permissions."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from tests.support.account import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Generator

Statement = dict[str, Any]


def allow(*actions: str, resource: str | list[str] = "*", **elements: Any) -> Statement:
    """Returns a statement that allows actions."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **elements}


def document(*statements: Statement) -> str:
    """Returns a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass(frozen=True)
class Role:
    """A role with one inline policy, which can be replaced."""

    name: str

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"

    def set_permissions(self, *statements: Statement) -> None:
        """Replaces the policy. The additional statement allows nothing: a policy needs at least one."""
        policy = document(*statements, allow("none:None"))
        boto3.client("iam").put_role_policy(RoleName=self.name, PolicyName="it", PolicyDocument=policy)

    def session(self) -> boto3.Session:
        """Assumes the role."""
        credentials = boto3.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")["Credentials"]
        return boto3.Session(
            credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"], region_name=REGION
        )


@contextmanager
def user(*statements: Statement) -> Generator[boto3.Session]:
    """Creates a user with the permissions for the duration of a block. Yields a session of the user."""
    iam, name = boto3.client("iam"), f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="it", PolicyDocument=document(*statements))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=name, PolicyName="it")
    iam.delete_user(UserName=name)


def any_client(service: Any) -> Any:
    """Returns a client of a service without installed type stubs."""
    session: Any = boto3
    return session.client(service)
