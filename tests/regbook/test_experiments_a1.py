"""The experiments of appendix A1: a tape that can be counted by hand."""

import torch

from regbook.experiments import a1


def test_the_tape_is_counted():
    x = torch.ones(1000, dtype=torch.float64, requires_grad=True)
    assert a1.on_tape(torch.ones(3)) == (0, 0)
    once = x.sin()
    assert a1.on_tape(once) == (2, 0.008), "the sine, and x as a leaf; the sine keeps x"
    assert a1.on_tape(once + once) == (3, 0.008), "a sum keeps nothing"
    assert a1.on_tape(once.sin()) == (3, 0.016), "the second sine keeps the first one's result"
    assert a1.on_tape(once.sin().detach()) == (0, 0)
