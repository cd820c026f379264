"""Recorded runs: all that are shipped can be read; how they are made, by any number of workers."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from regbook import records
from regbook.records import making
from regkit.linear import CG

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(file.name for file in records.path("").iterdir() if file.suffix in (".json", ".npz"))


@pytest.mark.parametrize("name", NAMES)
def test_every_record_is_read(name):
    record = records.load(name)
    assert record
    if name.endswith(".npz"):
        assert all(isinstance(array, np.ndarray) and array.dtype != object for array in record.values())


@pytest.mark.parametrize("name", ["nothing.json", "superres", "__init__.py"])
def test_an_unknown_name_says_what_there_is(name):
    with pytest.raises(ValueError, match=f"expected a record among .*superres.json.*, got '{name}'"):
        records.load(name)


# ---- how they are made


def system(size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A symmetric positive definite matrix and a right-hand side."""
    draw = torch.Generator().manual_seed(seed)
    B, b = (torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((size, size), (size,)))
    return B.T @ B + torch.eye(size, dtype=torch.float64), b


def case(size: int, seed: int) -> dict:
    """Conjugate gradients on a system of that size: enough arithmetic for the threads to matter."""
    A, b = system(size, seed)
    x = CG.fixed(2 * size).solve(lambda p: A @ p, b).x
    return {"x": x.numpy(), "name": f"{size}, {seed}", "threads": torch.get_num_threads()}


CASES = [(size, seed) for size in (40, 300) for seed in range(3)]


def made(tmp_path, where, **how):
    results, seconds = making.run(case, CASES, "tried", folder=tmp_path / where, progress=False, **how)
    assert seconds > 0 and [result["name"] for result in results] == [f"{m}, {k}" for m, k in CASES]
    return results


def same(one, other):
    return all(a["x"].tobytes() == b["x"].tobytes() for a, b in zip(one, other, strict=True))


def test_the_number_of_workers_does_not_matter(tmp_path):
    """Bit for bit, and each case has one thread, even where this process has two."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        alone = made(tmp_path, "one", jobs=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    together = made(tmp_path, "two", jobs=2)
    assert same(alone, together) and {result["threads"] for result in alone + together} == {1}
    for result, (size, seed) in zip(alone, CASES, strict=True):
        exact = torch.linalg.solve(*system(size, seed)).numpy()
        assert np.abs(result["x"] - exact).max() < 1e-6 * np.abs(exact).max()


@pytest.mark.filterwarnings("ignore")  # of packages of the cluster
def test_a_dask_cluster_makes_the_same_record(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        there = made(tmp_path, "cluster", dask=cluster.scheduler_address)
    assert same(there, made(tmp_path, "here", jobs=1))


SCRIPT = """
import sys, time
from pathlib import Path
from regbook.records import making

def slow(k):
    with open("computed", "a") as file:
        file.write(f"{k} ")
    while k >= 2 and not Path("go on").exists():
        time.sleep(0.05)
    return k * k

if __name__ == "__main__":
    print(making.run(slow, [(k,) for k in range(5)], "slow", jobs=1, folder=Path("kept"), progress=False)[0])
"""


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    how = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(ROOT)}, "text": True}
    process = subprocess.Popen([sys.executable, "script.py"], **how)
    computed = tmp_path / "computed"
    while not computed.is_file() or "2" not in computed.read_text():
        assert process.poll() is None  # it waits in its third case
    process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    process.wait()
    (tmp_path / "go on").touch()
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, **how)
    assert done.stdout.strip() == "[0, 1, 4, 9, 16]", done.stderr
    assert computed.read_text().split() == ["0", "1", "2", "2", "3", "4"]  # 0 and 1 once, 2 again


def test_another_state_of_the_code_starts_anew(tmp_path, monkeypatch):
    made(tmp_path, "kept", jobs=1)
    files = {*(tmp_path / "kept" / "tried").iterdir()}
    made(tmp_path, "kept", jobs=1)
    assert {*(tmp_path / "kept" / "tried").iterdir()} == files
    monkeypatch.setattr(making, "_state", lambda case: "changed")
    made(tmp_path, "kept", jobs=1)
    assert not {*(tmp_path / "kept" / "tried").iterdir()} & files


def test_what_cannot_be_made_says_so(tmp_path):
    with pytest.raises(ValueError, match="expected cases that differ"):
        making.run(case, [(4, 1), (4, 1)], "twice", folder=tmp_path)
    with pytest.raises(ValueError, match="or −1 for as many as cores, got 0"):
        making.run(case, [(4, 1)], "none", jobs=0, folder=tmp_path)


def test_what_differs_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(records, "path", lambda name: tmp_path / name)
    assert making.write("new.json", {"a": [1.0, 2.0], "b": "word"}, seconds=12.345) == []
    assert "is new" in capsys.readouterr().out
    assert json.loads((tmp_path / "costs.json").read_text()) == {"new.json": {"seconds": 12.0}}
    assert making.write("new.json", {"a": [1.0, 2.0], "b": "word"}) == []
    assert "bit for bit" in capsys.readouterr().out
    assert making.write("new.json", {"a": [1.0, 2.0 + 1e-9], "b": "word"}) == []
    assert "the same to 1e-06" in capsys.readouterr().out
    assert making.write("new.json", {"a": [1.0, 3.0], "c": True}) == [
        "/a/1: 2.000000001 → 3.0",
        "/b: only old",
        "/c: only new",
    ]
    arrays = {"x": np.array([1.0, np.nan]), "n": 3}
    making.write("new.npz", arrays)
    capsys.readouterr()
    assert making.write("new.npz", arrays) == [] and "bit for bit" in capsys.readouterr().out
    assert making.write("new.npz", {"x": np.array([1.5, np.nan]), "n": 4}) == ["/x/0: 1.0 → 1.5", "/n: 3 → 4"]
