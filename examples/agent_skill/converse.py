"""Passes the tools to a model through Bedrock's Converse API."""

from code_runner.agent_tools.tools import TOOL_SPECS

MAX_TURNS = 20


def ask(bedrock, model_id, tools, question):
    """Returns the model's final answer. `bedrock` is a bedrock-runtime client, `tools` a CodeInterpreterTools."""
    messages = [{"role": "user", "content": [{"text": question}]}]
    for _ in range(MAX_TURNS):
        response = bedrock.converse(modelId=model_id, messages=messages, toolConfig={"tools": list(TOOL_SPECS)})
        message = response["output"]["message"]
        messages.append(message)
        uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        if not uses:
            return "".join(block.get("text", "") for block in message["content"])
        messages.append({"role": "user", "content": [result(use, tools) for use in uses]})
    raise RuntimeError(f"the model returned no answer in {MAX_TURNS} turns")


def result(use, tools):
    """Calls a tool and returns its result for the model."""
    tool_result = tools.call(use["name"], use["input"])
    status = "success" if tool_result.ok else "error"
    return {
        "toolResult": {"toolUseId": use["toolUseId"], "content": [{"json": tool_result.to_json()}], "status": status}
    }
