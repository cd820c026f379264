"""The drawings of the chapters, one module a chapter: a notebook shows ideas, not plotting commands.

A function here that ends in ``draw(figure, **values)`` is what ``regbook.explore.explore`` wants.
"""
