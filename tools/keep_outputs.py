"""A plugin of pytest for nbval: what nbval executed is kept, and a cell that warns fails.

    python -m pytest -p tools.keep_outputs --nbval-lax book/01_ad_basics.ipynb

A notebook all of whose cells passed is written to ``_build/executed``, with its outputs, and a line says so.
"""

from __future__ import annotations

import copy
import re
import time
from pathlib import Path

import nbformat
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

from tools.executed import ABOUT, place
from tools.fingerprint import fingerprint

PATIENCE = 60  # seconds for the last message of a cell to arrive, on a busy computer too; nbval's own is 5


def _execute(kernel: RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
    """As nbval, but as a history that IPython keeps: without one it ignores the ``;`` at a cell's end."""
    return kernel.kc.execute(source, allow_stdin=allow_stdin, stop_on_error=False)


RunningKernel.execute_cell_input = _execute


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Start the clock of a notebook at its first cell; fail a cell that wrote to stderr; keep the outputs."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    notebook = item.parent
    if not hasattr(notebook, "begin"):
        notebook.begin, notebook.passed = time.monotonic(), 0
        notebook.fingerprint = fingerprint(notebook.path)
    item.output_timeout = PATIENCE
    if notebook.passed < item.cell_num:
        pytest.skip("a cell before this one failed")
    result = yield
    for output in item.test_outputs:
        if output.output_type == "stream" and output.name == "stderr":
            item.raise_cell_error("The cell warned, or wrote to stderr", output.text)
    item.cell.outputs, item.cell.execution_count = _stored(item.test_outputs), item.cell_num + 1
    notebook.passed += 1
    return result


def _stored(outputs: list) -> list[nbformat.NotebookNode]:
    """nbval's outputs in the form that notebooks have: without what belongs to a running kernel."""
    kept = copy.deepcopy(outputs)
    for output in kept:
        output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return [nbformat.from_dict(output) for output in kept]


def _peak(process: int) -> float | None:
    """The most memory that a process has had so far, in MB; None where the system does not say."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """After the last cell of a notebook write its executed copy, if all cells passed."""
    if not isinstance(item, IPyNbCell) or (nextitem is not None and nextitem.parent is item.parent):
        return (yield)
    notebook = item.parent
    seconds = time.monotonic() - notebook.begin
    cells = sum(cell.cell_type == "code" for cell in notebook.nb.cells)
    if notebook.passed == cells:
        answer = notebook.kernel.kc.kernel_info(reply=True, timeout=60)
        notebook.nb.metadata.language_info = answer["content"]["language_info"]
        about = {"fingerprint": notebook.fingerprint, "seconds": round(seconds, 1)}
        if peak := _peak(notebook.kernel.km.provisioner.pid):
            about["megabytes"] = round(peak)
        notebook.nb.metadata[ABOUT] = about
        nbformat.validate(notebook.nb)
        path = place(notebook.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        nbformat.write(notebook.nb, unfinished)
        unfinished.replace(path)
    words = f"executed in {seconds:.0f} s" if notebook.passed == cells else "failed"
    item.user_properties.append(("notebook", f"{notebook.path.stem} {words}"))
    return (yield)


class Progress:
    """One line a notebook in the place of one dot a cell."""

    def __init__(self, config):
        self.terminal = config.pluginmanager.get_plugin("terminalreporter")
        self.count = sum(str(argument).partition("::")[0].endswith(".ipynb") for argument in config.args)
        self.done = 0

    def pytest_runtest_logreport(self, report):
        words = dict(report.user_properties).get("notebook")
        if words and report.when == "teardown":
            self.done += 1
            self.terminal.write_line(f"  {self.done} of {self.count}: {words}", flush=True)

    def pytest_report_teststatus(self, report):
        if report.nodeid.partition("::")[0].endswith(".ipynb"):
            return report.outcome, "", ""


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(config), "progress of the notebooks")
