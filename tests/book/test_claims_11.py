"""The bold claims of chapter 11: with NumPy and SciPy, other derivatives, and counts."""

import math
import warnings
import weakref
from functools import cache
from itertools import pairwise

import numpy as np
import scipy.integrate
import scipy.ndimage
import scipy.sparse.linalg
import torch

from regbook.experiments import ch11 as experiments
from regbook.meter import price
from regkit import data
from regkit.deform import deform
from regkit.energies import Bending
from regkit.flows import pulled_back
from regkit.freeform import FreeForm
from regkit.grid import Grid
from regkit.path_energy import PathEnergy
from regkit.registration import Registration

SIZE, NOISE = 64, 5.0


@cache
def pair():
    return data.bent_hands_phantom(SIZE, NOISE)


def unit() -> float:
    """λ for α = 1."""
    return float((pair().template - pair().reference).square().mean()) * 25.0**2


def problem(cells: int, alpha: float) -> Registration:
    free = FreeForm(Grid(data.HAND_BOX, (cells, cells)))
    energy = Bending(free, alpha * unit())
    return Registration(pair().template, pair().reference, pair().grid, free, regulariser=energy, outside=0.0)


def squared(y: torch.Tensor) -> float:
    """The squared difference of the images, by SciPy's spline."""
    at = y.numpy() / np.array(pair().grid.spacing) - 0.5
    moved = scipy.ndimage.map_coordinates(pair().template.numpy(), at.T, order=3, mode="grid-constant")
    return float(np.square(moved - pair().reference.numpy().reshape(-1)).sum())


def slopes_of_lines(y: torch.Tensor) -> np.ndarray:
    """det ∇y of the cells, by differences of neighbours."""
    fields = y.reshape(SIZE, SIZE, 2).numpy()
    dx, dy = (np.gradient(fields, h, axis=k) for k, h in enumerate(pair().grid.spacing))
    return dx[..., 0] * dy[..., 1] - dx[..., 1] * dy[..., 0]


@cache
def falling(cells: int, powers: tuple) -> list:
    """(y at the cell centres, converged, warned of) for α = 10^power, each from the one before."""
    found, w, x = [], None, pair().grid.points()
    for power in powers:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            end = deform(problem(cells, 10.0**power), w, levels=1, reduction=0.03, iterations=200)
        w = end.w
        found.append((end(x), end.converged, bool(told)))
    return found


def miss(y: torch.Tensor) -> float:
    """Mean distance to the true map in the hand, cm."""
    inside = pair().reference.reshape(-1) > 30
    return float((y - pair().y_true(pair().grid.points()))[inside].norm(dim=1).mean())


POWERS = (1, 0, -1, -2, -3, -4, -5, -6)


def test_claim_the_fit_improves_and_the_map_does_not():
    maps = [y for y, *_ in falling(32, POWERS)]
    left, off = [squared(y) for y in maps], [miss(y) for y in maps]
    assert all(later < earlier for earlier, later in pairwise(left))
    best = int(np.argmin(off))
    assert 2 <= best <= 4 and off[-1] > 2.5 * off[best] and off[0] > 5 * off[best]
    # what is fitted after that is noise: less is left than between the images under the true map
    assert left[-1] < 0.6 * squared(pair().y_true(pair().grid.points()))


def test_claim_only_the_determinant_tells():
    maps = falling(32, POWERS)
    (good, _, quiet), (weak, converged, warned) = maps[3], maps[-1]
    assert converged and squared(weak) < 0.6 * squared(good) and miss(weak) > miss(good)
    assert slopes_of_lines(good).min() > 0.5 and not quiet
    inside = pair().reference.numpy() > 30
    assert slopes_of_lines(weak)[inside].min() < 0 and warned


def test_claim_the_penalty_decides_and_not_p():
    """Other lattices than those of the record, and the record."""
    off = {cells: miss(falling(cells, POWERS[:4])[-1][0]) for cells in (2, 13, 32)}
    assert abs(off[32] - off[13]) < 0.15 * off[13] and off[2] > 1.6 * off[13]
    maps = experiments.recorded()["maps"]
    few, many = maps["free-form, 13 × 13"], maps["free-form, 47 × 47"]
    assert (few["p"], many["p"]) == (512, 5000) and abs(many["miss"] - few["miss"]) < 0.15 * few["miss"]
    fifty = [row["miss"] for row in maps.values() if row["p"] == 50]
    assert len(fifty) == 2 and min(fifty) > 1.6 * few["miss"] and max(fifty) < 0.5 * maps["affine"]["miss"]


def test_claim_a_step_costs_a_few_products():
    """5,000 parameters, by torch.func from the plain program; the step's residual is computed by itself."""
    plain, w = problem(47, 1e-2).at(1e-3), torch.zeros(5000, dtype=torch.float64)
    v = torch.ones_like(w)
    gradient = torch.func.grad(plain.loss)
    product = lambda w: torch.func.jvp(gradient, (w,), (v,))[1]  # noqa: E731
    loss, first, second = price(plain.loss, w), price(gradient, w), price(product, w)
    assert first < 3 * loss and second < 9 * loss
    count = experiments.products(sides=(47,))[5000][0]
    assert count * second < 60 * first and 5000 * second > 5000 * first
    # Gauss-Newton's matrix times v is forward and back through the residual: no more than twice the product
    once = lambda w: torch.func.vjp(plain.residual, w)[1](torch.func.jvp(plain.residual, (w,), (v,))[1])  # noqa: E731
    assert price(once, w) < 2 * second


def test_claim_with_a_preconditioner_p_hardly_counts():
    """SciPy's CG on the same systems, and the modes as its preconditioner."""
    from regkit.deform import Modes

    counts = {}
    for cells in (2, 13, 47, 77):
        registration = problem(cells, 1e-2)
        point = registration.at(1e-3).point(registration.transform.identity(), 1)
        H, b = point.curvature("gauss-newton"), -point.gradient.numpy()
        modes = Modes(registration.regulariser, H)

        p = len(b)

        def operator(apply, p=p):
            array = lambda x: apply(torch.from_numpy(np.ascontiguousarray(x))).numpy()  # noqa: E731
            return scipy.sparse.linalg.LinearOperator((p, p), array, dtype=float)

        counts[cells] = []
        for help in (operator(modes.apply), None):
            steps = []
            scipy.sparse.linalg.cg(
                operator(H.forward), b, rtol=1e-2, maxiter=2000, M=help, callback=steps.append
            )
            counts[cells].append(len(steps))
    with_, without = zip(*counts.values(), strict=True)
    assert max(with_) < 25 and without[-1] > 8 * with_[-1] and without[-1] > 2 * without[-2]
    recorded = experiments.products(sides=(2, 77))
    assert abs(recorded[12800][0] - recorded[50][0]) <= 8 and recorded[12800][1] > 8 * recorded[12800][0]


def test_claim_cg_counts_different_eigenvalues():
    """A conjugate gradient of five lines, on matrices with few eigenvalues and on one with many."""
    random = np.random.default_rng(11)

    def iterations(values):
        Q = np.linalg.qr(random.normal(size=(len(values),) * 2))[0]
        A, r = Q @ np.diag(values) @ Q.T, random.normal(size=len(values))
        d, start = r.copy(), np.linalg.norm(r)
        for k in range(1, len(r) + 1):
            step = r @ r / (d @ A @ d)
            new = r - step * A @ d
            d, r = new + (new @ new) / (r @ r) * d, new
            if np.linalg.norm(r) < 1e-8 * start:
                return k
        return len(r)

    for p in (20, 200):
        for different in (1, 2, 3, 5):
            assert iterations(np.resize(np.linspace(1, 9, different), p)) <= different
    assert iterations(np.linspace(1, 9, 200)) > 20
    w = torch.from_numpy(random.normal(size=6))
    H = torch.func.hessian(lambda w: (w @ w) ** 2 / 4)(w)
    assert torch.allclose(H, (w @ w) * torch.eye(6).double() + 2 * torch.outer(w, w))
    values = torch.linalg.eigvalsh(H)
    assert torch.allclose(values, torch.tensor([1.0] * 5 + [3.0]).double() * (w @ w))


def test_claim_a_row_of_the_jacobian_has_thirty_two_numbers():
    """By torch.func, which knows of no bumps; the full matrix is large for any lattice."""
    small = data.bent_hands_phantom(16, NOISE)
    for cells in (5, 11):
        free = FreeForm(Grid(data.HAND_BOX, (cells, cells)))
        plain = Registration(small.template, small.reference, small.grid, free, outside=0.0).at(1e-3)
        J_r = torch.func.jacrev(plain.residual)(free.identity() + 0.05)
        filled = (J_r.abs() > 0).sum(1)
        assert 20 < int(filled.max()) <= 32 < J_r.shape[1]


def test_claim_a_flow_is_not_folded_but_its_steps_are():
    """SciPy's integrator as the flow: areas by differences of four neighbours of each point."""
    speed, x = 6.0, Grid(data.HAND_BOX, (12, 15)).points()
    centre, h = np.array(experiments.CENTRE), 1e-4

    def end(points):
        z = ((points - centre) / 5.0).reshape(-1)

        def velocity(t, z):
            return np.stack([-speed * np.tanh(z[1::2]), speed * np.tanh(z[::2])], axis=1).reshape(-1)

        found = scipy.integrate.solve_ivp(velocity, (0, 1), z, rtol=1e-10, atol=1e-12).y[:, -1]
        return centre + 5.0 * found.reshape(-1, 2)

    def areas(motion):
        columns = [(motion(x.numpy() + h * e) - motion(x.numpy() - h * e)) / (2 * h) for e in np.eye(2)]
        return columns[0][:, 0] * columns[1][:, 1] - columns[0][:, 1] * columns[1][:, 0]

    assert np.abs(areas(end) - 1).max() < 1e-4
    least = {}
    for steps in (1, 2, 16):
        flow = experiments.flow_of(steps)
        least[steps] = areas(lambda p, f=flow: f(experiments.swirl(speed), torch.from_numpy(p)).numpy()).min()
    assert least[1] < -5 and least[2] < 0 and abs(least[16] - 1) < 0.01


def test_claim_the_energy_of_the_path_takes_the_detour_away():
    """SciPy's integrator as the flow, with energy as one more coordinate; fewer paths than in the chapter."""
    energy = PathEnergy(experiments.flow_of(9), Grid(data.HAND_BOX, (6, 6)), strength=1e-3)
    straight, before = experiments.straightened(energy, experiments.swirl(3.0))
    x, spent, ends = energy.grid.points().numpy(), [], []
    for w in (before, straight):
        W1, b1, W2, b2 = (part.numpy() for part in w.split(energy.transform.sizes))

        def rate(t, state, W1=W1, b1=b1, W2=W2, b2=b2):
            z = state.reshape(3, -1)[:2]
            inputs = np.vstack([z, np.full(len(x), t)])
            velocity = W2.reshape(2, 8) @ np.tanh(W1.reshape(8, 3) @ inputs + b1[:, None]) + b2[:, None]
            return np.vstack([velocity, (velocity**2).sum(0)]).reshape(-1)

        start = np.vstack([((x - experiments.CENTRE) / 5).T, np.zeros(len(x))])
        end = scipy.integrate.solve_ivp(rate, (0, 1), start.reshape(-1), rtol=1e-9, atol=1e-10).y[:, -1]
        end = end.reshape(3, -1)
        spent.append(end[2].sum() / np.square(end[:2] - start[:2]).sum())
        ends.append(5 * end[:2])
    assert 1.3 < spent[0] < 1.45 and 1 < spent[1] < 1 + 0.4 * (spent[0] - 1)
    off = np.linalg.norm(ends[1] - ends[0], axis=0).mean()
    assert off < 0.02 * np.linalg.norm(ends[0] - 5 * start[:2], axis=0).mean()


def test_claim_kept_points_bound_the_memory():
    """Points that are alive at a time, and steps that are computed, counted in the steps themselves."""
    counts = {}
    for steps in (27, 243, 2187):
        alive, most, calls = weakref.WeakSet(), 0, 0

        def stretch(w, a, b, z, alive=alive):
            nonlocal most, calls
            calls += b - a
            z = z * (1 + w[0]) ** (b - a)
            alive.add(z)
            most = max(most, len(alive))
            return z, lambda out, z=z: ((b - a) * (out @ z)[None] / (1 + w[0]), out * (1 + w[0]) ** (b - a))

        w, z = torch.full((1,), 0.01, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
        slope, _ = pulled_back(stretch, w, z, steps, z, 9)
        assert math.isclose(slope, 3 * steps * 1.01 ** (steps - 1), rel_tol=1e-9)
        counts[steps] = most, calls / steps
    assert counts[27][0] <= 5 and counts[243][0] <= 30 and counts[2187][0] <= 45
    assert counts[27][1] <= 2 and counts[243][1] <= 2 and counts[2187][1] <= 3
    # and the bytes of the record: nine times the steps
    memory = experiments.recorded()["memory"]
    assert memory["243"]["plain"] > 7 * memory["27"]["plain"]
    few = [memory[str(steps)]["few"] for steps in (3, 9, 27, 81, 243)]
    assert few == sorted(few) and few[-1] < 1.3 * few[1]
    assert few[-1] < 0.5 * memory["9"]["plain"] and few[2] < 0.15 * memory["27"]["plain"]


def test_claim_in_space_the_same_call_does_it():
    """Another size and another lattice than in the chapter; slopes by differences of neighbours."""
    chest = data.chest_phantom(24, noise=NOISE)
    free = FreeForm(Grid(chest.grid.extent, (6, 6, 6)))
    scale = float((chest.template - chest.reference).square().mean()) * 32.0**2
    energy = Bending(free, 1e-2 * scale)
    registration = Registration(
        chest.template, chest.reference, chest.grid, free, regulariser=energy, outside=0.0
    )
    found, x = deform(registration, levels=1, reduction=0.03), chest.grid.points()
    inside, cell = chest.reference.reshape(-1) > 30, min(chest.grid.spacing)
    off = float((found(x) - chest.y_true(x))[inside].norm(dim=1).mean())
    way = float((x - chest.y_true(x))[inside].norm(dim=1).mean())
    assert off < 0.4 * cell and off < 0.4 * way
    fields = found(x).reshape(24, 24, 24, 3).numpy()
    F = np.stack([np.gradient(fields, h, axis=k) for k, h in enumerate(chest.grid.spacing)], axis=-1)
    assert np.linalg.det(F).min() > 0
