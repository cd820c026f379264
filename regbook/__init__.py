"""regbook: what a chapter or a page needs besides the mathematics of ``regkit``.

explore       figures with sliders, live in Jupyter and self-contained in a page; figures that a page computes
plots         colours, and the style of all figures
text          words of read-outs: numbers, minus signs, counted things
glue          measured numbers into the text
experiments   what the chapters compute, one module a chapter
figures       what they draw of it, one module a chapter
practice      the checkers of the exercises, one module a chapter
assignments   the checkers of the two graded assignments, which test properties on data from a seed
widgets       the figures that a page computes itself, one function a figure
batch         many pairs of images into one table, on all cores or a cluster
meter         how much work something is, counted or timed
paper         the paper's experiment on super-resolution, and what its code does otherwise
claims        what the paper claims, and what becomes of each claim
records       runs that take too long for a page, made by the scripts in benchmarks/
"""

from __future__ import annotations

from regbook.glue import glue

__all__ = ["glue", "setup"]


def setup() -> None:
    """How every chapter begins: the style of the figures, double precision, one thread.

    Most arrays of the book are small: more threads would wait for each other, above all on a busy computer.
    """
    import matplotlib.pyplot as plt
    import torch

    from regbook.plots import style

    plt.rcParams.update(style())
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
