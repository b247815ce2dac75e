"""The removal policy of resources that hold data."""

from __future__ import annotations

from aws_cdk import RemovalPolicy


def removal_policy(*, retain: bool) -> RemovalPolicy:
    """Returns the policy of a resource that stays in the account when its stack is deleted, or that is deleted with it.

    A failed first deployment deletes its empty resources. Otherwise their names would block the second deployment.
    """
    return RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if retain else RemovalPolicy.DESTROY
