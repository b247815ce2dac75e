"""Checks the project's prose against its vocabulary: `prose_lint.py [PATH…]`, by default every tracked file.

The prose of Markdown pages, and the comments, docstrings and messages of Python files, are written to `build/prose` as
Markdown, line by line, and textlint checks them. Findings name the original file and line.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
RULES = PROJECT / "tools" / "prose"
OUTPUT = PROJECT / "build" / "prose"
DOCS_COLUMNS = 100
"""The longest line of a page. Tables, links and code cannot be wrapped and are exempt."""
SUFFIXES = {".py", ".md"}
COMMENTED = {".yaml", ".yml", ".toml", ".sh"}
EXCLUDED = (
    "examples/agent_skill/",  # programs of other authors, unchanged
    "tests/wire/",  # recorded responses of the service
    "tools/prose/",
)
WORDS = re.compile(r"\w+(?:\W+\w+){2,}")


def main(arguments: list[str]) -> int:
    """Prints one line for each finding. Returns 1 if there are findings, otherwise 0."""
    files = [path for path in _tracked(arguments) if not str(path).startswith(EXCLUDED)]
    shutil.rmtree(OUTPUT, ignore_errors=True)
    findings: list[str] = []
    for path in files:
        text = (PROJECT / path).read_text()
        if path.suffix == ".md":
            findings += _long_lines(path, text)
        target = OUTPUT / f"{path}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_prose(path, text))
    findings += _textlint() if files else []
    for finding in sorted(findings):
        print(finding)
    print(f"{len(findings)} findings in {len(files)} files", file=sys.stderr)
    return 1 if findings else 0


def _tracked(arguments: list[str]) -> list[Path]:
    command = ["git", "ls-files", "-z", "--", *arguments]
    listed = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True).stdout  # noqa: S603
    paths = (Path(name) for name in listed.split("\0") if name)
    return [
        path
        for path in paths
        if (path.suffix in SUFFIXES | COMMENTED or path.name == "Makefile") and (PROJECT / path).is_file()
    ]


def _prose(path: Path, text: str) -> str:
    if path.suffix == ".md":
        return text
    if path.suffix == ".py":
        return _python_prose(text)
    return "\n".join(line.partition("#")[2].strip() if "#" in line else "" for line in text.splitlines())


def _python_prose(source: str) -> str:
    """Returns the comments and the strings of at least three words, each on the line where it is in the source."""
    lines = [""] * (source.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            prose = token.string.lstrip("#! ")
        elif token.type == tokenize.STRING and WORDS.search(token.string):
            prose = re.sub(r"^[A-Za-z]*(\"\"\"|'''|\"|')|(\"\"\"|'''|\"|')$", "", token.string)
        else:
            continue
        for offset, line in enumerate(prose.splitlines()):
            row = token.start[0] - 1 + offset
            lines[row] = f"{lines[row]} {line.strip()}".strip()
    return "\n".join(lines)


def _long_lines(path: Path, text: str) -> list[str]:
    findings: list[str] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        exempt = fenced or line.lstrip().startswith(("|", "```")) or " " not in line.strip()[:DOCS_COLUMNS]
        if len(line) > DOCS_COLUMNS and not exempt:
            findings.append(f"{path}:{number}: line of {len(line)} characters; allowed: at most {DOCS_COLUMNS}")
    return findings


def _textlint() -> list[str]:
    textlint = RULES / "node_modules" / ".bin" / "textlint"
    if not textlint.exists():
        raise SystemExit(f"{textlint} is not installed: run `tools/prose-lint` or `make check`, which install it")
    command = [
        *(str(textlint), "--config", str(RULES / "textlintrc.json")),
        *("--rules-base-directory", str(RULES / "node_modules"), "--format", "unix", str(OUTPUT)),
    ]
    done = subprocess.run(command, cwd=RULES, capture_output=True, check=False, text=True)  # noqa: S603
    if done.returncode not in (0, 1):
        raise SystemExit(f"textlint failed with exit code {done.returncode}:\n{done.stderr}{done.stdout}")
    prefix = f"{OUTPUT}/"
    rows = (line.removeprefix(prefix) for line in done.stdout.splitlines() if line.startswith(prefix))
    return [re.sub(r"\.md:(\d+):\d+: ", r":\1: ", row, count=1) for row in rows]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
