"""Figures that a page computes itself: one function for each, which checks its data and loads its script.

Besides its data each takes the texts of ``regbook.explore.page_widget``: alt, title, caption, readout,
longest, still, guess. In the scripts the data arrive under the names that are given here.

stills                 what stands in their place where there are no scripts
spline.js              splines, affine maps and Newton's method: what all share that register
squared_difference.js  the squared difference of two images
correlation.js         their normalised cross-correlation over the overlap
determined.js          do they tell the map between them?
align.js               two pictures, aligned from any start
pictures.js            reads the pictures of a reader, and writes one
krylov.js              conjugate gradients and Chebyshev's iteration with their tangents
coarse_images.js       the equations of super-resolution
panels.js              several small pictures with axes
background.js          computes in a worker, or in slices where there is none
beside.js              calls functions in a worker, or here where there is none
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from numbers import Real

import numpy as np
import torch
from PIL import Image

from regbook.experiments.ch09 import TAILS, Toy
from regbook.explore import PageWidget, page_widget
from regbook.explore.frames import base64_text
from regbook.plots import COLORS, ERROR_COLORS
from regbook.widgets import stills
from regkit import _determined, coefficients
from regkit.data import Pair
from regkit.spline import smoothing_modes
from regkit.transforms import Affine

# What both sides call determined: the same numbers in Python and in the page.
DETERMINED = {
    "least": _determined.LEAST,
    "sure": _determined.SURE,
    "cells": _determined.CELLS,
    "fewest": _determined.FEWEST,
    "along": _determined.ALONG,
    "across": _determined.ACROSS,
}


def _script(name: str) -> str:
    """The source of the script ``name``, such as "drag_spline"."""
    return (resources.files(__package__) / f"{name}.js").read_text(encoding="utf-8")


def _check_shapes(data: Mapping, **expected: str) -> None:
    """Raise ValueError unless each entry has its shape; a letter in it is one length, wherever it stands."""
    lengths: dict[str, int] = {}
    for name, letters in expected.items():
        shape, wanted = tuple(np.shape(data[name])), letters.split()
        for letter, length in zip(wanted, shape, strict=False):
            lengths.setdefault(letter, int(letter) if letter.isdigit() else length)
        if list(shape) != [lengths.get(letter) for letter in wanted]:
            text = ", ".join(str(lengths.get(letter, letter)) for letter in wanted) + "," * (len(wanted) == 1)
            raise ValueError(f"expected {name} of shape ({text}), got {shape}")


def _check_keys(what: str, given: Mapping, keys: Sequence[str]) -> None:
    if not isinstance(given, Mapping) or set(given) != set(keys):
        came = ", ".join(given) if isinstance(given, Mapping) else repr(given)
        raise ValueError(f"expected {what} with {', '.join(keys)}, got {came}")


def _check_tails(names: Sequence[str], start: tuple[int, int, int], most: int) -> None:
    """Raise ValueError unless each of TAILS has a name, and the start is one of them."""
    if len(names) != len(TAILS):
        raise ValueError(f"expected names of {', '.join(TAILS)}, got {list(names)}")
    way, total, last = start
    if not (0 <= way < len(TAILS) and 1 <= total <= most and 0 <= last <= total):
        raise ValueError(f"expected a way, 1 to {most} iterations and how many of them, got {start}")


def _with(name: str, *arguments: str) -> str:
    """The script ``name`` as a figure, given what these expressions are worth besides."""
    return f"(root, data, kit) => ({_script(name)})(root, data, kit, {', '.join(arguments)})"


def graph_stepper(pixels: Sequence[Mapping], **texts) -> PageWidget:
    """The loss of one pixel as a graph of six operations, walked forwards with one tangent, or backwards.

    Args:
        pixels: one mapping a pixel, with its name; a, b, x, R: the numbers that go in; values (6,): results
            of the operations; local (6,): derivative of each in the one before (of the first, in a);
            tangent_a, tangent_b (6,): tangents forwards; bar (6,): sensitivities backwards.

    Raises:
        ValueError: for other keys or lengths.
    """
    rows = ("values", "local", "tangent_a", "tangent_b", "bar")
    for pixel in pixels:
        _check_keys("a pixel", pixel, ("name", "a", "b", "x", "R", *rows))
        _check_shapes(pixel, **dict.fromkeys(rows, "6"))
    return page_widget(_script("graph_stepper"), list(pixels), **texts)


def jacobian_chain(inner: int, n: int, m: int, log_max: float = 3, **texts) -> PageWidget:
    """The Jacobian of three stages n → k → k → m as a product of matrices: in which order to multiply?

    Args:
        inner: k, the width inside.
        n: inputs at first.
        m: outputs at first.
        log_max: both go from 1 to 10 to this power.

    Raises:
        ValueError: for numbers below 1, or a start beyond the sliders.
    """
    most = 10**log_max
    if not (inner >= 1 and 1 <= n <= most and 1 <= m <= most):
        raise ValueError(f"expected widths from 1 to {most:g}, got inner = {inner}, n = {n}, m = {m}")
    data = {"k": inner, "n": n, "m": m, "log_max": log_max}
    return page_widget(_script("jacobian_chain"), data, **texts)


def drag_spline(values: torch.Tensor, **texts) -> PageWidget:
    """A 1-D smoothing spline whose data points are moved by hand, and how far each of them reaches.

    The page gets ``values``, ``mu`` (m,), ``modes`` V (m, m) and ``projection`` VᵀBᵀ (m, m), and computes
    c(θ) = V diag(1/(1 + θμ)) VᵀBᵀ T from them, as regkit does.

    Args:
        values (m,): the data.

    Raises:
        ValueError: for data of another shape, or fewer than ten of them.
    """
    _check_shapes({"values": values}, values="m")
    if len(values) < 10:
        raise ValueError(f"expected ten values or more, got {len(values)}")
    mu, modes, projection = smoothing_modes(len(values))
    data = {"values": values, "mu": mu, "modes": modes, "projection": projection}
    return page_widget(_script("drag_spline"), data, **{"still": stills.drag_spline(values)} | texts)


def register_by_hand(pair: Pair, theta: float, reach: float, **texts) -> PageWidget:
    """Two images to register by hand; then Newton's method finishes, in the page.

    The page gets the coefficients (m, n) of ``template`` and ``reference``, ``extent`` and ``center`` (2,),
    ``start`` and ``truth`` (6,) as ``Affine(center=center)`` reads them, ``reach``, and ``error_colors``.

    Args:
        pair: the images, their grid and the true map.
        theta: the scale of both.
        reach: how far a point of the template lies from the middle, in the units of the grid, by which a
            turn is compared with a shift.

    Raises:
        ValueError: for images that are not two-dimensional, or a reach that is not positive.
    """
    _check_shapes({"template": pair.template, "reference": pair.reference}, template="m n", reference="m n")
    if not (isinstance(reach, Real) and reach > 0):
        raise ValueError(f"expected a positive reach, got {reach}")
    transform = Affine(center=tuple(side / 2 for side in pair.grid.extent))
    data = {
        "template": coefficients(pair.template, theta),
        "reference": coefficients(pair.reference, theta),
        "extent": list(pair.grid.extent),
        "center": list(transform.center),
        "start": transform.identity(),
        "truth": transform.from_matrix(pair.w_true[:4].reshape(2, 2), pair.w_true[4:]),
        "reach": reach,
        "error_colors": ERROR_COLORS,
    }
    mathematics = f"({_script('squared_difference')})(({_script('spline')})(), data)"
    return page_widget(
        _with("register_by_hand", mathematics), data, **{"still": stills.register_by_hand(pair)} | texts
    )


def workshop(pairs: Sequence[Mapping], **texts) -> PageWidget:
    """Two pictures of the reader, chosen, dropped, pasted or photographed, and registered in the page.

    Args:
        pairs: what is there already, one mapping a pair, with name; says, a sentence or two of what it is;
            template and reference (rows, columns): uint8, the rows from the top.

    Raises:
        ValueError: for other keys, or what are no such pictures.
    """
    for pair in pairs:
        _check_keys("a pair", pair, ("name", "says", "template", "reference"))
        for image in (pair["template"], pair["reference"]):
            if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 2):
                raise ValueError(f"expected pictures as arrays uint8 (rows, columns), got {image!r:.80}")
    if not pairs:
        raise ValueError("expected a pair to begin with, got none")
    sent = [
        {**pair, "template": _png(pair["template"]), "reference": _png(pair["reference"])} for pair in pairs
    ]
    determined = f"({_script('determined')})({json.dumps(DETERMINED)})"
    job = f"() => ({_script('align')})(({_script('spline')})(), {_script('correlation')}, {determined})"
    compute = f"(tell) => ({_script('background')})({job}, null, tell)"
    call = f"({_script('beside')})({_script('pictures')})"
    js = _with("workshop", f"({_script('spline')})()", call, compute)
    data = {"pairs": sent, "error_colors": ERROR_COLORS}
    return page_widget(js, data, **{"still": stills.workshop(pairs[0])} | texts)


def _png(image: np.ndarray) -> str:
    """The picture as a file, in base64."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG", optimize=True)
    return base64_text(stream.getvalue())


def differentiated_iterations(
    record: Mapping,
    names: Sequence[str],
    truth: torch.Tensor,
    exact: Sequence[float],
    none: Sequence[float],
    start: tuple[int, int, int],
    **texts,
) -> PageWidget:
    """How many iterations of conjugate gradients are differentiated, and what that does to all that follows.

    Args:
        record: arrays by their names, with axes for the tail t, the iterations n, the percentage p that is
            differentiated, the start s, the step k of the optimiser: totals (n,), percents (p,),
            jacobian_error (t, n, p, s), taylor (t, n, p, h) over lengths (h,), image_error (t, n, p, s, k),
            image (t, n, p, i, j).
        names (t,): of the tails.
        truth (i, j): the true image.
        exact (k,), none (k,): image errors over the steps with the exact Jacobian, and with no derivative.
        start: tail, iterations and percentage shown at first, as indices.

    Raises:
        ValueError: for other shapes, or a start beyond them.
    """
    shapes = {
        "totals": "n", "percents": "p", "names": "t", "jacobian_error": "t n p s", "lengths": "h",
        "taylor": "t n p h", "image_error": "t n p s k", "image": "t n p i j", "truth": "i j",
        "exact": "k", "none": "k",
    }  # fmt: skip
    arrays = ("jacobian_error", "taylor", "image_error", "image", "lengths")
    data = {
        **{name: record[name] for name in arrays},
        **{name: np.asarray(record[name]).tolist() for name in ("totals", "percents")},
        "names": list(names),
        "truth": truth.round().to(torch.uint8),
        "exact": np.array(exact),
        "none": np.array(none),
        "start": start,
        "error_colors": ERROR_COLORS,
    }
    _check_shapes(data, **shapes)
    sizes = len(names), len(data["totals"]), len(data["percents"])
    if not all(0 <= place < size for place, size in zip(start, sizes, strict=True)):
        raise ValueError(f"expected a start below {sizes}, got {start}")
    still = stills.differentiated_iterations(record, exact, none, start)
    return page_widget(_script("differentiated_iterations"), data, **{"still": still} | texts)


def stepped_iterations(
    toy: Toy, names: Sequence[str], start: tuple[int, int, int], most: int = 120, **texts
) -> PageWidget:
    """A small system that is solved, and differentiated, one iteration at a time; its data are dragged.

    The page gets all in the eigenvectors V of A: ``values`` (n,), ``coupling`` VᵀBV (n, n), ``b`` Vᵀb (n,).

    Args:
        toy: the system; see ``regbook.experiments.ch09``.
        names (4,): of the ways to differentiate, ``TAILS``.
        start: the way at first, as an index, the iterations, and how many of them are differentiated.
        most: iterations.

    Raises:
        ValueError: for other names, or a start that is not among them.
    """
    _check_tails(names, start, most)
    data = {
        "values": toy.values,
        "coupling": toy.vectors.T @ toy.B @ toy.vectors,
        "b": toy.vectors.T @ toy.b,
        "tails": list(TAILS),
        "names": list(names),
        "most": most,
        "start": dict(zip(("way", "total", "last"), start, strict=True)),
    }
    js = _with("stepped_iterations", f"({_script('krylov')})()", f"({_script('panels')})(kit)")
    return page_widget(js, data, **{"still": stills.stepped_iterations(toy, names, start)} | texts)


def live_tangent(
    given: Mapping,
    record: Mapping,
    names: Sequence[str],
    exact: Sequence[float],
    none: Sequence[float],
    start: tuple[int, int, int],
    most: int = 400,
    **texts,
) -> PageWidget:
    """The tangent of a super-resolved image, computed in the page for any iterations, beside recorded runs.

    Args:
        given: the problem along one direction, ``regbook.experiments.ch09.along``.
        record: as for ``differentiated_iterations``; of it totals, percents and image_error are shown.
        names (4,): of the ways to differentiate, ``TAILS``.
        exact (k,), none (k,): image errors over the steps with the exact Jacobian, and with no derivative.
        start: the way at first, as an index, the iterations, and how many of them are differentiated.
        most: iterations.

    Raises:
        ValueError: for other shapes or names, or a start that is not among them.
    """
    _check_tails(names, start, most)
    count = math.prod(given["shape"])
    sent = {name: value for name, value in given.items() if name != "direction"}
    entries = dict.fromkeys(("row", "column", "weight", "slope"), "e")
    _check_shapes(sent, **entries, **dict.fromkeys(("start", "exact", "exact_dot"), str(count)))
    data = {
        "given": sent,
        "record": {
            "totals": np.asarray(record["totals"]).tolist(),
            "percents": np.asarray(record["percents"]).tolist(),
            "image_error": record["image_error"],
        },
        "tails": list(TAILS),
        "names": list(names),
        "exact": np.array(exact),
        "none": np.array(none),
        "error_colors": ERROR_COLORS,
        "most": most,
        "start": dict(zip(("way", "total", "last"), start, strict=True)),
    }
    shown = {"image_error": record["image_error"], "totals": data["record"]["totals"], "exact": data["exact"]}
    shown |= {"names": names, "percents": data["record"]["percents"], "none": data["none"]}
    axes = {"names": "t", "totals": "n", "percents": "p", "image_error": "t n p s k"}
    _check_shapes(shown, **axes, exact="k", none="k")
    parts = f"({_script('krylov')})(), {_script('coarse_images')}, given"
    job = f"(given) => ({_script('tangent_job')})({parts})"
    compute = f"(tell) => ({_script('background')})({job}, data.given, tell)"
    js = _with("live_tangent", f"({_script('panels')})(kit)", compute)
    still = stills.live_tangent(record, exact, none, start)
    return page_widget(js, data, **{"still": still} | texts)


def bets(claims: Sequence[Mapping], words: Sequence[str], headings: Sequence[str], **texts) -> PageWidget:
    """Bets on claims, one at a time: whoever has bet sees numbers, verdict and reason.

    Args:
        claims: one mapping a claim, with says; place, where it is made; verdict, one of ``words``; why;
            numbers, one for each of ``headings``.
        words: what can be bet, as "holds": it goes on after "It".
        headings: what the numbers are.

    Raises:
        ValueError: for a verdict that nobody can bet, or too few numbers.
    """
    for claim in claims:
        _check_keys("a claim", claim, ("says", "place", "verdict", "why", "numbers"))
        if claim["verdict"] not in words or len(claim["numbers"]) != len(headings):
            raise ValueError(
                f"expected one of the verdicts {list(words)} and {len(headings)} numbers, got {dict(claim)}"
            )
    data = {"claims": list(claims), "words": list(words), "headings": list(headings)}
    return page_widget(_script("bets"), data, **texts)


def work_accuracy(curves: Sequence[Mapping], budget: float, **texts) -> PageWidget:
    """What a smaller image error costs: error over the products with AᵀA, a curve for each method.

    Args:
        curves: one mapping a method: name; color: a name in ``regbook.plots.COLORS``, or "text" or "muted";
            dash: of its line, as SVG has it; on: is it shown at first? The others can be had from a fold.
            products (k,) and errors (k,) in %, after each step.
        budget: products at first.

    Raises:
        ValueError: for other keys, colours or lengths, or more than 26 curves.
    """
    if not 1 <= len(curves) <= 26:
        raise ValueError(f"expected 1 to 26 curves, got {len(curves)}")
    for curve in curves:
        _check_keys("a curve", curve, ("name", "color", "dash", "on", "products", "errors"))
        _check_shapes(curve, products="k", errors="k")
        if curve["color"] not in {*COLORS, "text", "muted"} - {"black", "grey"}:
            raise ValueError(f"expected a colour of the page, got {curve['color']!r}")
    return page_widget(_script("work_accuracy"), {"curves": list(curves), "budget": budget}, **texts)
