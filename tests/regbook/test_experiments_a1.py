"""The experiments of appendix A1: a tape that can be counted by hand, and a clock that is known."""

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


def test_costs_are_medians_in_runs_of_the_first(monkeypatch):
    now, jitter = [0.0], iter([9, 1, 1, 1, 7, 3, 5, 15, 1, 3, 1, 3])  # the first turn warms up

    def work():
        now[0] += next(jitter)

    monkeypatch.setattr(a1, "CLOCK", lambda: now[0])
    factors, once = a1.cost([work, work], repeats=5)
    assert factors.tolist() == [1, 3] and once == 1000
