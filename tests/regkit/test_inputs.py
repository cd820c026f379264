"""What people have at hand: arrays, lists, whole numbers, masks of any kind, single precision. The result is
right, or a ValueError says what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from regkit.data import hands_phantom
from regkit.grid import Grid
from regkit.linear import CG, CGLS, Cholesky
from regkit.operators import Matrix
from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.pyramid import multilevel, pyramid
from regkit.registration import Registration
from regkit.spline import SmoothingBasis, coefficients, evaluate
from regkit.superres import SuperResolution
from regkit.transforms import Affine, Translation

PAIR = hands_phantom(16)
GRID, IMAGE = PAIR.grid, PAIR.template.double()
POINTS = torch.tensor([[3.0, 4.0], [11.0, 8.0], [8.0, 16.0]], dtype=torch.float64)

FORMS = {  # of float64 values, without loss
    "tensor": lambda x: x,
    "array": lambda x: x.numpy(),
    "big-endian": lambda x: x.numpy().astype(">f8"),
    "flipped twice": lambda x: x.numpy()[::-1].copy()[::-1],
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(map(tuple, x.tolist())),
}
MASKS = {
    "bool": lambda m: m,
    "uint8": lambda m: m.byte(),
    "int64": lambda m: m.long(),
    "float32": lambda m: m.float(),
    "array of bool": lambda m: m.numpy(),
    "list": lambda m: m.tolist(),
    "PIL": lambda m: Image.fromarray(m.byte().numpy()),
}
form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@form
def test_points_and_coefficients(form):
    c = coefficients(IMAGE, 0.0)
    expected = evaluate(c, GRID, POINTS)
    assert evaluate(form(c), GRID, form(POINTS)).equal(expected)
    y = Affine(center=(3, 4))(Affine(center=(3, 4)).identity(), form(POINTS))
    assert y.equal(POINTS)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.uint8], ids=str)
@pytest.mark.parametrize("side", [8.0, 16.0, 24.0])
def test_whole_points_are_points(dtype, side):
    c = coefficients(torch.arange(256.0).double().reshape(16, 16), 0.0)
    grid, x = Grid((side, side), (16, 16)), torch.tensor([[3, 4], [5, 7]])
    for order in (0, 1, 2):
        found, expected = evaluate(c, grid, x.to(dtype), order), evaluate(c, grid, x.double(), order)
        for a, b in zip(*([part] if order == 0 else part for part in (found, expected)), strict=True):
            assert a.equal(b)
    assert evaluate(c.float(), grid, x.to(dtype)).dtype == torch.float32
    assert evaluate(c, grid, x.numpy().astype("uint16")).equal(evaluate(c, grid, x.double()))


@form
def test_images(form):
    assert SmoothingBasis(form(IMAGE)).coefficients(1.0).equal(coefficients(IMAGE, 1.0))
    expected = Registration(IMAGE, PAIR.reference, GRID).at(1.0)
    w = Affine().identity() + 0.01
    problem = Registration(form(IMAGE), form(PAIR.reference), GRID)
    assert problem.at(1.0).gradient(w).equal(expected.gradient(w))
    templates = torch.stack([IMAGE, IMAGE.roll(1, 0)])
    fine = Grid(GRID.extent, (32, 32))
    given = templates if form is FORMS["tuple"] else form(templates)
    assert SuperResolution(given, fine).b.equal(SuperResolution(templates, fine).b)


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.float16, torch.complex128], ids=str
)
def test_images_of_other_types_are_refused(dtype):
    image = (100 * IMAGE / IMAGE.max()).to(dtype)
    for make in (
        SmoothingBasis,
        lambda image: Registration(image, image, GRID),
        lambda c: evaluate(c, GRID, POINTS),
    ):
        with pytest.raises(ValueError, match=rf"got {dtype}: convert it with \w+\.(double|float)\(\)"):
            make(image)
    if dtype != torch.float16:
        with pytest.raises(ValueError, match="expected templates of finite floating-point numbers"):
            SuperResolution(torch.stack([image, image]), Grid(GRID.extent, (32, 32)))


NO_IMAGES = ["a word", None, [[1, 2], [3]], {"a": 1}, object()]


@pytest.mark.parametrize("thing", NO_IMAGES, ids=lambda thing: type(thing).__name__)
def test_what_is_no_image_is_refused(thing):
    calls = [
        lambda: SmoothingBasis(thing),
        lambda: Registration(thing, thing, GRID),
        lambda: evaluate(coefficients(IMAGE, 0.0), GRID, thing),
        lambda: SuperResolution(thing, GRID),
        lambda: Registration(IMAGE, IMAGE, GRID).at(1.0).loss(thing),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"expected .* as a tensor, an array or a list of numbers, got"):
            call()


@pytest.mark.parametrize("form", MASKS.values(), ids=MASKS)
def test_masks(form):
    mask = IMAGE > IMAGE.mean()
    start = Affine().identity()
    problem, expected = (
        Registration(IMAGE, PAIR.reference, GRID, weights=m) for m in (form(mask), mask.double())
    )
    for level, other in zip(pyramid(problem, 2), pyramid(expected, 2), strict=True):
        assert level.weights.equal(other.weights)
    paths = [multilevel(each, start, levels=2, thetas=[10.0]).w for each in (problem, expected)]
    assert paths[0].equal(paths[1])


def test_complex_masks_are_refused():
    with pytest.raises(ValueError, match=r"expected weights of real numbers, got torch\.complex128"):
        Registration(IMAGE, IMAGE, GRID, weights=IMAGE + 0j)


@pytest.mark.parametrize("method", [newton_trust, levenberg_marquardt, gauss_newton, gradient_descent])
@pytest.mark.parametrize("transform", [Translation(), Affine()], ids=["Translation", "Affine"])
def test_a_start_in_another_precision(method, transform):
    """It gets the type of the images."""
    for image, start in ((IMAGE.float(), transform.identity()), (IMAGE, transform.identity(torch.float32))):
        objective = Registration(image, image.roll(1, 0), GRID, transform).at(10.0)
        result, expected = (method(objective, w, iterations=5) for w in (start, start.to(image)))
        assert result.x.dtype == image.dtype and result.x.equal(expected.x)
        assert result.path.equal(expected.path)


def test_whole_and_listed_parameters():
    problem = Registration(IMAGE, PAIR.reference, GRID, Translation())
    expected = problem.at(1.0).gradient(torch.tensor([1.0, 2.0], dtype=torch.float64))
    for w in (torch.tensor([1, 2]), [1, 2], np.array([1.0, 2.0]), (1.0, 2.0)):
        assert problem.at(1.0).gradient(w).equal(expected)
    for start in (torch.float64, torch.float32):
        single = Registration(IMAGE.float(), PAIR.reference.float(), GRID)
        path = multilevel(single, single.transform.identity(start), levels=2, thetas=[10.0, 1.0])
        assert path.w.dtype == torch.float32


def test_scales_from_a_generator():
    problem = Registration(IMAGE, PAIR.reference, GRID)
    start, thetas = problem.transform.identity(), [100.0, 10.0]
    path = multilevel(problem, start, levels=2, thetas=(theta for theta in thetas))
    assert path.w.equal(multilevel(problem, start, levels=2, thetas=thetas).w)


@pytest.mark.parametrize("solver", [CG(), Cholesky(), CGLS()], ids=repr)
def test_right_hand_sides(solver):
    A = Matrix(torch.tensor([[2.0, 1.0], [1.0, 3.0]], dtype=torch.float64))
    b = torch.tensor([3.0, 4.0], dtype=torch.float64)
    assert solver.solve(A, b).x.allclose(torch.ones(2).double())
    for wrong in (b.numpy(), [3.0, 4.0]):
        with pytest.raises(
            ValueError, match=r"expected b as a tensor, got \w+: convert it with torch\.as_tensor"
        ):
            solver.solve(A, wrong)
    for dtype in (torch.int64, torch.bool, torch.complex128):
        with pytest.raises(ValueError, match=rf"expected a floating-point right-hand side b, got {dtype}"):
            solver.solve(A, b.to(dtype))


def test_an_image_is_no_vector():
    problem = SuperResolution(torch.ones(2, 4, 6), Grid((2.0, 3.0), (8, 12)))
    A = problem.at([0.0] * 6)
    with pytest.raises(ValueError, match=r"expected f of shape \(96,\) or \(96, k\), got \(8, 12\)"):
        A.forward(torch.ones(8, 12))
    with pytest.raises(ValueError, match=r"expected y of shape \(220,\) or \(220, k\), got \(4, 6\)"):
        A.adjoint(torch.ones(4, 6))
    assert A.forward(torch.ones(96)).shape == (220,)
