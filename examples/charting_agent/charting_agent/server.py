"""The agent's HTTP application for AgentCore Runtime: `POST /invocations` with a prompt, and `GET /ping`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bedrock_agentcore.runtime import BedrockAgentCoreApp
from starlette.exceptions import HTTPException
from strands.models import BedrockModel

from charting_agent.conversation import answer

if TYPE_CHECKING:
    from strands.models import Model

    from charting_agent.settings import Settings

MAX_TOKENS = 4_096
"""Maximum number of tokens in one turn of the model."""


def bedrock(settings: Settings) -> Model:
    """Returns the model of the settings, with boto3's default Region and credentials."""
    return BedrockModel(model_id=settings.model_id, max_tokens=MAX_TOKENS)


def create_app(settings: Settings, model: Model) -> BedrockAgentCoreApp:
    """Returns an application that answers `{"prompt": …}` with a JSON string, or with status 400 if it is not valid."""
    app = BedrockAgentCoreApp()

    @app.entrypoint
    async def invoke(payload: object) -> str:  # pyright: ignore[reportUnusedFunction]
        return await answer(settings, model, prompt_of(payload))

    return app


def prompt_of(payload: object) -> str:
    """Returns the prompt of a payload. Raises HTTPException."""
    prompt = cast("dict[str, object]", payload).get("prompt") if isinstance(payload, dict) else None
    if not isinstance(prompt, str) or not prompt.strip():
        raise HTTPException(400, 'the payload has no prompt; allowed: {"prompt": "a question"}')
    return prompt
