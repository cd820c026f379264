"""The assignments in the master format of Otter-Grader, for those who collect on Gradescope or Canvas.

python -m tools.otter --seed 7

For each assignment there is a notebook in _build/otter, from which ``otter assign`` makes what students get
and the archive that grades it. A question has two tests, which call the checkers of `regbook.assignments`:
one on the data of seed 1, which students see, without points, and a hidden one on those of the seed given
here, for all points. Solutions are not in it. What students get asks for nothing that they do not have:
Otter's own cells, to check and to export, are left out.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_raw_cell

from tools import answers, student
from tools.chapters import tags
from tools.toc import ROOT
from tools.wheel import wheel

OUT = ROOT / "_build" / "otter"
CONFIG = """# ASSIGNMENT CONFIG
files: [{wheel}]
requirements: requirements.txt
run_tests: false
init_cell: false
check_all_cell: false
export_cell: false
tests: {{ok_format: false}}"""
QUESTION = """# BEGIN QUESTION
name: {name}
check_cell: false"""
TEST = '''""" # BEGIN TEST CONFIG
points: {points}
hidden: {hidden}
""" # END TEST CONFIG
def {kind}_{name}({function}):
    from {checkers} import check_{name}
    said = check_{name}({function}, seed={seed})
    assert said.startswith("Right"), said'''
WHERE = "/autograder/source/files"  # where Otter unpacks the files of an assignment


def master(path: Path, seed: int) -> NotebookNode:
    """An assignment as Otter's master: each exercise with the text above it as one question."""
    notebook = student.assignment(path)
    work = answers.work(notebook)
    asked = {exercise.id: exercise for exercise in work.exercises}
    cells = [new_raw_cell(CONFIG.format(wheel=wheel().name), id="otter")]
    for cell in notebook.cells:
        if "exercise" in tags(cell):
            text = cells.pop()
            cells += question(text, cell, asked[cell.id], work.checkers, seed)
        else:
            cells.append(cell)
    notebook.cells = cells
    nbformat.validate(notebook)
    return notebook


def question(
    text: NotebookNode, cell: NotebookNode, exercise: answers.Exercise, checkers: str, seed: int
) -> list[NotebookNode]:
    """The cells of one question."""
    name = exercise.check.removeprefix("check_")
    same = {"name": name, "function": exercise.function, "checkers": checkers}
    cases = {
        "seen": {"points": 0, "hidden": "false", "seed": 1},
        "hidden": {"points": exercise.points, "hidden": "true", "seed": seed},
    }

    def raw(source: str) -> NotebookNode:
        return new_raw_cell(source, id=f"{cell.id}-{'-'.join(source.splitlines()[0].lower().split()[1:])}")

    return [
        raw(QUESTION.format(name=name)),
        text,
        raw("# BEGIN PROMPT"),
        cell,
        raw("# END PROMPT"),
        raw("# BEGIN TESTS"),
        *(
            new_code_cell(TEST.format(kind=kind, **case, **same), id=f"{cell.id}-{kind}")
            for kind, case in cases.items()
        ),
        raw("# END TESTS"),
        raw("# END QUESTION"),
    ]


def build(seed: int, folder: Path = OUT) -> list[Path]:
    """Write the masters, and what they need, into `folder`, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(wheel(), folder)
    needs = f"regkit[book] @ file://{WHERE}/{wheel().name}\n"
    (folder / "requirements.txt").write_text(needs, encoding="utf-8")
    written = []
    for path in sorted(student.ASSIGNMENTS.glob("*.ipynb")):
        written.append(folder / path.name)
        nbformat.write(master(path, seed), written[-1])
    return written


def main() -> None:
    ask = argparse.ArgumentParser(prog="otter", description=__doc__.partition("\n")[0])
    ask.add_argument(
        "--seed", type=int, required=True, help="of the hidden tests' data; one that nobody knows"
    )
    written = build(ask.parse_args().seed)
    print(f"In {OUT}:", *(f"  otter assign {path.name} {path.stem}" for path in written), sep="\n")
    print("Students get what is in the folder student then, and the archive in the folder autograder grades.")


if __name__ == "__main__":
    main()
