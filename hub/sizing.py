"""What a class needs, from what was measured: the limits of a student, and the tables of README.md.

python -m hub.sizing        writes the tables anew, after `make hub-test ARGS="... --record"`
"""

from __future__ import annotations

import json
import math
import re
import statistics
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEASURED, README = HERE / "measured.json", HERE / "README.md"
STEP = 256  # megabytes, to which sizes are rounded up
HEADROOM = 1.25  # of memory
AT_ONCE = 0.6  # of those who are enrolled in a large class
READY = 120  # seconds until all who come together have torch


def measured() -> dict:
    return json.loads(MEASURED.read_text(encoding="utf-8"))


def up(megabytes: float) -> int:
    return math.ceil(megabytes / STEP) * STEP


def sizes(record: dict) -> dict[str, int]:
    """Megabytes: what a student surely gets, may have at most, and what one kernel may ask for.

    Surely: the server, and the kernel of a chapter in the middle. At most: a kernel at its limit, and a
    second notebook that was left open. A kernel: two and a half times what the largest chapter has in memory,
    for a process asks for more than it uses, and students make mistakes.
    """
    kernels = [chapter["kernel_mb"] for chapter in record["chapters"].values()]
    server = max(chapter["server_mb"] for chapter in record["chapters"].values())
    middle, kernel = statistics.median(kernels), up(2.5 * max(kernels))
    return {
        "guarantee": up(server + middle),
        "limit": up(server + kernel + middle),
        "kernel": kernel,
    }


def need(record: dict, at_once: int) -> tuple[int, int]:
    """Gigabytes and cores for so many students at once."""
    memory = record["class"]["hub_mb"] + at_once * sizes(record)["guarantee"] * HEADROOM
    cores = at_once * record["class"]["cpu_seconds"] / READY
    return math.ceil(memory / 1024), max(2, math.ceil(cores))


def tables(record: dict) -> dict[str, str]:
    """Name of a table → its Markdown."""
    chapters = ["| notebook | server, MB | kernel, MB | both, MB |", "|---|--:|--:|--:|"]
    for name, of in record["chapters"].items():
        both = of["server_mb"] + of["kernel_mb"]
        chapters.append(f"| `{name}` | {of['server_mb']} | {of['kernel_mb']} | {both} |")
    classes = ["| enrolled | at once | memory, GB | cores |", "|--:|--:|--:|--:|"]
    for enrolled, share in ((30, 1.0), (60, 1.0), (300, AT_ONCE)):
        at_once = round(enrolled * share)
        memory, cores = need(record, at_once)
        classes.append(f"| {enrolled} | {at_once} | {memory} | {cores} |")
    of, student = record["class"], sizes(record)
    start = ["| from the log-in, or from the click | median, s | slowest, s |", "|---|--:|--:|"]
    words = {
        "server": "the first page",
        "kernel": "a kernel answers",
        "first cells": "torch, and the first cells",
    }
    for name, said in words.items():
        start.append(f"| {said} | {of['times'][name]['median']} | {of['times'][name]['worst']} |")
    start = [
        f"{of['students']} simulated students came within ten seconds, to {of['cores']} cores; "
        f"{of['with_chapter']} of them opened a chapter. The class server itself took {of['hub_mb']} MB, "
        f"a student {of['cpu_seconds']} seconds of computing until the first exercise was solved.",
        "",
        *start,
    ]
    student_sizes = [
        "| a student | MB |",
        "|---|--:|",
        f"| surely gets | {student['guarantee']} |",
        f"| has at most | {student['limit']} |",
        f"| one kernel may ask for | {student['kernel']} |",
    ]
    return {
        name: "\n".join(lines)
        for name, lines in zip(
            ("chapters", "classes", "class", "student"),
            (chapters, classes, start, student_sizes),
            strict=True,
        )
    }


def filled(text: str, record: dict) -> str:
    """A text with its tables, each between two marks, as the record has them."""
    for name, table in tables(record).items():
        marks = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        text, found = marks.subn(lambda m, table=table: f"{m[1]}{table}\n{m[2]}", text)
        if found != 1:
            raise ValueError(f"expected one place for the table {name}, got {found}")
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8"), measured()), encoding="utf-8")
