"""The pages of the book in the order of _toc.yml, one path a line; --notebooks leaves out the others."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent


def pages(root: Path = ROOT) -> list[Path]:
    """Every page that _toc.yml lists, as an existing path: root, then chapters in reading order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))

    def entries(node: dict) -> list[str]:
        names = [node[key] for key in ("root", "file") if key in node]
        for key in ("parts", "chapters", "sections"):
            for child in node.get(key, []):
                names += entries(child)
        return names

    return [_file(root, name) for name in entries(toc)]


def notebooks(root: Path = ROOT) -> list[Path]:
    """Those pages that are notebooks."""
    return [path for path in pages(root) if path.suffix == ".ipynb"]


def _file(root: Path, name: str) -> Path:
    for suffix in ("", ".ipynb", ".md"):
        path = root / (name + suffix)
        if path.is_file():
            return path
    raise ValueError(f"expected a page {name}.ipynb or {name}.md for the entry in _toc.yml, found neither")


if __name__ == "__main__":
    for path in notebooks() if "--notebooks" in sys.argv else pages():
        print(path.relative_to(ROOT))
