"""The record of a running embedded AWS: addresses and credentials, valid while its process holds a lock on it.

`sandpiper local start` writes it and the other commands read it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING

from local_aws.lock import is_locked, try_lock
from local_aws.process_tree import start_time
from local_aws.settings import ADMIN_TOKEN_VARIABLE, state_directory_error

if TYPE_CHECKING:
    from local_aws.settings import StateDirectory


@dataclass(frozen=True)
class RunningInstance:
    """A running embedded AWS.

    Attributes:
        pid: Process ID of the service, in its PID namespace.
        started: Start time of that process, in clock ticks since boot. A process ID alone may be reused.
        url: The AWS endpoint.
        agentcore_url: The AgentCore endpoint.
        account: Account ID.
        region: Region name.
        access_key_id: Access key of the account root.
        secret_access_key: Its secret.
        steering_token: Token for the faults, clock and sessions of the AgentCore endpoint.
    """

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
        """Returns the variables that direct boto3, the AWS CLI and the CDK CLI to this instance.

        `environment.changes` also unsets variables that would take precedence.
        """
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE": self.agentcore_url,
            "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE_CONTROL": self.agentcore_url,
            ADMIN_TOKEN_VARIABLE: self.steering_token,
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
        """Returns whether the process that wrote this record runs, and is in the PID namespace of this process."""
        return start_time(self.pid) == self.started

    def save(self, state: StateDirectory) -> IO[str]:
        """Writes the record atomically. Only the owner can read it, because it holds the secret access key.

        Returns:
            The open file. The record is valid until it is closed, at the latest when this process ends.
        """
        draft = state.running.with_suffix(".new")
        draft.unlink(missing_ok=True)
        file = os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
        try_lock(file)
        file.write(json.dumps(asdict(self)))
        file.flush()
        draft.replace(state.running)
        return file


def find(state: StateDirectory) -> RunningInstance | None:
    """Returns the embedded AWS that runs with this state directory, or None.

    Raises:
        LocalAwsError: The record cannot be read.
    """
    try:
        with state.running.open() as file:
            if not is_locked(file):  # left by a process that was killed
                return None
            return RunningInstance(**json.loads(file.read()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    except OSError as error:
        raise state_directory_error(state, error) from None
