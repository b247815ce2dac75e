"""Reads the audit trail of an environment and checks whether it records the environment's events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sandpiper.audit.coverage import missing_selectors
from sandpiper.aws_errors import aws_errors_as_cli_errors, error_code
from sandpiper.environment.audit import event_selectors
from sandpiper.errors import CliError
from sandpiper.names import audit_trail_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandpiper.environment.model import Environment
    from sandpiper.plan.deployed import Account

NOT_FOUND = ("TrailNotFoundException", "CloudTrailARNInvalidException", "InvalidTrailNameException")
PERMISSIONS = "cloudtrail:GetTrail, cloudtrail:GetTrailStatus and cloudtrail:GetEventSelectors"


@dataclass(frozen=True)
class CheckedTrail:
    """A trail and what it lacks.

    Attributes:
        name: its name or ARN.
        exists: whether it exists.
        problems: each problem with its remedy. A trail without any records all events of the environment.
    """

    name: str
    exists: bool
    problems: tuple[str, ...] = ()


def check_trail(account: Account, environment: Environment) -> CheckedTrail | None:
    """Returns the trail of an environment, or None without the option `audit`.

    Raises:
        CliError: AWS refuses a call.
    """
    if environment.audit is None:
        return None
    name = audit_trail_name(environment.name) if environment.audit.is_own else environment.audit.trail
    session: Any = account.session  # its type has no CloudTrail client
    client = session.client("cloudtrail")
    with aws_errors_as_cli_errors(f"{PERMISSIONS} on the trail {name}"):
        try:
            trail = client.get_trail(Name=name)["Trail"]
        except ClientError as error:
            if error_code(error) in NOT_FOUND:
                return CheckedTrail(name, exists=False, problems=(_not_found(account, environment, name),))
            raise
        is_logging = client.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
        selectors = client.get_event_selectors(TrailName=trail["TrailARN"])
    return CheckedTrail(name, exists=True, problems=tuple(_problems(environment, trail, is_logging, selectors)))


def existing_trail_problems(account: Account, environment: Environment | None) -> tuple[str, ...]:
    """Returns the problems of an existing trail that the environment file names; none if the environment creates it.

    Raises:
        CliError: The trail does not exist, or AWS refuses a call.
    """
    if environment is None or environment.audit is None or environment.audit.is_own:
        return ()
    checked = check_trail(account, environment)
    if checked is None or checked.exists:
        return () if checked is None else tuple(f"audit.trail: {each}" for each in checked.problems)
    raise CliError(f"audit.trail: {checked.problems[0]}")


def _not_found(account: Account, environment: Environment, name: str) -> str:
    where = f"account {account.target.account}, {account.target.region}"
    remedy = "run `cdk deploy --all`" if environment.audit and environment.audit.is_own else "correct the name or ARN"
    command = "aws cloudtrail list-trails"
    return f"the trail {name} does not exist in {where}: {remedy} (`{command}` lists trails), or set `trail: own`"


def _problems(
    environment: Environment, trail: Mapping[str, Any], is_logging: bool, selectors: Mapping[str, Any]
) -> Iterator[str]:
    name = trail["TrailARN"]
    region = environment.region
    if not trail.get("IsMultiRegionTrail") and trail.get("HomeRegion", region) != region:
        yield f"the trail {name} records {trail['HomeRegion']} only: use a trail of {region} or of all regions"
    if not is_logging:
        yield f"the trail {name} does not record: run `aws cloudtrail start-logging --name {name}`"
    if missing := [each.to_json() for each in missing_selectors(event_selectors(environment), selectors)]:
        names = ", ".join(each["Name"] for each in missing)
        current = selectors.get("AdvancedEventSelectors", [])
        all_selectors = json.dumps([*current, *missing])
        replaced = (
            "which also replaces its basic selectors, so add what they record"
            if selectors.get("EventSelectors")
            else "which keeps its other selectors"
        )
        yield (
            f"the trail {name} does not record: {names}. Run `aws cloudtrail put-event-selectors --trail-name {name} "
            f"--advanced-event-selectors '{all_selectors}'`, {replaced}"
        )
