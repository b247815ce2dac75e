"""Starts the agent on port 8080, for AgentCore Runtime and for a person's own machine. Variables: see `settings`."""

from __future__ import annotations

import sys

from strands.models import BedrockModel

from charting_agent.server import create_app
from charting_agent.settings import MissingSetting, Settings

MOST_TOKENS = 4_096
"""Of one turn of the model's."""


def main() -> int:
    """Serves until it is stopped. Returns 2 where a setting is missing."""
    try:
        settings = Settings.from_environment()
    except MissingSetting as error:
        print(error, file=sys.stderr)
        return 2
    create_app(settings, BedrockModel(model_id=settings.model_id, max_tokens=MOST_TOKENS)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
