"""Calls the tools without a model: python examples/agent_skill/session.py INTERPRETER_ID BUCKET."""

import json
import sys

from code_runner.agent_tools.tools import CodeInterpreterTools

interpreter_id, bucket = sys.argv[1:]
uploads = {"sales.csv": b"month,sales\nJan,10\nFeb,12\nMar,17\n"}
chart = "import matplotlib.pyplot as plt\ndf.plot.bar(x='month', y='sales')\nplt.savefig('sales.png')"

with CodeInterpreterTools(interpreter_id, bucket=bucket, prefix="agents/demo", uploads=uploads) as tools:
    for tool, tool_input in [
        ("execute_code", {"code": "import pandas as pd\ndf = pd.read_csv('sales.csv')\nprint(df.sales.sum())"}),
        ("execute_code", {"code": chart, "output_filename": "sales.png"}),
        ("ci_push_to_workspace", {}),
        ("workspace_list", {"path": "code-interpreter/"}),
    ]:
        print(tool, json.dumps(tools.call(tool, tool_input).to_json(), indent=2))
