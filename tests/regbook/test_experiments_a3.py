"""The experiments of appendix A3: bytes grow with the iterations, or they do not."""

import pytest

from regbook.experiments import a3
from regkit.data import hands_phantom
from regkit.implicit import Implicit, Unrolled
from regkit.linear import CG
from regkit.templates import register_templates, synthetic
from regkit.varpro import Reduced


def test_unrolling_keeps_every_iteration_and_the_implicit_way_does_not():
    pair = hands_phantom(12)
    made = synthetic(pair.reference, pair.grid, count=3)
    w = register_templates(made.problem)

    def kept(N, way):
        return a3.saved_bytes(Reduced(made.problem, CG.fixed(N), way, made.problem.upsampled()), w)

    unrolled = [kept(N, Unrolled()) for N in (10, 20, 40)]
    assert unrolled[2] - unrolled[1] == pytest.approx(2 * (unrolled[1] - unrolled[0]), rel=0.1)
    implicit = {kept(N, Implicit(CG.fixed(5))) for N in (10, 40)}
    assert len(implicit) == 1 and max(implicit) < unrolled[0] / 5
