"""Published examples that use the libraries of the service run in a sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Invoke = Callable[..., dict[str, Any]]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        (
            "import duckdb, pandas as pd\norders = pd.DataFrame({'customer': ['a', 'b', 'a'], 'amount': [1.5, 2, 3]})\n"
            "sql = 'SELECT customer, SUM(amount) AS total FROM orders GROUP BY customer ORDER BY total DESC'\n"
            "print(duckdb.sql(sql).df().to_string(index=False))",
            "customer  total\n       a    4.5\n       b    2.0",
        ),
        (
            "from sklearn.datasets import load_iris\nfrom sklearn.ensemble import RandomForestClassifier\n"
            "iris = load_iris()\nforest = RandomForestClassifier(10, random_state=0).fit(iris.data, iris.target)\n"
            "print(forest.score(iris.data, iris.target) > 0.95)",
            "True",
        ),
        (
            "import openpyxl\nbook = openpyxl.Workbook()\nbook.active.append([1, 'two'])\nbook.save('book.xlsx')\n"
            "print([cell.value for cell in openpyxl.load_workbook('book.xlsx').active[1]])",
            "[1, 'two']",
        ),
        ("import numpy, scipy.stats\nprint(round(scipy.stats.norm.cdf(numpy.float64(0)), 3))", "0.5"),
        (
            "import boto3, requests\ns3 = boto3.client('s3', region_name='us-east-1')\n"
            "print(s3.meta.service_model.service_name)\n"
            "print(requests.Request('GET', 'https://example.com').prepare().url)",
            "s3\nhttps://example.com/",
        ),
    ],
    ids=["duckdb", "scikit-learn", "openpyxl", "scipy", "boto3 and requests"],
)
def test_published_example_prints_its_output(invoke: Invoke, code: str, printed: str) -> None:
    content = invoke("executeCode", language="python", code=code)["structuredContent"]
    assert (content["stdout"], content["stderr"]) == (printed, "")


def test_command_line_programs_are_on_the_path(invoke: Invoke) -> None:
    for command in ("aws", "deno", "node", "npm", "npx", "pip", "python"):
        content = invoke("executeCommand", command=f"{command} --version")["structuredContent"]
        assert (content["exitCode"], any(letter.isdigit() for letter in content["stdout"])) == (0, True), content


def test_packages_that_the_service_lacks_are_not_installed(invoke: Invoke) -> None:
    content = invoke("executeCode", language="python", code="import seaborn")["structuredContent"]
    assert content["stderr"].endswith("No module named 'seaborn'")
