"""Many pairs at once: the same rows from any workers, and a pair that fails stops nobody."""

from __future__ import annotations

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from regbook.batch import COLUMNS, register_all
from regkit.files import read
from regkit.register import register


@pytest.fixture
def pairs(tmp_path):
    """Two that can be registered, a missing file, and a constant image between them."""
    x = np.stack(np.meshgrid(*[np.arange(40.0)] * 2, indexing="ij"), -1)
    image = sum(np.exp(-((x - at) ** 2).sum(-1) / 30) * 90 for at in ([14, 16], [22, 24], [14, 27]))
    files = {}
    for name, shift in (("a", (0, 0)), ("b", (2, -1)), ("c", (-3, 2))):
        files[name] = str(tmp_path / f"{name}.png")
        Image.fromarray(np.roll(image, shift, (0, 1)).clip(0, 255).astype(np.uint8)).save(files[name])
    files["flat"] = tmp_path / "flat.png"
    Image.new("L", (40, 40), 9).save(files["flat"])
    none = str(tmp_path / "none.png")
    return [
        (files["a"], files["b"]),
        (files["a"], none),
        (files["flat"], files["b"]),
        (files["c"], files["a"]),
    ]


def check(rows, pairs):
    assert [(row["template"], row["reference"]) for row in rows] == [tuple(map(str, pair)) for pair in pairs]
    assert rows[1]["error"].startswith("FileNotFoundError: expected a file, got")
    assert rows[2]["error"].startswith("ValueError: expected template with some structure")
    for k, shift in ((0, (-2, 1)), (3, (-3, 2))):
        assert rows[k]["error"] == "" and rows[k]["after"] < 0.05 * rows[k]["before"]
        expected = register(*(read(path)[0] for path in pairs[k]), transform="rigid").matrix("scipy")
        assert np.allclose(rows[k]["matrix"], expected, atol=1e-6)
        assert np.allclose(np.array(rows[k]["matrix"])[:2, 2], shift, atol=0.2)


def test_two_workers_and_the_table(pairs, tmp_path, capsys):
    rows = register_all(pairs, tmp_path / "table.csv", jobs=2, transform="rigid")
    check(rows, pairs)
    assert "4/4" in capsys.readouterr().err
    with open(tmp_path / "table.csv", encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert [*written[0]] == [*COLUMNS]
    assert [row["error"] for row in written] == [row["error"] for row in rows]
    assert json.loads(written[3]["matrix"]) == rows[3]["matrix"]
    assert written[1]["matrix"] == "" and float(written[0]["after"]) == rows[0]["after"]


def test_one_process_needs_no_other_package(pairs, monkeypatch):
    """The guide as a reader downloads it: without what many processes need, and without a bar."""
    monkeypatch.setitem(sys.modules, "joblib", None)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    check(register_all(pairs, jobs=1, progress=False, transform="rigid"), pairs)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of packages of the cluster
def test_a_dask_cluster(pairs):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        rows = register_all(pairs, dask=cluster.scheduler_address, progress=False, transform="rigid")
    check(rows, pairs)


def test_images_instead_of_files_and_other_maps(pairs):
    a, b = (read(path)[0].numpy() for path in pairs[0])
    rows = register_all(
        [(a, b), (a, a)], jobs=1, progress=False, convention="opencv", transform="translation"
    )
    assert [row["template"] for row in rows] == ["0", "1"]
    assert np.allclose(rows[0]["matrix"], [[1, 0, -1], [0, 1, 2]], atol=0.2)  # (column, row), the other way


def test_what_is_refused(pairs):
    with pytest.raises(ValueError, match="expected pairs, got 3 images in number 1"):
        register_all([pairs[0], (1, 2, 3)])
    with pytest.raises(ValueError, match="expected a number of processes"):
        register_all(pairs, jobs=0)
    rows = register_all(pairs[:1], jobs=1, progress=False, transform="elastic")
    assert rows[0]["error"].startswith('ValueError: expected transform "translation"')
    assert register_all([], jobs=1, progress=False) == []
