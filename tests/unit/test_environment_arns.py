"""ARNs in an environment file: each that cannot work is one issue that names it, and nothing is synthesized."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandpiper.environment import InvalidEnvironment, load

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.environment import ConfigIssue

IAM = "arn:aws:iam::111122223333"
OTHER = "arn:aws:iam::444455556666"
HEAD = """\
name: dev
account: "111122223333"
region: eu-west-1
owner: platform team
interpreters:
  web:
"""
NO_ROLES = {
    "a user": f"{IAM}:user/me",
    "a group": f"{IAM}:group/team",
    "the account root": f"{IAM}:root",
    "an account": "111122223333",
    "an instance profile": f"{IAM}:instance-profile/code",
    "a policy": f"{IAM}:policy/code",
    "a session": "arn:aws:sts::111122223333:assumed-role/code/session",
    "a federated user": "arn:aws:sts::111122223333:federated-user/me",
    "a unique identifier": "AROAEXAMPLE1234567890",
    "everyone": "*",
    "all roles": f"{IAM}:role/*",
    "roles by a pattern": f"{IAM}:role/code-*",
    "a pattern of one character": f"{IAM}:role/code-?",
    "a path by a pattern": f"{IAM}:role/*/code",
    "a variable": f"{IAM}:role/${{aws:PrincipalTag/team}}",
    "a variable in a path": f"{IAM}:role/${{aws:username}}/code",
    "every account": "arn:aws:iam::*:role/code",
    "no name": f"{IAM}:role/",
    "a path without a name": f"{IAM}:role/code/",
    "an empty path": f"{IAM}:role//code",
    "a region": "arn:aws:iam:eu-west-1:111122223333:role/code",
    "a space": f"{IAM}:role/my code",
}
ROLE_OPTIONS = {
    "readers": ("readers: ['{}']\n", "readers[0]"),
    "writers": ("writers: ['{}']\n", "writers[0]"),
    "administrators": ("administrators: ['{}']\n", "administrators[0]"),
    "callers": ("    callers: ['{}']\n", "interpreters.web.callers[0]"),
    "starters": ("workflows: {{run-code: {{starters: ['{}']}}}}\n", "workflows.run-code.starters[0]"),
    "readers of a workflow": ("workflows: {{run-code: {{readers: ['{}']}}}}\n", "workflows.run-code.readers[0]"),
    "execution_role": ("    execution_role: '{}'\n", "interpreters.web.execution_role"),
}
SERVICE_LINKED = f"{IAM}:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"
IDENTITY_CENTER = f"{IAM}:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0123"


def issues(folder: Path, rest: str) -> tuple[ConfigIssue, ...]:
    """Returns the issues of a file; none if it is valid."""
    file = folder / "dev.yaml"
    file.write_text(HEAD + rest)
    try:
        load(file)
    except InvalidEnvironment as error:
        return error.issues
    return ()


@pytest.mark.parametrize("option", ROLE_OPTIONS)
@pytest.mark.parametrize("arn", NO_ROLES.values(), ids=NO_ROLES)
def test_what_is_not_the_arn_of_one_role_is_one_issue(tmp_path: Path, arn: str, option: str) -> None:
    text, at = ROLE_OPTIONS[option]
    (issue,) = issues(tmp_path, text.format(arn))
    assert (issue.at, issue.problem) == (at, f"is '{arn}'")
    assert "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/NAME" in issue.allowed
    assert issue.remedy


@pytest.mark.parametrize("option", ROLE_OPTIONS)
@pytest.mark.parametrize(
    "arn",
    [
        f"{IAM}:role/code",
        f"{IAM}:role/a/path/code",
        f"{IAM}:role/service-role/code",
        f"{IAM}:role/aws-service-roles/code",
        f"{IAM}:role/Code_+=,.@-1",
    ],
)
def test_roles_with_any_name_and_path_are_valid(tmp_path: Path, arn: str, option: str) -> None:
    assert issues(tmp_path, ROLE_OPTIONS[option][0].format(arn)) == ()


@pytest.mark.parametrize("option", ROLE_OPTIONS)
@pytest.mark.parametrize("arn", [SERVICE_LINKED, IDENTITY_CENTER])
def test_roles_that_aws_manages_can_have_access_to_objects_and_nothing_else(
    tmp_path: Path, arn: str, option: str
) -> None:
    found = issues(tmp_path, ROLE_OPTIONS[option][0].format(arn))
    if option in ("readers", "writers", "administrators", "readers of a workflow"):
        assert found == ()
    else:
        (issue,) = found
        assert issue.problem.startswith("is managed by AWS: 'arn:aws:iam::111122223333:role/aws-")


UNUSABLE: dict[str, tuple[str, str, str]] = {
    **{
        f"{option} from another account": (text.format(f"{OTHER}:role/code"), at, "is in another account: ")
        for option, (text, at) in ROLE_OPTIONS.items()
        if option not in ("callers", "starters", "readers of a workflow")
    },
    **{
        f"{option} from another partition": (
            text.format("arn:aws-cn:iam::111122223333:role/code"),
            at,
            "is in aws-cn: ",
        )
        for option, (text, at) in ROLE_OPTIONS.items()
    },
    "a key in another region": (
        "data_bucket: {key: 'arn:aws:kms:us-east-1:111122223333:key/1'}\n",
        "data_bucket.key",
        "is in us-east-1: ",
    ),
    "an alias of a key": (
        "data_bucket: {key: 'arn:aws:kms:eu-west-1:111122223333:alias/data'}\n",
        "data_bucket.key",
        "is 'arn:aws:kms:eu-west-1:111122223333:alias/data'",
    ),
    "all keys": (
        "data_bucket: {key: 'arn:aws:kms:eu-west-1:111122223333:key/*'}\n",
        "data_bucket.key",
        "is 'arn:aws:kms:eu-west-1:111122223333:key/*'",
    ),
    "a topic in another region": (
        "alarm_topic_arn: arn:aws:sns:us-east-1:111122223333:alarms\n",
        "alarm_topic_arn",
        "is in us-east-1: ",
    ),
    "a topic of all owners in another region": (
        "tenant_alarm_topic_arn: arn:aws:sns:us-east-1:111122223333:alarms\n",
        "tenant_alarm_topic_arn",
        "is in us-east-1: ",
    ),
    "a topic that alarms cannot use": (
        "alarm_topic_arn: arn:aws:sns:eu-west-1:111122223333:alarms.fifo\n",
        "alarm_topic_arn",
        "is 'arn:aws:sns:eu-west-1:111122223333:alarms.fifo'",
    ),
    "a queue as a topic": (
        "alarm_topic_arn: arn:aws:sqs:eu-west-1:111122223333:alarms\n",
        "alarm_topic_arn",
        "is 'arn:aws:sqs:eu-west-1:111122223333:alarms'",
    ),
    "a boundary of another account": (
        f"permissions_boundary: {OTHER}:policy/most\n",
        "permissions_boundary",
        "is in another account: ",
    ),
    "a boundary by a pattern": (
        f"permissions_boundary: '{IAM}:policy/*'\n",
        "permissions_boundary",
        f"is '{IAM}:policy/*'",
    ),
    "a boundary with a pattern in its path": (
        f"permissions_boundary: '{IAM}:policy/?/most'\n",
        "permissions_boundary",
        f"is '{IAM}:policy/?/most'",
    ),
    "a role as a boundary": (f"permissions_boundary: {IAM}:role/most\n", "permissions_boundary", f"is '{IAM}:role/"),
    "a certificate in another region": (
        "    certificates: ['arn:aws:secretsmanager:us-east-1:111122223333:secret:root']\n",
        "interpreters.web.certificates[0]",
        "is in us-east-1: ",
    ),
    "all certificates": (
        "    certificates: ['arn:aws:secretsmanager:eu-west-1:111122223333:secret:*']\n",
        "interpreters.web.certificates[0]",
        "is 'arn:aws:secretsmanager:eu-west-1:111122223333:secret:*'",
    ),
    "a parameter as a certificate": (
        "    certificates: ['arn:aws:ssm:eu-west-1:111122223333:parameter/root']\n",
        "interpreters.web.certificates[0]",
        "is 'arn:aws:ssm:eu-west-1:111122223333:parameter/root'",
    ),
}


@pytest.mark.parametrize(("rest", "at", "problem"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_resource_that_cannot_be_used_is_one_issue(tmp_path: Path, rest: str, at: str, problem: str) -> None:
    (issue,) = issues(tmp_path, rest)
    assert issue.at == at
    assert issue.problem.startswith(problem)
    assert issue.allowed
    assert issue.remedy


def test_resources_of_other_accounts_that_can_be_used_are_valid(tmp_path: Path) -> None:
    usable = (
        f"    callers: [{OTHER}:role/agent]\n"
        "    certificates: ['arn:aws:secretsmanager:eu-west-1:444455556666:secret:root']\n"
        "alarm_topic_arn: arn:aws:sns:eu-west-1:444455556666:alarms\n"
        "data_bucket: {key: 'arn:aws:kms:eu-west-1:444455556666:key/1'}\n"
        "permissions_boundary: arn:aws:iam::aws:policy/job-function/ViewOnlyAccess\n"
    )
    assert issues(tmp_path, usable) == ()
