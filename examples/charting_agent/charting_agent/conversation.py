"""Answers a prompt with the model's text, followed by the links to all figures.

Models sometimes truncate the signatures of links. Therefore the code appends the links from the tool's result.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from strands import Agent
from strands.hooks import AfterToolCallEvent, HookProvider, HookRegistry

from charting_agent.python_tool import NAME, python_tool

if TYPE_CHECKING:
    from strands.models import Model

    from charting_agent.settings import Settings

SYSTEM_PROMPT = f"""You are an expert in data analysis.

- Verify every claim with code: call {NAME} for calculations, and print what you need to know.
- Draw with matplotlib and its built-in styles only. Open figures are saved, uploaded and appended to your answer
  automatically, as links that are valid for one hour. Do not repeat the links. Describe what each figure shows.
- Use pandas, numpy and Python's standard library for the data. Each call of {NAME} has a new session.

{NAME} returns JSON:
- isError: whether the code failed. If it did, correct the code with structuredContent.stderr and call again.
- structuredContent: stdout, stderr, exitCode, and the figures as image_urls (in S3) or images (base64, omitted here).
- debug_info: how the code was run."""
OMITTED = "(appended to the answer)"
MAX_TURNS = 20
"""Maximum number of the model's turns. The answer then ends with the text so far."""


@dataclass
class Figures(HookProvider):
    """Collects the figures from the results of the tool, before the model receives them."""

    links: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    inline: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        """Registers the callback for results of tools."""
        registry.add_callback(AfterToolCallEvent, self._collect)

    def _collect(self, event: AfterToolCallEvent) -> None:
        if event.tool_use["name"] != NAME or event.result["status"] != "success":
            return
        for block in event.result["content"]:
            result = json.loads(block.get("text", "{}"))
            output = result["structuredContent"]
            self.links += output.get("image_urls", [])
            self.inline += output.get("images", [])
            # An image in base64 would use tens of thousands of tokens without a benefit for the model.
            if "images" in output:
                output["images"] = [{**image, "d": OMITTED} for image in output["images"]]
                block["text"] = json.dumps(result, ensure_ascii=False)

    def text(self) -> str:
        """Returns the text to append to the answer."""
        text = ""
        if self.links:
            text += "\n\n **Generated Visualizations (S3 URLs - Valid for 1 hour):**"
        for image in self.links:
            text += f"\n **Figure {image['figure']}**: [View Graph]({image['url']})"
            text += f"\n └── Direct Link: {image['url']}"
        if self.inline:
            text += "\n\n **Generated Visualizations (base64):**"
        for image in self.inline:
            text += f"\n **Figure {image['i']}**: data:image/png;base64,{image['d']}"
        return text


async def answer(settings: Settings, model: Model, prompt: str) -> str:
    """Returns the model's text of all turns and the figures. Prompts share no state."""
    figures = Figures()
    agent = Agent(
        model=model, tools=[python_tool(settings)], system_prompt=SYSTEM_PROMPT, hooks=[figures], callback_handler=None
    )
    texts = [
        event["data"] async for event in agent.stream_async(prompt, limits={"turns": MAX_TURNS}) if "data" in event
    ]
    return "".join(texts) + figures.text()
