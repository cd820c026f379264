"""A class on this computer: for a try, or rehearsed by students who are simulated.

python -m hub.rehearse                       a try: a class until Ctrl+C
python -m hub.rehearse --students 40         all come within ten seconds, work, hand in and leave
python -m hub.rehearse --chapters            a student goes through every cell of each lesson
python -m hub.rehearse --chapters 11_beyond_affine       or of some

The students are programs, but the rest is real: JupyterHub, its proxy, a server and a kernel for each, forms
and cookies, websockets. All of it listens at 127.0.0.1, at ports that are free, in a folder of its own, and
ends with this. `--record` puts what was measured into hub/measured.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from hub import sizing
from hub.student import EXERCISE, Student
from hub.trial import Hub, family, kind, peak, running
from tools.chapters import lessons

WITHIN = 10.0  # seconds in which all come
LONGEST = 1800.0  # seconds for a rehearsal
MOST = 100  # students


async def arrive(hub: Hub, students: int, with_chapter: int, notebook: str) -> list[Student]:
    """All come within ten seconds; the last asks for too much memory, and those before it do light work."""
    everybody = []
    for k in range(students):
        does = "exercise" if k < with_chapter else "light"
        if k == students - 1 > 0 and sys.platform == "linux":
            does = "greedy"
        everybody.append(Student(hub, f"student{k:02d}", notebook, does))
    days = [student.day(WITHIN * k / students) for k, student in enumerate(everybody)]
    await asyncio.wait_for(asyncio.gather(*days), LONGEST)
    return everybody


async def one_by_one(hub: Hub, names: list[str]) -> list[Student]:
    """A student for each lesson, who runs all of its cells."""
    everybody = []
    for name in names:
        everybody.append(Student(hub, name.lower().replace("_", "-"), name, "chapter"))
        await everybody[-1].day(0)
        print(name, everybody[-1].memory, everybody[-1].failures, flush=True)
    return everybody


def summary(everybody: list[Student], hub_mb: float) -> dict:
    """What is recorded of a class."""
    workers = [student for student in everybody if student.does == "exercise"]
    every = {
        name: times
        for name in ("server", "kernel", "first cells")
        if (times := [student.times[name] for student in everybody if name in student.times])
    }
    return {
        "students": len(everybody),
        "with_chapter": len(workers),
        "cores": os.cpu_count(),
        "hub_mb": round(hub_mb),
        "cpu_seconds": round(statistics.median(s.times.get("computing", 0) for s in workers), 1),
        "times": {
            name: {"median": round(statistics.median(times), 1), "worst": round(max(times), 1)}
            for name, times in every.items()
        },
    }


def failures(everybody: list[Student], hub: Hub) -> list[str]:
    """What went wrong: for a student, in an answer of the server, or after the end."""
    found = [failure for student in everybody for failure in student.failures]
    found += re.findall(r"^.*\b5\d\d (?:GET|POST|PUT|DELETE|PATCH) .*$", hub.log, re.M)
    return found + [f"still there after the end: {process}" for process in hub.left]


def rehearse(work: Path, students: int, with_chapter: int, notebook: str) -> tuple[dict, list[str]]:
    """Rehearse a class; returns what was measured, and what failed."""
    with running(work) as hub:
        everybody = asyncio.run(arrive(hub, students, with_chapter, notebook))
        hub_mb = sum(peak(process) for process in family(hub.process) if not kind(process))
    return summary(everybody, hub_mb), failures(everybody, hub)


def chapters(work: Path, names: list[str]) -> tuple[dict, list[str]]:
    """Go through these lessons; returns what each took, and what failed."""
    with running(work) as hub:
        everybody = asyncio.run(one_by_one(hub, names))
    taken = {s.notebook: {f"{what}_mb": round(mb) for what, mb in s.memory.items()} for s in everybody}
    return taken, failures(everybody, hub)


def recorded(record: dict, part: str, found: dict) -> dict:
    """The record with what was found: a class anew, chapters among those that were measured before."""
    if part == "chapters":
        whole = record["chapters"] | found
        found = {path.stem: whole[path.stem] for path in lessons() if path.stem in whole}
    return record | {part: found}


def main() -> None:
    ask = argparse.ArgumentParser(prog="hub", description=__doc__.partition("\n")[0])
    ask.add_argument("--students", type=int, default=0, help=f"how many come; at most {MOST}")
    ask.add_argument(
        "--with-chapter", type=int, help="how many of them open a chapter; all but one unless given"
    )
    ask.add_argument("--notebook", default="01_ad_basics", choices=[*EXERCISE])
    every = [path.stem for path in lessons()]
    ask.add_argument("--chapters", nargs="*", choices=every, help="a student goes through these, or all")
    ask.add_argument("--port", type=int, default=0, help="of a try; a free one unless given")
    ask.add_argument("--record", action="store_true", help="write what was measured into hub/measured.json")
    options = ask.parse_args()
    if os.name == "nt":
        sys.exit("A class server needs Linux or macOS: JupyterHub does not run on Windows.")
    if not 0 <= options.students <= MOST:
        ask.error(f"expected at most {MOST} students, got {options.students}")
    work = Path(tempfile.mkdtemp(prefix="regkit-hub-")).resolve()
    try:
        if options.chapters is not None:
            part, (found, wrong) = "chapters", chapters(work, options.chapters or every)
        elif options.students:
            many = options.students if options.with_chapter is None else options.with_chapter
            part, (found, wrong) = "class", rehearse(work, options.students, many, options.notebook)
        else:
            return attended(work, options.port)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(json.dumps(found, indent=1))
    if wrong:
        sys.exit("\n".join(["The rehearsal failed:", *wrong]))
    if options.record:
        record = recorded(sizing.measured(), part, found)
        sizing.MEASURED.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def attended(work: Path, port: int) -> None:
    with running(work, port) as hub:
        print(
            f"A class is at {hub.address} until Ctrl+C: any name, no password, this computer only", flush=True
        )
        try:
            hub.process.wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
