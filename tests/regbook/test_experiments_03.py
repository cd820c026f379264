"""The experiments of chapter 3, against formulas, differences, dense algebra and other methods."""

import math

import numpy as np
import pytest
import torch
from numpy.polynomial import Polynomial

from regbook.experiments import ch03
from regkit import Grid, data
from regkit.optimize import newton_trust
from regkit.registration import Registration
from regkit.transforms import Affine

pytestmark = pytest.mark.usefixtures("double_precision")
ABOUT = Affine(center=(10, 12.5))


def objective(pair, theta=0.1):
    return Registration(pair.template, pair.reference, pair.grid, ABOUT).at(theta)


def test_a_turn_turns_against_the_clock():
    assert torch.allclose(ch03.rotation(90) @ torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert torch.allclose(ch03.rotation(30) @ ch03.rotation(-30), torch.eye(2))


def test_a_displaced_map_is_the_true_one_after_the_displacement(pair):
    """Point by point, in complex numbers."""
    w, x = ch03.displaced(pair, ABOUT, 40.0, slide=1.5), pair.grid.points()
    c = complex(*ch03.middle(pair.grid))
    z = (torch.view_as_complex(x.contiguous()) - c) * np.exp(1j * math.radians(40)) + c + 1.5
    A, b = pair.w_true[:4].reshape(2, 2), pair.w_true[4:]
    torch.testing.assert_close(ABOUT(w, x), torch.view_as_real(z) @ A.T + b)
    two = ch03.TurnAndSlide(pair=pair)(ch03.in_plane(40.0, 1.5), x)
    torch.testing.assert_close(two, ABOUT(w, x))


def test_distances_are_means_over_the_box(pair):
    w = ABOUT.identity()
    shifted = w + torch.tensor([0, 0, 0, 0, 3.0, 4.0])
    assert ch03.mean_distance(ABOUT, shifted, w, pair.grid) == pytest.approx(5)


def test_the_moved_template_is_the_template_where_the_map_looks(pair):
    one = objective(pair, 0.0)
    shift = ABOUT.identity() + torch.tensor([0, 0, 0, 0, pair.grid.spacing[0], 0])
    picture = ch03.moved(one, shift)
    torch.testing.assert_close(picture[:-1], pair.template[1:], rtol=1e-9, atol=1e-9)


def test_newton_comes_home_from_near_and_not_from_everywhere(pair):
    found = ch03.comes_home(pair, objective(pair), [0, 20, 180])
    assert found.home(0) and found.home(20) and not found.home(180) and found.largest == 20
    everywhere = ch03.Homing({0: None, 10: None}, {0: 0.0, 10: 0.05})
    assert everywhere.largest == 10


def test_two_pixels_by_polynomials():
    w, pixels = Polynomial([0, 1]), ch03.TwoPixels()
    r = (w**2 - 1, (1 + w) ** 2 - 4)
    J = (r[0] ** 2 + r[1] ** 2) / 2
    at = np.linspace(-3, 2, 11)
    assert np.allclose(pixels.loss(at), J(at)) and np.allclose(pixels.slope(at), J.deriv()(at))
    second = pixels.curvatures(at)
    assert np.allclose(second["Newton"], J.deriv(2)(at))
    assert np.allclose(second["Gauss-Newton"], sum(part.deriv()(at) ** 2 for part in r))


def test_parameters_change_the_numbers_and_not_the_map():
    image, _ = data.mri(16)
    reference = torch.roll(image, 1, 0)
    cases = ch03.conditioning(image, reference, 256.0, 128.0, theta=10.0, limit=5)
    assert len(cases) == 4
    x = Grid((256.0, 256.0), image.shape).points()
    maps = []
    for (_, lengths), case in cases.items():
        unit = 64.0 if lengths == "units of 64 mm" else 1.0
        maps.append(unit * case.objective.problem.transform(case.w, x / unit))
        values = torch.linalg.eigvalsh(case.objective.hessian(case.w))
        assert case.condition == pytest.approx(float(values[-1] / values[0].abs()), rel=1e-6)
        assert case.counts["descent"] in {"not done after 5", "1", "2", "3", "4"}
    for other in maps[1:]:
        torch.testing.assert_close(other, maps[0], rtol=0, atol=0.05)


def test_the_landscape_is_the_loss_of_the_displaced_map(pair):
    flat = Registration(pair.template, pair.reference, pair.grid, ch03.TurnAndSlide(pair=pair)).at(0.1)
    seen = ch03.landscape(flat, np.array([-30.0, 0.0, 50.0]), np.array([0.0, 2.0]))
    six = objective(pair)
    for i, slide in enumerate((0.0, 2.0)):
        for j, turn in enumerate((-30.0, 0.0, 50.0)):
            expected = float(six.loss(ch03.displaced(pair, ABOUT, turn, slide)))
            assert seen[i, j] == pytest.approx(expected, rel=1e-9)
    run, path = ch03.walk("Newton, trust region", flat, 20.0, 1.0)
    assert path[0] == pytest.approx([20.0, 1.0]) and np.abs(path[-1]).max() < 0.5
    assert run.loss < run.history[0].loss


def test_digits_are_those_of_the_errors(pair):
    found = ch03.digits(Registration(pair.template, pair.reference, pair.grid, ABOUT),
                        ch03.displaced(pair, ABOUT, 10.0), theta=0.1)  # fmt: skip
    gradient = found.objective.gradient(found.w_star)
    assert float(gradient.norm()) < 1e-9 * float(found.objective.loss(ABOUT.identity()))
    newton = found.correct("Newton, trust region")
    assert newton[-1] > 8 and found.seven("Newton, trust region") <= len(newton) - 1
    assert newton[found.seven("Newton, trust region") - 1] < 7
    residual = found.objective.residual(found.w_star)
    energy = found.objective.reference.square().sum() * pair.grid.cell_volume
    assert found.share == pytest.approx(float(residual.square().sum() / energy), rel=1e-9)
    gauss, exact = (found.objective.hessian(found.w_star, kind).numpy() for kind in ("gauss-newton", "exact"))
    factors = 1 - np.linalg.eigvals(np.linalg.inv(gauss) @ exact)
    assert abs(found.factor) == pytest.approx(np.abs(factors.real).max(), rel=1e-6)


def test_what_a_run_sees_and_what_is_true(pair):
    one, truth = objective(pair), ch03.displaced(pair, ABOUT, 0)
    run = newton_trust(one, ch03.displaced(pair, ABOUT, 15.0))
    loss, off = ch03.seen_and_true(one, run, truth)
    assert loss[0] == 100 and loss[-1] == pytest.approx(100 * run.loss / run.history[0].loss)
    assert off[0] == pytest.approx(ch03.mean_distance(ABOUT, run.history[0].x, truth, pair.grid))
    assert off[-1] < 0.1 * off[0]


def test_basins_are_numbered_by_how_many_starts_end_in_them(pair):
    one = objective(pair)
    found = ch03.basins(pair, one, turns=[-150.0, -20.0, 0.0, 20.0], slides=[0.0])
    assert found.label[0, 1:].tolist() == [0, 0, 0], "near starts come home"
    assert found.label[0, 0] != 0 and found.count[0] == 3 and found.count.sum() == 4
    assert found.error[0] < 0.1 < found.error[1:].min()
    first = float(one.loss(ABOUT.identity()))
    for w, loss in zip(found.ends, found.loss, strict=True):
        assert float(one.loss(w)) == pytest.approx(first * loss)
    assert float(one.gradient(found.ends[0]).norm()) < 1e-3 * first


def test_the_copy_of_the_head_is_the_head_where_the_true_map_looks():
    """In complex numbers there are no matrices to mistake; the loss at the true w is that of two splines."""
    image, copy, grid, about, w_true = ch03.head_pair(32)
    x = grid.points()
    z = torch.view_as_complex((x - 128).contiguous())
    stretched = torch.complex(1.06 * z.real + 0.08 * z.imag, 0.95 * z.imag)
    turned = stretched * complex(math.cos(math.radians(8)), math.sin(math.radians(8)))
    torch.testing.assert_close(about(w_true, x), torch.view_as_real(turned) + torch.tensor([134.0, 124.0]))
    one = Registration(image, copy, grid, about).at(0.0)
    assert float(one.loss(w_true)) < 1e-15 * float(one.loss(about.identity()))


def test_a_pattern_fades_into_its_grey():
    far, middle = torch.tensor([[0.0, 0.0], [20.0, 10.0]]), torch.tensor([[10.0, 10.0]])
    assert ch03.pattern(middle, 128).item() == 188
    torch.testing.assert_close(ch03.pattern(far, 128), torch.full((2,), 128.0), rtol=0, atol=0.1)
    wave = ch03.pattern(torch.tensor([[10 + math.pi / 3, 10.0]]), 5.0).item()
    assert wave == pytest.approx(5, abs=1e-9)


def test_the_clock_warms_up_and_takes_the_median(monkeypatch):
    ticks, calls = iter([0, 5, 10, 12, 20, 90.0]), []
    monkeypatch.setattr(ch03, "perf_counter", lambda: next(ticks))
    assert ch03.seconds(lambda: calls.append(1), repeats=3) == 5 and len(calls) == 4
