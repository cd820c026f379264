"""What the caller of a linear solver brings; test_refusals asks what is said of what cannot be used."""

from __future__ import annotations

import numpy as np
import torch

from regkit._systems import applied, start_of, values
from regkit.dual import Dual
from regkit.operators import Matrix

B = torch.tensor([3.0, 4.0], dtype=torch.float64)


def test_values_are_without_derivatives():
    assert not values(B.clone().requires_grad_()).requires_grad
    assert values(Dual.variables(B)) is B


def test_a_function_and_an_operator_are_functions():
    A = Matrix(torch.eye(2, dtype=torch.float64))
    assert applied(A, 2)(B).equal(B)
    assert applied(torch.neg, 2) is torch.neg


def test_a_start_gets_the_type_of_b_and_is_zero_where_b_is():
    assert start_of(B, None) is None
    for start in ([1, 2], np.array([1.0, 2.0], dtype=np.float32), torch.tensor([1.0, 2.0])):
        assert start_of(B, start).equal(torch.tensor([1.0, 2.0]).double())
    columns = torch.stack([B, 0 * B], 1)
    assert start_of(columns, torch.ones(2, 2)).tolist() == [[1.0, 0.0], [1.0, 0.0]]
