"""The drawings of the chapters, one module a chapter, so that a notebook shows ideas and not plotting commands.

A function here that ends in ``draw(figure, **values)`` is what ``regkit.explore.explore`` wants.
"""
