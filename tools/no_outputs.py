"""Complain of notebooks that are stored with outputs.

python -m tools.no_outputs [notebook ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def stored(notebook: Path) -> list[str]:
    """What `notebook` holds that only its execution gives, in words."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    found = ["the state of widgets"] if "widgets" in content["metadata"] else []
    for number, cell in enumerate(content["cells"], start=1):
        if cell.get("outputs"):
            found.append(f"outputs of cell {number}")
        elif cell.get("execution_count") is not None:
            found.append(f"the execution count of cell {number}")
    return found


def main() -> None:
    paths = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "book").rglob("*.ipynb"))
    complaints = [f"{path.name} stores {', '.join(stored(path))}" for path in paths if stored(path)]
    if complaints:
        advice = "clear them: jupyter nbconvert --clear-output --inplace book/NN_topic.ipynb"
        sys.exit("\n".join([*complaints, advice]))


if __name__ == "__main__":
    main()
