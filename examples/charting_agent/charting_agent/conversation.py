"""One prompt and its answer: the model's text, and after it every figure's link, put there by code.

A model that repeats a link cuts its signature off now and then. So the links are taken from the tool's own output,
and whatever the model makes of them does not matter.
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
- Draw with matplotlib and its built-in styles alone. Open figures are kept, uploaded and appended to your answer by
  themselves, as links that are valid for one hour; you need not repeat a link. Say what each figure shows.
- pandas, numpy and Python's standard library are there for the data. Each call of {NAME} starts afresh.

{NAME} returns JSON:
- isError: whether the code failed. Then structuredContent.stderr says why: mend the code and call again.
- structuredContent: stdout, stderr, exitCode, and the figures as image_urls (in S3) or images (base64, left out here).
- debug_info: how the code was run."""
LEFT_OUT = "(appended to the answer)"
MOST_TURNS = 20
"""Of the model, after which the answer ends with what there is."""


@dataclass
class Figures(HookProvider):
    """Takes the figures from each result of the tool, on its way to the model."""

    links: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    inline: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def register_hooks(self, registry: HookRegistry, **_: Any) -> None:
        """As HookProvider has it."""
        registry.add_callback(AfterToolCallEvent, self._take)

    def _take(self, event: AfterToolCallEvent) -> None:
        if event.tool_use["name"] != NAME or event.result["status"] != "success":
            return
        for block in event.result["content"]:
            result = json.loads(block.get("text", "{}"))
            output = result["structuredContent"]
            self.links += output.get("image_urls", [])
            self.inline += output.get("images", [])
            # An image in base64 would cost the model tens of thousands of tokens and tell it nothing.
            if "images" in output:
                output["images"] = [{**image, "d": LEFT_OUT} for image in output["images"]]
                block["text"] = json.dumps(result, ensure_ascii=False)

    def text(self) -> str:
        """What is appended to the answer."""
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
    """Everything that the model said, over all of its turns, and the figures. A prompt shares nothing with others."""
    figures = Figures()
    agent = Agent(
        model=model, tools=[python_tool(settings)], system_prompt=SYSTEM_PROMPT, hooks=[figures], callback_handler=None
    )
    said = [
        event["data"] async for event in agent.stream_async(prompt, limits={"turns": MOST_TURNS}) if "data" in event
    ]
    return "".join(said) + figures.text()
