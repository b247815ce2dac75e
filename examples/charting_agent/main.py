"""Starts the agent on port 8080, on AgentCore Runtime or locally. `settings` defines its environment variables."""

from __future__ import annotations

import sys

from charting_agent.server import bedrock, create_app
from charting_agent.settings import MissingSetting, Settings


def main() -> int:
    """Serves requests until it is stopped. Returns 2 if a setting is missing."""
    try:
        settings = Settings.from_environment()
    except MissingSetting as error:
        print(error, file=sys.stderr)
        return 2
    create_app(settings, bedrock(settings)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
