"""Settings of the agent, read from environment variables."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_contract.aws import MANAGED_INTERPRETER

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERPRETER_ID = "CODE_INTERPRETER_ID"
MODEL_ID = "MODEL_ID"
BUCKET = "S3_BUCKET"
FOLDER = "S3_FOLDER"

DEFAULT_FOLDER = "agent-outputs"


class MissingSetting(Exception):  # noqa: N818 - describes the cause
    """A required environment variable is not set."""


@dataclass(frozen=True)
class Settings:
    """The settings. Without a `bucket`, answers contain figures as base64. `folder` has no trailing slash."""

    model_id: str
    interpreter_id: str = MANAGED_INTERPRETER
    bucket: str | None = None
    folder: str = DEFAULT_FOLDER

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Reads the environment variables. Empty variables count as not set. Raises MissingSetting."""
        model_id = environment.get(MODEL_ID)
        if not model_id:
            raise MissingSetting(f"{MODEL_ID} is not set; allowed: a model or an inference profile of Amazon Bedrock")
        return cls(
            model_id=model_id,
            interpreter_id=environment.get(INTERPRETER_ID) or MANAGED_INTERPRETER,
            bucket=environment.get(BUCKET) or None,
            folder=environment.get(FOLDER) or DEFAULT_FOLDER,
        )
