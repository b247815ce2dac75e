"""Who runs: the record that `local start` leaves and the other commands read, believed while its process lives."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.settings import STEERING_TOKEN_VARIABLE, state_directory_error

if TYPE_CHECKING:
    from local_aws.settings import StateDirectory


@dataclass(frozen=True)
class RunningInstance:
    """One running embedded AWS. `started` is its start in clock ticks since boot: a pid alone may be reused."""

    pid: int
    started: int
    url: str
    agentcore_url: str
    account: str
    region: str
    access_key_id: str
    secret_access_key: str
    steering_token: str

    def environment(self) -> dict[str, str]:
        """The variables that make boto3, the AWS CLI and the CDK CLI use it; `environment` clears what would win."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": self.agentcore_url,
            "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL": self.agentcore_url,
            STEERING_TOKEN_VARIABLE: self.steering_token,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
        }

    def is_alive(self) -> bool:
        """Whether the very process that wrote this still runs."""
        return process_start(self.pid) == self.started

    def save(self, state: StateDirectory) -> None:
        """Writes the record whole or not at all, readable by its owner alone: it holds the secret key."""
        draft = state.running.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(asdict(self)))
        draft.replace(state.running)


def find(state: StateDirectory) -> RunningInstance | None:
    """The embedded AWS that runs with this state directory, or None. Raises LocalAwsError when it cannot be read."""
    try:
        running = RunningInstance(**json.loads(state.running.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    except OSError as error:
        raise state_directory_error(state, error) from None
    return running if running.is_alive() else None


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot, or None when there is none or it has ended (proc(5), stat)."""
    with suppress(OSError, IndexError, ValueError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    return None
