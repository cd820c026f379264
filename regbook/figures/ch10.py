"""Figures of chapter 10: how exact the projection must be."""

import time
from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
import torch

from regbook.plots import COLORS, show_image
from regkit.linear import Dual, cg
from regkit.varpro import Reduced, minimise

AUTHORS = {"damping": 1e-3, "scaling": "identity"}  # the paper's Levenberg-Marquardt


# ---- the standard problem, and its runs


def exact_image(problem, w):
    """argmin over f of ‖A(w) f − b‖."""
    return Reduced(problem, exact=True).point(w).f


@dataclass(frozen=True, eq=False)
class Run:
    """What is known after each step. error: of the exact image at the last w, in %; errors: at every w;
    seconds: CPU time of all steps."""

    study: "Study"
    products: np.ndarray
    losses: np.ndarray
    gradients: np.ndarray
    result: object
    seconds: float

    @property
    def accepted(self):
        return sum(step.accepted for step in self.result.history) - 1

    @property
    def error(self):
        return self.study.error(self.result.x)

    @cached_property
    def errors(self):
        return np.array([self.study.error(step.x) for step in self.result.history])


class Study:
    """The standard problem with all runs of the chapter; each is made once."""

    def __init__(self, made, start):
        self.made, self.problem, self.start = made, made.problem, start
        self.f0 = made.problem.upsampled()
        self._runs, self._errors = {}, {}

    def error(self, w):
        """Image error in % of an exact solve at w."""
        key = w.numpy().tobytes()
        if key not in self._errors:
            self._errors[key] = 100 * self.made.error(exact_image(self.problem, w))
        return self._errors[key]

    def loose(self, step):
        """‖Aᵀr‖ / ‖Aᵀb‖ of the f of a step: 0 if the projection is exact."""
        A, b = self.problem.at(step.x), self.problem.b
        return float(A.adjoint(A.forward(step.f) - b).norm() / A.adjoint(b).norm())

    def reduced(self, kind, count=None, tangents=None, *, rtol=0.0, tangent_rtol=0.0, rows="data"):
        """``count`` iterations for f and ``tangents`` for its derivative; None: as many as rtol asks for."""
        enough = 10 * len(self.f0)
        counts = {"maxiter": count, "tangent_maxiter": enough if tangents is None else tangents}
        kind = "golub-pereyra" if kind == "implicit" else kind
        options = {"rtol": rtol, "tangent_rtol": tangent_rtol, **counts}
        return Reduced(self.problem, self.f0, kind=kind, rows=rows, **options)

    def run(self, kind, count=None, tangents=None, *, warm=False, growing=None, steps=9, **options):
        """``steps`` of the authors' method. growing: step k gets ``growing``ᵏ⁻¹ times the iterations."""
        key = (kind, count, tangents, warm, growing, steps, *sorted(options.items()))
        if key not in self._runs:
            self._runs[key] = self._run(kind, count, tangents, warm, growing, steps, options)
        return self._runs[key]

    def _run(self, kind, count, tangents, warm, growing, steps, options):
        def schedule(k):
            factor = growing ** (k - 1)
            return {"maxiter": int(count * factor), "tangent_maxiter": int(tangents * factor)}

        reduced, clock = self.reduced(kind, count, tangents, **options), time.process_time()
        how = {"steps": steps, "warm": warm, "schedule": schedule if growing else None, **AUTHORS}
        found = minimise(reduced, self.start, **how)
        seconds = time.process_time() - clock
        names = ("products", "loss", "gradient_norm")
        columns = [[float(getattr(step, name)) for step in found.history] for name in names]
        return Run(self, *map(np.array, columns), found, seconds)


def signed(ax, difference, grid, title):
    """An error image: orange where too dark, purple where too bright."""
    return show_image(ax, difference, grid, vmin=-64, vmax=64, cmap="PuOr_r", title=title)


def _times(count, word):
    return f"{count} {word}" + ("" if count == 1 else "s")


def bare(*axes):
    for ax in axes:
        ax.set(xticks=[], yticks=[])


# ---- the finished figure: Figs 10 and 11 of the paper


def hook(study, counts):
    """Error, image, loss and gradient after nine steps, with N iterations that are all differentiated."""
    none, grid, truth = study.run("none", 200), study.problem.grid, study.made.image
    known = {count: study.run("unrolled", count) for count in counts}

    def draw(figure, N):
        run = study.run("unrolled", N)
        image = exact_image(study.problem, run.result.x).reshape(grid.shape)
        above, below = figure.subfigures(2, 1, height_ratios=[1, 1.05])
        left, middle, right = above.subplots(1, 3, width_ratios=[1.55, 1, 1])
        left.semilogx(counts, [r.error for r in known.values()], "-", color="0.6", lw=1.2)
        label = "N, all differentiated"
        left.semilogx(N, run.error, "o", ms=8, color=COLORS["vermillion"], label=label)
        left.axhline(none.error, color=COLORS["black"], ls="--", label="200, none of them")
        left.set(xlim=(0.8, 130), ylim=(0, 42), ylabel="image error in %", xlabel="CG iterations N")
        left.set_xticks([1, 10, 100], ["1", "10", "100"])
        left.legend(fontsize=8.5, loc="center right")
        show_image(middle, image, grid, vmin=0, vmax=255, title=f"image, N = {N}")
        signed(right, image - truth, grid, "its error")
        bare(middle, right)
        for ax, name in zip(below.subplots(1, 2), ("losses", "gradients"), strict=True):
            for other in known.values():
                values = getattr(other, name)
                ax.semilogy(values / values[0], color="0.8", lw=1)
            for shown, color, style in ((none, "black", "--"), (run, "vermillion", "-")):
                values = getattr(shown, name)
                ax.semilogy(values / values[0], style, color=COLORS[color])
            ax.set(xlabel="step", ylabel=f"{name[:-1] if name != 'losses' else 'loss'} / first", xlim=(0, 9))
            ax.set_ylim((4e-3, 1.5) if name == "losses" else (1e-5, 3))
        falls = [values[-1] / values[0] for values in (run.losses, run.gradients)]
        many = _times(N, "iteration")
        return (
            f"{many}, all differentiated: the image error ends at {run.error:.1f} %, the loss "
            f"at {falls[0]:.2g} and the gradient at {falls[1]:.1g} of the start. "
            f"200 iterations, none differentiated: {none.error:.1f} %."
        )

    return draw


# ---- the toy: one unknown


def toy(w=1.0, step=0.5):
    """fₙ(w) of gradient descent on ½(w f − 1)² from 0, its tangent, the limit's, and the formula's."""
    grid = np.linspace(0.45, 1.55, 221)

    def value(x, N):
        return (1 - (1 - step * x**2) ** N) / x

    def draw(figure, N):
        ax = figure.subplots()
        ax.plot(grid, 1 / grid, color=COLORS["black"], label="limit f*(w) = 1/w")
        ax.plot(grid, value(grid, N), color=COLORS["vermillion"], lw=2.6, label=f"after N = {N} steps, f(w)")
        f, left = value(w, N), (1 - step * w**2) ** N
        program = 2 * N * step * (1 - step * w**2) ** (N - 1) - (1 - left) / w**2
        formula, limit = (1 - 2 * w * f) / w**2, -1 / w**2
        near = np.array([-0.3, 0.3])
        for slope, at, color, style, name in (
            (limit, 1 / w, "black", ":", "derivative of the limit"),
            (program, f, "green", "-", "derivative of the program"),
            (formula, f, "blue", "--", "the implicit formula at f"),
        ):
            label = f"{name}: {slope:.3f}".replace("-", "−")
            ax.plot(w + near, at + slope * near, style, lw=2, color=COLORS[color], label=label)
        ax.plot(w, f, "o", color=COLORS["vermillion"], ms=7)
        ax.set(xlabel="parameter w", ylabel="f", xlim=(0.45, 1.55), ylim=(0.05, 2.3))
        ax.legend(loc="upper right", fontsize=9)
        return (
            f"After {_times(N, 'step')} f = {f:.3f}. The derivative of the program is {program:.3f}, that of "
            f"the limit {limit:.0f}, and the implicit formula at f gives {formula:.3f}."
        )

    return draw


# ---- early stopping as a filter


def right_hand_side(A, f, b):
    """Of the tangent system AᵀA ḟ = E(b − A f) − AᵀD(f), (n, p)."""
    return A.adjoint_derivative(b - A.forward(f)) - A.adjoint(A.derivative(f))


def unrolled_slope(problem, w, f0, count):
    """f after ``count`` iterations and ∂f/∂w (n, p), all iterations differentiated."""
    point = Reduced(problem, f0, kind="unrolled", rtol=0.0, maxiter=count).point(w)
    found = point.project(Dual.variables(w), "unrolled")
    return found.value, found.tangents


def filters(study):
    """Over the eigenvalues of AᵀA: how far f has come from f₀, and how strongly it reacts to w."""
    A, b, f0, w = study.problem.at(study.start), study.problem.b, study.f0, study.start
    values, vectors = torch.linalg.eigh(A.gram)
    whole = vectors.T @ (exact_image(study.problem, w) - f0)
    bins = np.geomspace(float(values[0]) * 0.999, float(values[-1]) * 1.001, 19)
    place, middles = np.digitize(values.numpy(), bins) - 1, np.sqrt(bins[1:] * bins[:-1])

    def profile(slopes):
        """Root mean square of ‖vᵀ ∂f/∂w‖ over the eigenvalues in each bin."""
        sizes = (vectors.T @ slopes).square().sum(1).numpy()
        parts = [sizes[place == k] for k in range(18)]
        return np.array([np.sqrt(part.mean()) if len(part) else np.nan for part in parts])

    final = exact_image(study.problem, w)
    truth = profile(vectors @ ((vectors.T @ right_hand_side(A, final, b)) / values[:, None]))

    def draw(figure, N):
        f, program = unrolled_slope(study.problem, w, f0, N)
        factors = (vectors.T @ (f - f0)) / whole
        right = right_hand_side(A, f, b)
        formula = vectors @ ((vectors.T @ right) / values[:, None])
        stopped = cg(A.normal, right, rtol=0.0, maxiter=N).x
        left_ax, right_ax = figure.subplots(1, 2)
        strength = _same_distance(values, whole, float((f - f0).norm()))
        left_ax.semilogx(values, factors.clamp(-0.3, 1.7), ".", ms=3, color=COLORS["vermillion"], label="CG")
        smooth = values / (values + strength)
        left_ax.semilogx(values, smooth, "--", color=COLORS["black"], lw=1.4, label="penalty μ ½‖f − f₀‖²")
        left_ax.set(xlabel="eigenvalue of AᵀA", ylabel="part of the way from f₀", ylim=(-0.35, 2.1))
        left_ax.legend(loc="upper left", fontsize=9)
        for slopes, color, style, name in (
            (truth, "black", ":", "of the limit"),
            (profile(formula), "purple", "-", "formula, solved exactly"),
            (profile(stopped), "blue", "--", f"formula, {N} iterations"),
            (profile(program), "vermillion", "-", "of the program"),
        ):
            here = np.isfinite(slopes)
            right_ax.loglog(middles[here], slopes[here], style, color=COLORS[color], label=name)
        right_ax.set(xlabel="eigenvalue of AᵀA", ylabel="size of ∂f/∂w", ylim=(1e1, 3e6))
        right_ax.legend(loc="upper right", fontsize=9)
        small = place < 6
        ratio = profile(formula)[:6], profile(program)[:6]
        worst, way = float(np.nanmax(ratio[0]) / np.nanmax(ratio[1])), float(factors[small].median())
        return (
            f"N = {N}: at the smallest eigenvalues f has come {way:.3f} of its way. There the formula, "
            f"solved exactly at this f, is {worst:.3g} times as large as the derivative of the program."
        )

    return draw


def _same_distance(values, whole, distance):
    """μ at which the penalty's minimiser is as far from f₀, by bisection."""
    low, high = 1e-12, 1e6
    for _ in range(80):
        middle = (low * high) ** 0.5
        far = float((values / (values + middle) * whole).norm()) > distance
        low, high = (middle, high) if far else (low, middle)
    return low


# ---- tangent iterations


def way_out(study, counts, total=200):
    """k tangent iterations at an accurate f: the error of the Jacobian, and the run."""
    exact = Reduced(study.problem, study.f0, rows="data", exact=True).jacobian(study.start)

    def miss(k):
        J = study.reduced("implicit", total, k).jacobian(study.start)
        return float((J - exact).norm() / exact.norm())

    known = {k: (miss(k), study.run("implicit", total, k)) for k in counts}
    none = study.run("none", total)

    def draw(figure, k):
        error, run = known[k] if k in known else (miss(k), study.run("implicit", total, k))
        left, right = figure.subplots(1, 2)
        left.loglog(counts, [e for e, _ in known.values()], color="0.6", lw=1.2)
        left.loglog(k, error, "o", ms=8, color=COLORS["blue"], label="k tangent iterations")
        left.set(xlabel="tangent iterations k", ylabel="relative error of the Jacobian", ylim=(5e-3, 30))
        left.legend(loc="lower left", fontsize=9)
        for _, other in known.values():
            right.plot(other.errors, color="0.8", lw=1)
        right.plot(none.errors, "--", color=COLORS["black"], label="k = 0: nothing")
        right.plot(run.errors, "o-", ms=3.5, color=COLORS["blue"], label=f"k = {k}")
        right.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 44))
        right.legend(loc="lower left", fontsize=9)
        return (
            f"{total} iterations for f and {k} for its derivative: the Jacobian is off by {error:.2g}, and "
            f"the image error ends at {run.error:.1f} %."
        )

    return draw, {k: run.error for k, (_, run) in known.items()}


# ---- work against accuracy

VARIANTS = [  # name, kind, N, k, options, colour, dash, shown at first
    ("none, 200", "none", 200, None, {}, "text", "", True),
    ("none, 5", "none", 5, None, {}, "text", "2 3", False),
    ("unrolled 5", "unrolled", 5, None, {}, "vermillion", "2 3", True),
    ("unrolled 25", "unrolled", 25, None, {}, "vermillion", "8 3", False),
    ("unrolled 100", "unrolled", 100, None, {}, "vermillion", "", True),
    ("implicit 200 + 20", "implicit", 200, 20, {}, "blue", "8 3", False),
    ("implicit 200 + 100", "implicit", 200, 100, {}, "blue", "", True),
    ("implicit 20 + 20", "implicit", 20, 20, {}, "blue", "2 3", True),
    ("implicit 5 + 40", "implicit", 5, 40, {}, "purple", "2 3", False),
    ("Kaufman 5 + 5", "kaufman", 5, 5, {}, "green", "2 3", False),
    ("Kaufman 20 + 10", "kaufman", 20, 10, {}, "green", "", True),
    ("Kaufman 20 + 10, warm", "kaufman", 20, 10, {"warm": True}, "orange", "", False),
    ("implicit 20 + 20, warm", "implicit", 20, 20, {"warm": True}, "orange", "2 3", False),
    ("implicit 5 + 5, growing", "implicit", 5, 5, {"growing": 1.5}, "sky", "", False),
]


def work(study):
    """The data of the page's figure, and the runs by their names."""
    runs = {name: study.run(kind, N, k, **more) for name, kind, N, k, more, *_ in VARIANTS}
    curves = [
        {
            "name": name,
            "color": color,
            "dash": dash,
            "on": on,
            "products": [int(v) for v in runs[name].products],
            "errors": [round(float(v), 2) for v in runs[name].errors],
        }
        for name, *_, color, dash, on in VARIANTS
    ]
    return {"curves": curves, "budget": 2000}, runs


def tolerances(study, loose, tangents):
    """Final error over the tolerance of the projection, for several of the tangents, and the chosen run."""

    def run(rtol, tangent):
        return study.run("implicit", rtol=float(f"{rtol:.3g}"), tangent_rtol=tangent)

    ends = {t: [run(rtol, t).error for rtol in loose] for t in tangents}
    colors = dict(zip(tangents, ("orange", "blue", "purple"), strict=True))
    marks = dict(zip(tangents, "o^s", strict=True))

    def draw(figure, rtol, tangent):
        chosen = run(rtol, tangent)
        left, right = figure.subplots(1, 2)
        for t, values in ends.items():
            label = f"tangents to {t:g}"
            left.semilogx(loose, values, marks[t] + "-", ms=4, lw=1.2, color=COLORS[colors[t]], label=label)
        end, products = chosen.error, chosen.products[-1]
        left.semilogx(rtol, end, "o", ms=12, mfc="none", mew=2.5, color=COLORS["black"])
        left.set(xlabel="tolerance of the projection", ylabel="image error at the end in %", ylim=(0, 52))
        left.invert_xaxis()
        left.legend(loc="lower left", fontsize=8.5)
        right.plot(chosen.errors, "o-", ms=4, color=COLORS[colors[tangent]], label="this run")
        right.axhline(study.error(study.made.w_true), color="0.4", ls=":", label="true motions")
        right.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 52))
        right.legend(loc="lower left", fontsize=8.5)
        return (
            f"Projection to {rtol:.1e}, tangents to {tangent:g}: {chosen.accepted} of "
            f"{len(chosen.errors) - 1} steps accepted, error {end:.1f} % after {products:,.0f} products."
        )

    return draw


def warm_starts(study):
    """The same run with its projections started at f₀, or at the last f."""
    loose = {}

    def draw(figure, N, begin):
        cold, warm = (study.run("implicit", N, N, warm=flag) for flag in (False, True))
        chosen, other = (warm, cold) if begin == "the last f" else (cold, warm)
        left, right = figure.subplots(1, 2)
        for run, color, width in ((other, "0.75", 1.4), (chosen, COLORS["blue"], 2.4)):
            name, history = "from the last f" if run is warm else "from f₀", run.result.history
            loose[run] = loose.get(run) or [study.loose(step) for step in history]
            left.plot(run.errors, "o-", ms=3.5, label=name, color=color, lw=width)
            right.semilogy(loose[run], "o-", ms=3.5, label=name, color=color, lw=width)
        left.set(xlabel="step", ylabel="image error in %", xlim=(0, 9), ylim=(0, 44))
        right.set(xlabel="step", ylabel="‖Aᵀr‖ / ‖Aᵀb‖: 0 if exact", xlim=(0, 9), ylim=(1e-5, 3e-2))
        left.legend(loc="lower left", fontsize=9)
        end = loose[chosen][-1]
        return (
            f"{N} + {N} iterations, started at {begin}: ‖Aᵀr‖/‖Aᵀb‖ ends at {end:.1e} and the image error "
            f"at {chosen.error:.1f} % (the other start: {other.error:.1f} %)."
        )

    return draw


# ---- static drawings


def remainders(tests):
    """The remainder after the first derivative, one curve for each test."""
    figure, ax = plt.subplots(figsize=(6.4, 3.4))
    looks = list(zip(("vermillion", "blue", "purple", "green"), "os^D", strict=True))
    for (name, test), (color, mark) in zip(tests.items(), looks[: len(tests)], strict=True):
        label, left = f"{name}: slope {test.slopes[1]:.2f}", test.errors[1] / test.errors[0][0]
        ax.loglog(test.steps, left, mark + "-", ms=4, color=COLORS[color], label=label)
    ax.set(xlabel="step h", ylabel="‖r(w + hv) − r(w) − hJv‖")
    ax.legend(fontsize=9)
    return figure


def tape(counts, saved):
    """Nodes behind the iterate over the steps; bytes that reverse mode keeps over the iterations of CG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.8, 3.3))
    marks = {"carries a gradient": ("vermillion", "o-"), "detached in every step": ("blue", "s-")}
    for name, values in counts.items():
        color, mark = marks.get(name, ("green", "^--"))
        left.plot(values, mark, ms=4, color=COLORS[color], label=f"w {name}")
    left.set(xlabel="step of the optimiser", ylabel="nodes behind w")
    left.legend(fontsize=8.5, loc="upper left")
    left.set_ylim(-0.06 * max(max(v) for v in counts.values()), 1.35 * max(max(v) for v in counts.values()))
    for (name, values), color, mark in zip(saved.items(), ("vermillion", "blue"), "os", strict=True):
        sizes = [size / 1e6 for size in values.values()]
        right.plot(list(values), sizes, mark + "-", ms=4, color=COLORS[color], label=name)
    right.set(xlabel="CG iterations in one step", ylabel="kept for reverse mode in MB")
    right.legend(fontsize=8.5, loc="upper left")
    return figure


def saved_bytes(problem, w, f0, derivative, count, tangents):
    """Bytes that reverse mode keeps of one projection, until it is differentiated."""
    point = Reduced(problem, f0, rtol=0.0, maxiter=count, tangent_maxiter=tangents).point(w)
    traced, sizes = w.clone().requires_grad_(), {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = point.project(traced, derivative)
    total = sum(sizes.values())
    del kept
    return total


# ---- the records


def median(values):
    return float(np.median(values))


def summary(record):
    """A row for each method: median and worst error, and the median work, in all and to within 5 %."""
    rows = []
    for method in record["methods"]:
        exact = method["products"] is None
        row = {"name": method["name"], "median": median(method["errors"]), "worst": max(method["errors"])}
        early = [
            next(spent for spent, error in path if error <= 1.05 * end)
            for path, end in zip(method["paths"], method["errors"], strict=True)
        ]
        work = {"all": None, "early": None}
        if not exact:
            work = {"all": median(method["products"]), "early": median(early)}
        rows.append(row | work)
    return rows


def bargain(rows, margin=0.5):
    """The cheapest row whose median error is within ``margin`` % of the best, and the best row."""
    best = min(rows, key=lambda row: row["median"])
    counted = [row for row in rows if row["all"] and row["median"] <= best["median"] + margin]
    return min(counted, key=lambda row: row["early"]), best


def comparison(record):
    """Median error over median work, step by step; the best method with exact solves as a line."""
    figure, ax = plt.subplots(figsize=(6.8, 5.4))
    families = {"none": "black", "warm": "orange", "growing": "purple", "unrolled": "vermillion"}
    families |= {"implicit": "blue", "Kaufman": "green"}
    seen = dict.fromkeys(families, 0)
    for method in record["methods"]:
        if method["products"] is None:
            continue
        family = next(name for name in families if name in method["name"])
        mark, style = "osv^"[seen[family] % 4], ("-", "--", "-.", ":")[seen[family] % 4]
        seen[family] += 1
        length = min(len(path) for path in method["paths"])
        middle = np.median([path[:length] for path in method["paths"]], axis=0)
        look = {"color": COLORS[families[family]], "marker": mark, "ls": style, "ms": 4, "lw": 1.4}
        ax.loglog(middle[:, 0], middle[:, 1], label=method["name"], **look)
    best = min(row["median"] for row in summary(record) if row["all"] is None)
    ax.axhline(best, color="0.4", ls=":", label="best with exact solves")
    ax.set(xlabel="products with AᵀA, median", ylabel="image error in %, median")
    ax.set_yticks([8, 10, 15, 20, 30, 40], ["8", "10", "15", "20", "30", "40"])
    ax.minorticks_off()
    figure.legend(fontsize=9, loc="outside lower center", ncols=2)
    return figure


def large(record, images, grid):
    """Template, up-sampled, start and end, with the errors of the last three."""
    figure, axes = plt.subplots(2, 4, figsize=(6.8, 3.9), dpi=120)
    names = {"template": "template 0", "upsampled": "up-sampled", "start": "start", "end": "after 10 steps"}
    truth = images["image"].astype(float)
    for ax, below, (key, title) in zip(axes[0], axes[1], names.items(), strict=True):
        picture = torch.from_numpy(images[key].astype(float))
        at = grid if picture.shape == tuple(grid.shape) else type(grid)(grid.extent, tuple(picture.shape))
        show_image(ax, picture, at, vmin=0, vmax=255, title=title)
        if key == "template":
            show_image(below, torch.from_numpy(truth), grid, vmin=0, vmax=255, title="true image")
        else:
            part = record["error"]["up-sampled" if key == "upsampled" else key]
            signed(below, picture - torch.from_numpy(truth), grid, f"error {100 * part:.1f} %")
        bare(ax, below)
    return figure
