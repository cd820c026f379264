"""regkit: image registration and super-resolution by automatic differentiation, small enough to read.

Modules, in the order in which the book meets them:

    grid          a box Ω cut into cells
    spline        images as twice continuously differentiable functions, with a smoothing parameter θ
    checks        Taylor and adjoint tests
    data          images, all offline
    files         images from files: pictures, NIfTI, DICOM
    transforms    maps y(x; w) that move an image
    motions       transformations at fixed points, with their derivatives
    separable     products that go along one axis at a time
    maps          what a map does to space: folds, inverse, landmarks
    lattices      displacements on a lattice of numbers
    flows         a flow, and its gradient in little memory
    freeform      free-form deformation: thousands of parameters
    distances     how much two images differ
    multimodal    how much images of two kinds differ: edges, mutual information
    outside       what an image is beyond its box, and which points count
    regularizers  what w should be like when the images alone do not say
    energies      bending, elastic and hyperelastic energy of a deformation
    path_energy   kinetic energy of a flow: how far, and how steadily, every point goes
    operators     linear maps that are given by what they do
    problems      what an optimiser is given: objectives, and what is known of them at one point
    registration  the loss J(w; θ) of a registration, with all its derivatives
    runs          where a minimisation stands, and when it stops
    optimize      trust-region Newton, Levenberg-Marquardt, Gauss-Newton, gradient descent
    scales        which θ a continuation visits: a list, or step control
    paths         what happened at each scale
    continuation  the path of the minimiser over θ: predictor and corrector
    pyramid       smaller images first
    starts        least squares of affine maps, fast: many starts at once, and an exact end
    similarity    turning, shifting and one scale for all directions
    register      one call that aligns two images
    registered    what that call found
    deform        deformable registration, coarse to fine, without a matrix
    branches      curves of stationary points over θ, and the folds in which they end
    linear        solvers of linear systems: conjugate gradients, or a factorisation
    dual          a whole Jacobian at a time, and derivatives of linear maps given as functions
    implicit      derivatives of the solution of a linear system
    superres      one fine image from many coarse ones that moved
    strengths     how strong the penalty of super-resolution should be, from the noise
    templates     coarse images made of a known fine one, and a start for their motions
    varpro        separable least squares: the linear unknowns are eliminated

What most scripts need is here as well: ``from regkit import Grid, Registration, newton_trust``.
"""

import warnings
from importlib import metadata

import torch

from regkit.checks import adjoint_test, taylor_test
from regkit.continuation import follow
from regkit.deform import deform
from regkit.distances import NCC, SSD, Distance
from regkit.energies import Bending, Elastic, Hyperelastic
from regkit.flows import NeuralODE
from regkit.freeform import DisplacementField, FreeForm
from regkit.grid import Grid
from regkit.implicit import Implicit, solve
from regkit.linear import CG
from regkit.multimodal import NGF, MutualInformation
from regkit.optimize import gauss_newton, gradient_descent, levenberg_marquardt, newton_trust
from regkit.path_energy import PathEnergy
from regkit.problems import Functions, Residual
from regkit.pyramid import multilevel
from regkit.register import register
from regkit.registered import Registered
from regkit.registration import Registration
from regkit.regularizers import Quadratic
from regkit.scales import Adaptive
from regkit.similarity import Similarity
from regkit.spline import SmoothingBasis, coefficients, evaluate
from regkit.superres import SuperResolution
from regkit.templates import register_templates
from regkit.transforms import Affine, Rigid, Transform, Translation
from regkit.varpro import Kaufman, Reduced

try:
    __version__ = metadata.version("regkit")
except metadata.PackageNotFoundError:  # run from its folder, without an installation
    __version__ = "0+unknown"

__all__ = [
    "CG",
    "NCC",
    "NGF",
    "SSD",
    "Adaptive",
    "Affine",
    "Bending",
    "DisplacementField",
    "Distance",
    "Elastic",
    "FreeForm",
    "Functions",
    "Grid",
    "Hyperelastic",
    "Implicit",
    "Kaufman",
    "MutualInformation",
    "NeuralODE",
    "PathEnergy",
    "Quadratic",
    "Reduced",
    "Registered",
    "Registration",
    "Residual",
    "Rigid",
    "Similarity",
    "SmoothingBasis",
    "SuperResolution",
    "Transform",
    "Translation",
    "adjoint_test",
    "coefficients",
    "deform",
    "evaluate",
    "follow",
    "gauss_newton",
    "gradient_descent",
    "levenberg_marquardt",
    "multilevel",
    "newton_trust",
    "register",
    "register_templates",
    "solve",
    "taylor_test",
]

# When forward mode is first asked for, torch prepares some of its rules with torch.jit.script, and warns
# whoever asked that this function is deprecated; with the first matrix of compressed rows it warns that these
# are new. That is between torch and torch: it is asked here, unheard, and not later, as a filter that is set
# for a while in one thread may be left standing by another.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    torch.func.jvp(torch.sin, (torch.zeros(()),), (torch.zeros(()),))
    torch.eye(1).to_sparse_csr()
