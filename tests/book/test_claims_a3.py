"""The bold claims of appendix A3, with counters of its own and NumPy's least squares."""

import gc
import weakref

import numpy as np
import torch

from regbook import records
from regkit import data
from regkit.implicit import Frozen, Unrolled, solve
from regkit.linear import CG, Cholesky
from regkit.optimize import levenberg_marquardt
from regkit.templates import register_templates, synthetic
from regkit.varpro import Kaufman, Reduced


def test_claim_an_iterate_with_a_gradient_drags_the_tape_along():
    """Counted by the tensors that the tape keeps alive, not by its nodes."""
    times = torch.linspace(0, 1, 9, dtype=torch.float64)

    def residual(w):
        A = torch.exp(-times[:, None] * w)
        b = torch.exp(-2 * times) + 1
        start, how = torch.zeros(2).double(), (CG.fixed(2), Unrolled())
        return A @ solve(lambda w, f: A.T @ (A @ f), A.T @ b, w, start, *how) - b

    def kept(marked, steps=6):
        alive, counts = weakref.WeakSet(), []

        class Box:
            def __init__(self, tensor):
                self.tensor = tensor

        def pack(tensor):
            box = Box(tensor)
            alive.add(box)
            return box

        w = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=marked)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda box: box.tensor):
            for _ in range(steps):
                J, r = torch.func.jacfwd(residual)(w), residual(w)
                w = w - torch.linalg.solve(J.T @ J + 1e-3 * torch.eye(2).double(), J.T @ r)
                del J, r
                gc.collect()
                counts.append(len(alive))
        return counts

    gc.freeze()  # what other tests have left is not searched each time
    try:
        grown, plain = np.diff(kept(True)), kept(False)
    finally:
        gc.unfreeze()
    assert (grown == grown[0]).all() and grown[0] > 20
    assert plain == [0] * 6


def test_claim_with_noise_the_penalty_decides_more_than_the_jacobian():
    """One hand with noise, images by NumPy's least squares; and the record says the same of its medians."""
    pair, ends = data.hands_phantom(20), {}
    for strength in (0.01, 0.3):
        made = synthetic(pair.reference, pair.grid, noise=3.0, strength=strength)
        w = register_templates(made.problem)
        for kind in (Frozen(), Kaufman()):
            reduced = Reduced(made.problem, Cholesky(), kind)
            found = levenberg_marquardt(reduced, w, damping=1e-2, iterations=9).x
            A = made.problem.at(found).forward(torch.eye(400, dtype=torch.float64)).numpy()
            f = np.linalg.lstsq(A, made.problem.b.numpy())[0]
            truth = made.image.reshape(-1).numpy()
            ends[strength, kind] = np.linalg.norm(f - truth) / np.linalg.norm(truth)
    assert abs(ends[0.3, Frozen()] - ends[0.3, Kaufman()]) < 0.02
    assert min(ends[0.01, kind] - ends[0.3, kind] for kind in (Frozen(), Kaufman())) > 0.2
    rows = records.load("superres.json")["noise"]
    for noise in (1.0, 3.0):
        here = [row for row in rows if row["noise"] == noise]
        best = min(here, key=lambda row: row["kaufman"])
        assert abs(best["none"] - best["kaufman"]) < 1
        assert max(row["kaufman"] for row in here) > 4 * best["kaufman"]
