"""Images: orientation, range and size; the drawn hands must be as hard to align as the paper's."""

from __future__ import annotations

import copy
import pickle
import sys
from functools import lru_cache

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize

from regkit import data
from regkit.grid import Grid
from regkit.spline import SmoothingBasis, evaluate

IDENTITY = np.array([1.0, 0, 0, 1, 0, 0])


def sum_of_squares(pair, theta):
    """The paper's loss ‖T(A x + b) − R(x)‖² h of w = (A, b) as a function of (w, order): it returns the loss,
    for order 2 also gradient and Hessian, by the chain rule written out here. Nothing of regkit.registration.
    """
    T, R = (SmoothingBasis(image).coefficients(theta) for image in (pair.template, pair.reference))
    x, h = pair.grid.points(), pair.grid.cell_volume
    reference = evaluate(R, pair.grid, x)
    motion = torch.zeros(len(x), 2, 6, dtype=x.dtype)  # ∂y/∂w
    motion[:, 0, :2] = motion[:, 1, 2:4] = x
    motion[:, 0, 4] = motion[:, 1, 5] = 1

    def loss(w, order=0):
        w = torch.as_tensor(w, dtype=x.dtype)
        value = evaluate(T, pair.grid, x @ w[:4].reshape(2, 2).T + w[4:], order)
        residual = (value if order == 0 else value[0]) - reference
        if order == 0:
            return residual.square().sum() * h
        J = torch.einsum("nd,ndp->np", value[1], motion)
        bent = torch.einsum("n,nde,ndp,neq->pq", residual, value[2], motion, motion)
        return residual.square().sum() * h, 2 * h * J.T @ residual, 2 * h * (J.T @ J + bent)

    return loss


def align(pair, theta, start):
    """Trust-region Newton, as in the paper."""
    loss = sum_of_squares(pair, theta)
    derivatives = lru_cache(maxsize=1)(lambda *w: loss(w, 2))
    found = minimize(
        lambda w: float(loss(w)),
        start,
        jac=lambda w: derivatives(*w)[1].numpy(),
        hess=lambda w: derivatives(*w)[2].numpy(),
        method="trust-exact",
        options={"gtol": 1e-8 * float(loss(IDENTITY)), "maxiter": 200},
    )
    return found.x, float(found.fun)


def coarse_to_fine(pair, scales):
    w = IDENTITY
    for theta in np.logspace(3, -3, scales):
        w, loss = align(pair, theta, w)
    return w, loss


def mean_distance(pair, w, v):
    """Mean of ‖y(x; w) − y(x; v)‖ over the cells, in centimetres."""
    difference = torch.as_tensor(w - np.asarray(v))
    x = pair.grid.points()
    return float((x @ difference[:4].reshape(2, 2).T + difference[4:]).norm(dim=1).mean())


def test_mri_is_the_slice_upright_in_grey_values():
    image, grid = data.mri()
    assert grid == Grid((256, 256), (256, 256))
    assert image.shape == (256, 256) and image.dtype == torch.float64
    assert image.min() == 0 and float(image.max()) == pytest.approx(255)
    y = grid.axis(1)
    assert float((image.sum(0) * y).sum() / image.sum()) > 128  # the brain, the brightest part, is high up
    assert image[:, -20:].max() < 5 < image[:, :20].max()  # air above the head, the neck below it
    rows = (image > 60).any(0).nonzero().flatten()
    assert 215 < rows.max() < 235  # the scalp


def test_mri_small_averages_blocks():
    image, _ = data.mri()
    small, grid = data.mri(64)
    assert grid == Grid((256, 256), (64, 64))
    assert small[10, 20] == pytest.approx(float(image[40:44, 80:84].mean()))
    assert small.mean() == pytest.approx(float(image.mean()))


@pytest.mark.parametrize("size", [0, -4, 100, 512])
def test_mri_refuses(size):
    with pytest.raises(ValueError, match=f"expected a size that divides 256, got {size}"):
        data.mri(size)


@pytest.mark.parametrize("size", [20, 32, 128])
def test_hands_are_two_views_of_one_function(size):
    pair = data.hands_phantom(size)
    assert pair.grid == Grid((20, 25), (size, size))
    for image in (pair.template, pair.reference):
        assert image.shape == (size, size) and image.dtype == torch.float64
        assert image.min() >= 0 and 180 < image.max() <= 255
    loss = sum_of_squares(pair, 1e-3)
    assert loss(pair.w_true) < (0.02 if size < 32 else 0.004) * loss(IDENTITY)


def test_hands_error_at_the_true_map_is_that_of_the_cells():
    """Halving the cells four times over takes the residual at w_true away: it is no property of the hands."""
    losses = [sum_of_squares(pair, 0.0)(pair.w_true) for pair in map(data.hands_phantom, (32, 128))]
    assert losses[1] < losses[0] / 10


def test_hands_stand_upright_and_right_way_round():
    pair = data.hands_phantom(64)
    x, y = pair.grid.points().T
    weights = pair.reference.reshape(-1)
    assert pair.reference[:, 12:20].sum() > 2 * pair.reference[:, 42:50].sum()  # wrist below, fingers above
    high = (y > 18) & (weights > 20)
    assert 8 < x[high].mean() < 12
    thumb = weights * ((y > 10) & (y < 12) & (x < 5))
    assert thumb.sum() > 0 and float((weights * (x > 16)).sum()) < 0.02 * float(weights.sum())


def test_hands_keep_clear_of_the_border():
    pair = data.hands_phantom(64)
    for image in (pair.template, pair.reference):
        inside = torch.zeros_like(image)
        inside[2:-2, 2:-2] = image[2:-2, 2:-2]
        assert (image - inside).max() < 1


def test_hands_noise_is_the_same_at_every_call():
    clean, noisy, again = (data.hands_phantom(32, noise) for noise in (0.0, 5.0, 5.0))
    assert torch.equal(noisy.template, again.template)
    assert float((noisy.template - clean.template).std()) == pytest.approx(5, rel=0.1)
    assert not torch.allclose(noisy.template - clean.template, noisy.reference - clean.reference)
    assert torch.equal(clean.template, data.hands_phantom(32).template)


def test_derivatives_of_this_file_are_those_of_torch_func():
    loss, w = sum_of_squares(data.hands_phantom(32), 0.1), torch.from_numpy(IDENTITY)
    _, gradient, hessian = loss(w, 2)
    assert torch.allclose(torch.func.grad(loss)(w), gradient, rtol=1e-12)
    assert torch.allclose(torch.func.jacfwd(torch.func.grad(loss))(w), hessian, rtol=1e-10)


@pytest.mark.parametrize("size", [32, 64, 128])
def test_hands_fool_the_finest_scale_and_not_the_coarse_ones(size):
    pair = data.hands_phantom(size)
    start = float(sum_of_squares(pair, 1e-3)(IDENTITY))
    w, loss = align(pair, 1e-3, IDENTITY)
    assert 0.4 < loss / start < 0.6
    assert mean_distance(pair, w, pair.w_true) > 10
    w, loss = coarse_to_fine(pair, 8)
    assert loss / start < 0.01
    assert mean_distance(pair, w, pair.w_true) < 0.02


DEFORMED = {"hands": data.bent_hands_phantom, "chest": data.chest_phantom}
deformed = pytest.mark.parametrize("name", DEFORMED)


@deformed
def test_deformed_pairs_are_two_views_of_one_function(name):
    """The template's spline at y is the reference, up to what the cells blur, which finer cells take away."""
    left = []
    for size in {"hands": (64, 128), "chest": (16, 32)}[name]:
        pair = DEFORMED[name](size)
        x, d = pair.grid.points(), pair.grid.dim
        assert pair.grid.shape == pair.template.shape == pair.reference.shape == (size,) * d
        T = SmoothingBasis(pair.template).coefficients(0.0)
        at_y, at_x = ((evaluate(T, pair.grid, z) - pair.reference.reshape(-1)) for z in (pair.y_true(x), x))
        left.append(float(at_y.square().sum() / at_x.square().sum()))
    for image in (pair.template, pair.reference):
        assert image.dtype == torch.float64 and image.min() >= 0 and 200 < image.max() <= 255
        assert max(float(image.movedim(k, 0)[[0, -1]].max()) for k in range(d)) < 2  # dark at the border
    assert left[1] < 0.005 and left[1] < left[0] / 5


@pytest.mark.parametrize(
    "pair", [*(data.bent_hands_phantom(8, bend=b) for b in (-2, 1, 2)), data.chest_phantom(8)]
)
def test_deformations_do_not_fold_and_have_an_inverse(pair):
    """det ∇y by differences, also beyond the box; a fixed point iteration finds the way back."""
    d = pair.grid.dim
    sides = torch.tensor(pair.grid.extent, dtype=torch.float64)
    shape = (120, 150) if d == 2 else (24, 18, 24)
    x = 1.4 * Grid(pair.grid.extent, shape).points() - 0.2 * sides
    h = 1e-5 * torch.eye(d, dtype=torch.float64)
    F = torch.stack([(pair.y_true(x + step) - pair.y_true(x - step)) / 2e-5 for step in h], dim=2)
    det = torch.linalg.det(F)
    assert 0.2 < det.min() < 0.8 and 1.2 < det.max() < 3
    by_ad = torch.func.vmap(torch.func.jacfwd(lambda p: pair.y_true(p[None])[0]))(x)
    assert torch.allclose(by_ad, F, atol=1e-8)
    z, back = pair.y_true(x), pair.y_true(x).clone()
    for _ in range(80):
        back = back - 0.7 * (pair.y_true(back) - z)
    assert torch.allclose(back, x, atol=1e-6)


def test_fingers_bend_as_far_as_they_are_told():
    straight = data.bent_hands_phantom(16, bend=0.0)
    assert torch.equal(straight.template, straight.reference)
    tips = torch.tensor([[7.2, 19.0], [10.0, 20.0], [12.5, 19.0], [14.7, 16.0]], dtype=torch.float64)
    wrist = torch.tensor([[10.0, 5.0]], dtype=torch.float64)
    moves = [data.bent_hands_phantom(8, bend=b).y_true for b in (0.5, 1.0)]
    for few, many in zip(*((y(tips) - tips).norm(dim=1) for y in moves), strict=True):
        assert 0.4 < few < many < 3.2
    assert (moves[1](wrist) - wrist).norm() < 0.01
    with pytest.raises(ValueError, match=r"expected fingers bent by −2 to 2, got 2\.5"):
        data.bent_hands_phantom(8, bend=2.5)


def test_breathing_in_makes_the_lungs_larger():
    """How much of the chest is dark, but not as dark as the air around it."""
    pair = data.chest_phantom(32)
    volume = [float(((image > 15) & (image < 60)).sum()) for image in (pair.template, pair.reference)]
    assert volume[1] > 1.1 * volume[0]


@pytest.mark.parametrize("draw", [data.hands_phantom, *DEFORMED.values()])
def test_drawn_pairs_know_their_map_and_refuse_an_empty_picture(draw):
    pair = draw(9)
    x = pair.grid.points()
    again = pickle.loads(pickle.dumps(pair))
    assert torch.equal(again.y_true(x), pair.y_true(x)) and pair.y_true(x).shape == x.shape
    if pair.w_true is not None:
        A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
        assert torch.allclose(pair.y_true(x), x @ A.T + b)
    noisy, noisier = draw(9, noise=5.0), draw(9, noise=10.0)
    assert torch.allclose(2 * (noisy.template - pair.template), noisier.template - pair.template)
    with pytest.raises(ValueError, match="expected at least one cell a side, got 0"):
        draw(0)


def test_paper_hands_start_loss_is_that_of_the_authors(paper_data):
    pair = data.paper_hands(32)
    assert pair.grid == Grid((20, 25), (32, 32)) and pair.w_true is None
    assert float(sum_of_squares(pair, 1e-3)(IDENTITY)) == pytest.approx(1.928552e6, rel=1e-6)


def test_paper_hands_single_scale_and_many_scales(paper_data):
    """Fig 2 of the paper: 9.113e5 from the identity at θ = 1e-3, 1.9905e5 from coarse scales."""
    pair = data.paper_hands(32)
    _, loss = align(pair, 1e-3, IDENTITY)
    assert loss == pytest.approx(9.113003e5, rel=1e-5)
    w, loss = coarse_to_fine(pair, 30)
    assert loss == pytest.approx(1.990549e5, rel=1e-5)
    assert w == pytest.approx([-0.708379, -0.436564, 0.454386, -0.937842, 22.718052, 18.953635], abs=2e-5)


def test_paper_hands_orientation(paper_data):
    """image[i, j] of R is column i, row m − 1 − j of the file: x to the right, y upwards."""
    with Image.open(paper_data / "hands-R.jpg") as file:
        rows = np.asarray(file, dtype=np.float64)
    pair = data.paper_hands(128)
    assert np.allclose(pair.reference.numpy(), rows[::-1].T, atol=1e-6)  # grey values are whole numbers
    other = data.paper_hands(128, flip="fliplr-flipud")
    assert torch.allclose(other.template, pair.template.fliplr(), atol=1e-6)
    assert torch.equal(other.reference, pair.reference)


def test_paper_hands_say_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("REGKIT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"REGKIT_DATA.*hands-R.jpg, got no such variable"):
        data.paper_hands(32)
    monkeypatch.setenv("REGKIT_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=tmp_path.name):
        data.paper_hands(32)
    with pytest.raises(ValueError, match="expected flip 'flipud' or 'fliplr-flipud', got 'none'"):
        data.paper_hands(32, flip="none")


def minima_over_shift(theta):
    """Local minima over shifts from −30 to 30 of the loss between the comb and its shifted self."""
    template, grid = data.bumps()
    reference, _ = data.bumps(shift=10.0)
    T, R = (SmoothingBasis(image).coefficients(theta) for image in (template, reference))
    x, shifts = grid.points(), torch.arange(-30, 30.001, 0.02, dtype=torch.float64)
    moved = evaluate(T, grid, (shifts[:, None] + x.flatten()).reshape(-1, 1)).reshape(-1, grid.count)
    loss = (moved - evaluate(R, grid, x)).square().sum(1)
    inside = 1 + ((loss[1:-1] < loss[:-2]) & (loss[1:-1] < loss[2:])).nonzero().flatten()
    return len(inside), float(shifts[inside[loss[inside].argmin()]])


@pytest.mark.parametrize(("theta", "count", "best"), [(1e-3, 10, 10.0), (1.0, 6, 10.0), (3.0, 1, 10.0)])
def test_blurring_merges_the_minima_of_the_comb(theta, count, best):
    assert minima_over_shift(theta) == (count, pytest.approx(best, abs=0.021))


def test_much_blurring_moves_the_minimum_of_the_comb():
    assert minima_over_shift(1e3) == (1, pytest.approx(9.98, abs=0.03))
    assert minima_over_shift(1e4) == (1, pytest.approx(6.32, abs=0.1))


def test_shifted_bumps_are_drawn_not_moved():
    template, grid = data.bumps(128)
    assert grid == Grid((64.0,), (128,)) and template.shape == (128,) and template.dtype == torch.float64
    assert torch.allclose(data.bumps(128, shift=10.0)[0][:-20], template[20:])


def test_signal_has_an_edge_a_bump_and_noise():
    signal, grid = data.signal_1d()
    assert signal.shape == grid.shape == (28,) and grid.spacing == (1.0,)
    assert torch.equal(signal, data.signal_1d()[0])
    assert signal[8:].mean() - signal[:8].mean() > 0.8
    assert 16 <= int(signal.argmax()) <= 20
    assert 0.05 < float(signal[:7].std()) < 0.25


@pytest.mark.parametrize(
    ("module", "read", "package"),
    [("matplotlib.cbook", data.mri, "Matplotlib"), ("PIL.Image", data.paper_hands, "Pillow")],
)
def test_what_reads_files_says_which_package_is_missing(module, read, package, monkeypatch, tmp_path):
    for name in "TR":
        (tmp_path / f"hands-{name}.jpg").touch()
    monkeypatch.setenv("REGKIT_DATA", str(tmp_path))
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"an installed {package}.*: pip install 'regkit\[book\]'"):
        read()


def test_pairs_copy_compare_and_print():
    pair = data.hands_phantom(8)
    assert pair in [data.hands_phantom(8), pair] and copy.deepcopy(pair) != pair
    assert repr(pair) == "Pair of 8 × 8 cells"
