"""The tools in the hands of a model, through Bedrock's Converse."""
from code_runner.agent_tools.tools import TOOL_SPECS

MOST_TURNS = 20


def ask(bedrock, model_id, tools, question):
    """What the model says in the end. `bedrock` is a bedrock-runtime client, `tools` a CodeInterpreterTools."""
    messages = [{"role": "user", "content": [{"text": question}]}]
    for _ in range(MOST_TURNS):
        answer = bedrock.converse(modelId=model_id, messages=messages, toolConfig={"tools": list(TOOL_SPECS)})
        message = answer["output"]["message"]
        messages.append(message)
        uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
        if not uses:
            return "".join(block.get("text", "") for block in message["content"])
        messages.append({"role": "user", "content": [result(use, tools) for use in uses]})
    raise RuntimeError(f"the model had no answer after {MOST_TURNS} turns")


def result(use, tools):
    """What a tool answered, as the model is told it."""
    answer = tools.call(use["name"], use["input"])
    status = "success" if answer.ok else "error"
    return {"toolResult": {"toolUseId": use["toolUseId"], "content": [{"json": answer.to_json()}], "status": status}}
