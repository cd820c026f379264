"""The examples in README.md run."""

import re

import pytest

from tools.toc import ROOT

EXAMPLES = re.findall(r"^```python\n(.+?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(example: str):
    exec(compile(example, "README.md", "exec"), {})
