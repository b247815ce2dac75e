"""Passes the tools to a model through Bedrock's Converse API."""

from code_runner.agent_tools.tools import TOOL_SPECS

MAX_TURNS = 20


def ask(bedrock, model_id, tools, question):
    """Returns the model's final answer. `bedrock` is a bedrock-runtime client, `tools` a CodeInterpreterTools."""
    messages = [{"role": "user", "content": [{"text": question}]}]
    for _ in range(MAX_TURNS):
        answer = bedrock.converse(modelId=model_id, messages=messages, toolConfig={"tools": list(TOOL_SPECS)})
        message = answer["output"]["message"]
        messages.append(message)
        uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        if not uses:
            return "".join(block.get("text", "") for block in message["content"])
        messages.append({"role": "user", "content": [result(use, tools) for use in uses]})
    raise RuntimeError(f"the model returned no answer in {MAX_TURNS} turns")


def result(use, tools):
    """Calls a tool and returns its result for the model."""
    answer = tools.call(use["name"], use["input"])
    status = "success" if answer.ok else "error"
    return {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"json": answer.to_json()}], "status": status}}
