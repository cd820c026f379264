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

import warnings as _warnings

import torch as _torch

from regkit.grid import Grid
from regkit.spline import SmoothingBasis, coefficients, evaluate

__all__ = ["Grid", "SmoothingBasis", "coefficients", "evaluate"]

# When forward mode is first asked for, torch prepares some of its rules with torch.jit.script, and warns
# whoever asked that this function is deprecated. That is between torch and torch: it is asked here, unheard.
with _warnings.catch_warnings():
    _warnings.simplefilter("ignore")
    _torch.func.jvp(_torch.sin, (_torch.zeros(()),), (_torch.zeros(()),))
