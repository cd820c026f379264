"""Experiments of appendix A3: what the derivative of a projection keeps in memory."""

from __future__ import annotations

import torch

from regkit.varpro import Reduced


def saved_bytes(reduced: Reduced, w: torch.Tensor) -> int:
    """Bytes that reverse mode keeps of one projection at w, until it is differentiated."""
    point = reduced.point(w)
    traced, sizes = w.clone().requires_grad_(), {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        kept = point.project(traced)
    total = sum(sizes.values())
    del kept
    return total
