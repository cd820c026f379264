"""regkit: image registration and super-resolution by automatic differentiation, small enough to read.

Modules, in the order in which the book meets them:

grid          a box Ω cut into cells
spline        images as twice continuously differentiable functions, with a smoothing parameter θ
checks        Taylor and adjoint tests
data          images, all offline
plots         figures
explore       sliders that work with and without a kernel
"""

from regkit.grid import Grid
from regkit.spline import SmoothingBasis, coefficients, evaluate

__all__ = ["Grid", "SmoothingBasis", "coefficients", "evaluate"]
