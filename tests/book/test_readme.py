"""The examples in README.md run, and what it names is there."""

import re
from pathlib import Path

import pytest
from PIL import Image

import make
from regkit.data import hands_phantom
from tools.toc import ROOT

EXAMPLES = re.findall(r"^```python\n(.+?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_runs(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """In a folder with the two files that are named in it."""
    monkeypatch.chdir(tmp_path)
    pair = hands_phantom(64)
    for name, image in {"template": pair.template, "reference": pair.reference}.items():
        Image.fromarray(image.clamp(0, 255).byte().numpy()).save(f"{name}.png")
    exec(compile(example, "README.md", "exec"), {})


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_commands_exist(name: str):
    """What stands as a command in the text is one of make.py."""
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"(?:^    |`)(?:make|python make\.py) ([a-z]\w*)", text, re.M)
    assert {"book", "test"} <= set(named) or name != "README.md"
    assert named and set(named) <= set(make.COMMANDS)


def test_files_exist():
    """So is every file and folder of the table in README.md."""
    table = re.findall(r"^\| (`.+?`) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.M)
    assert len(table) >= 5
    for entry in table:
        for path in re.findall(r"`([^`]+)`", entry):
            assert (ROOT / path).exists(), path
