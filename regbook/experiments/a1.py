"""Experiments of appendix A1: what torch remembers."""

from __future__ import annotations

import torch


def on_tape(tensor: torch.Tensor) -> tuple[int, float]:
    """How many operations a tensor remembers, and the megabytes of values that they keep."""
    todo, seen, kept = [tensor.grad_fn], {None}, {}
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        todo += [parent for parent, _ in node.next_functions]
        for name in dir(node):
            saved = getattr(node, name) if name.startswith("_saved_") else None
            for value in saved if isinstance(saved, list | tuple) else [saved]:
                if isinstance(value, torch.Tensor):
                    kept[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
    return len(seen) - 1, sum(kept.values()) / 1e6
