"""Nothing that a call sets for the whole process stays set, whoever else is at work, and however it ends."""

from __future__ import annotations

import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from regkit import (
    CG,
    Affine,
    Bending,
    FreeForm,
    Grid,
    Kaufman,
    NeuralODE,
    Reduced,
    Registration,
    Translation,
    adjoint_test,
    deform,
    follow,
    levenberg_marquardt,
    multilevel,
    newton_trust,
    register,
    taylor_test,
)
from regkit._process import line, threads_for
from regkit.data import mri
from regkit.register import Stage
from regkit.templates import register_templates, synthetic

IMAGE, BOX = mri(16)[0], Grid((16.0, 16.0), (16, 16))
MOVED = IMAGE.roll(1, 0)
FREE = FreeForm(Grid(BOX.extent, (4, 4)))
BENT = Registration(IMAGE, MOVED, BOX, FREE, regulariser=Bending(FREE, 1e5))
MADE = synthetic(IMAGE, BOX, count=2)


def state() -> dict:
    """What one call could change for all others."""
    return {
        "threads": torch.get_num_threads(),
        "type": torch.get_default_dtype(),
        "random numbers": torch.get_rng_state().tolist(),
        "NumPy's": str(np.random.get_state()),  # noqa: NPY002
        "gradients": torch.is_grad_enabled(),
        "errors": np.geterr(),
        "filters": [each for each in warnings.filters if each[0] == "ignore"],
    }


CALLS = {
    "register": lambda: register(IMAGE, MOVED, turns=1),
    "freeform": lambda: register(IMAGE, MOVED, turns=1, transform="freeform"),
    "deform": lambda: deform(BENT),
    "newton_trust": lambda: newton_trust(
        Registration(IMAGE, MOVED, BOX).at(1.0), Affine().identity(), iterations=2
    ),
    "multilevel": lambda: multilevel(Registration(IMAGE, MOVED, BOX), Affine().identity(), levels=2),
    "follow": lambda: follow(Registration(IMAGE, MOVED, BOX), [10.0, 1.0], Affine().identity()),
    "superres": lambda: levenberg_marquardt(
        Reduced(MADE.problem, CG.fixed(5), Kaufman()), MADE.problem.identity(), iterations=1
    ),
    "templates": lambda: register_templates(MADE.problem, (10.0,)),
    "checks": lambda: (
        taylor_test(torch.sum, torch.ones(2)),
        adjoint_test(torch.neg, torch.neg, torch.ones(2)),
    ),
    "flow": lambda: NeuralODE().identity(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_leaves_everything_as_it_was(call):
    before = state()
    call()
    assert state() == before


class Stop(BaseException):
    """As when a person stops it."""


@pytest.mark.parametrize("level", [1, 2])
def test_what_is_stopped_leaves_no_trace(level):
    def stop(stage):
        if stage.level == level:
            raise Stop

    image, before = mri(32)[0], state()
    with pytest.raises(Stop):
        register(image, image.roll(1, 0), callback=stop, threads=3)
    with pytest.raises(ZeroDivisionError):
        deform(BENT, callback=lambda entry: 1 / 0)
    assert state() == before
    assert register(IMAGE, MOVED, turns=1).w.equal(register(IMAGE, MOVED, turns=1).w)


def test_threads_at_the_same_time_find_the_same_and_leave_no_trace():
    """A filter of warnings that one sets for a while, or a number of threads, would outlive it."""
    before, found, alone = state(), {}, register(IMAGE, MOVED, transform="freeform", turns=1).w

    def work(k):
        found[k] = register(IMAGE, MOVED, transform="freeform", turns=1, threads=1 + k % 2).w
        for _ in range(20):
            MADE.problem.at(MADE.problem.identity())

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert state() == before
    assert all(torch.allclose(found[k], alone, atol=1e-9) for k in range(4))


def test_the_setting_that_was_found_first_is_restored():
    """One goes in, another goes in, the first comes out, the other comes out."""
    before = torch.get_num_threads()
    first, second = threads_for(before + 1, 1), threads_for(before + 2, 1)
    first.__enter__()
    second.__enter__()
    assert torch.get_num_threads() == before + 2
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == before


class Terminal:
    def __init__(self, failure):
        self.failure = failure

    def isatty(self):
        return True

    def write(self, text):
        raise self.failure

    flush = write


@pytest.mark.parametrize(
    "terminal",
    [
        None,
        Terminal(BrokenPipeError()),
        Terminal(ValueError("closed")),
        Terminal(UnicodeEncodeError("ascii", "█", 0, 1, "")),
    ],
    ids=["none", "broken", "closed", "ascii"],
)
def test_progress_that_cannot_be_shown_is_no_reason_to_end(terminal, monkeypatch):
    monkeypatch.setattr("sys.stderr", terminal)
    line()(Stage(64, 1, 2, torch.zeros(2), 5.0))


def test_images_with_a_tape_leave_none():
    """An optimiser gives numbers, whatever images and start are part of."""
    image, start = IMAGE.clone().requires_grad_(), torch.zeros(2, dtype=torch.float64, requires_grad=True)
    plain = Registration(IMAGE, MOVED, BOX, Translation(), outside=0.0)
    problem = replace(plain, template=image)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for run in (newton_trust, levenberg_marquardt):
            found = run(problem.at(1.0), start, iterations=3)
            assert not found.x.requires_grad and found.x.equal(
                run(plain.at(1.0), start.detach(), iterations=3).x
            )
    loss = problem.at(1.0).loss(start)
    assert loss.requires_grad and torch.autograd.grad(loss, image)[0].abs().max() > 0  # here it is wanted


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_is_the_same(mode):
    expected = register(IMAGE, MOVED, distance="mi", transform="translation", turns=1).w
    with mode():
        assert register(IMAGE, MOVED, distance="mi", transform="translation", turns=1).w.equal(expected)
        problem = Registration(IMAGE * 1, MOVED, BOX)
    H = [problem.at(1.0).hessian(Affine().identity(), method=method) for method in ("closed", "autodiff")]
    assert torch.allclose(*H)
