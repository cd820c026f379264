"""regkit: image registration and super-resolution by automatic differentiation, small enough to read.

Modules, in the order in which the book meets them:

grid          a box Ω cut into cells
spline        images as twice continuously differentiable functions, with a smoothing parameter θ
checks        Taylor and adjoint tests
data          images, all offline
transforms    maps y(x; w) that move an image
distances     how much two images differ
registration  the loss J(w; θ) of a registration, with all its derivatives
optimize      trust-region Newton, Levenberg-Marquardt, Gauss-Newton, gradient descent
continuation  the path of the minimiser over θ: predictor and corrector, adaptive steps
pyramid       smaller images first
branches      curves of stationary points over θ, and the folds in which they end
linear        conjugate gradients, and least squares with a choice of derivative
plots         figures
explore       sliders that work with and without a kernel
"""

from regkit.grid import Grid
from regkit.spline import SmoothingBasis, coefficients, evaluate

__all__ = ["Grid", "SmoothingBasis", "coefficients", "evaluate"]
