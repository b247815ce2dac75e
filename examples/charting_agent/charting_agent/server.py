"""The agent over HTTP, as AgentCore Runtime calls it: `POST /invocations` with a prompt, `GET /ping`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bedrock_agentcore.runtime import BedrockAgentCoreApp
from starlette.exceptions import HTTPException
from strands.models import BedrockModel

from charting_agent.conversation import answer

if TYPE_CHECKING:
    from strands.models import Model

    from charting_agent.settings import Settings

MOST_TOKENS = 4_096
"""Of one turn of the model's."""


def bedrock(settings: Settings) -> Model:
    """The model of the settings, in the region and with the credentials of boto3's default chain."""
    return BedrockModel(model_id=settings.model_id, max_tokens=MOST_TOKENS)


def create_app(settings: Settings, model: Model) -> BedrockAgentCoreApp:
    """An application that answers `{"prompt": …}` with a JSON string, and with a status of 400 what is no prompt."""
    app = BedrockAgentCoreApp()

    @app.entrypoint
    async def invoke(payload: object) -> str:  # pyright: ignore[reportUnusedFunction]
        return await answer(settings, model, prompt_of(payload))

    return app


def prompt_of(payload: object) -> str:
    """The question. Raises HTTPException."""
    prompt = cast("dict[str, object]", payload).get("prompt") if isinstance(payload, dict) else None
    if not isinstance(prompt, str) or not prompt.strip():
        raise HTTPException(400, 'the payload has no prompt; allowed: {"prompt": "a question"}')
    return prompt
