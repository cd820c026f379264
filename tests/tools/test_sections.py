"""The sections that the search knows: their running text, and the words of the glossary."""

from docutils.core import publish_doctree

from tools.sections import sections

PAGE = """
First
=====

The *first* text with ``code`` and :math:`x`.

.. code::

   nothing of this

.. math:: a^2

- a list
- of two

.. raw:: html

   <p>or of this</p>

Second
------

A formula :math:`\\sqrt{a}` here.
"""


def test_a_section_is_its_running_text_without_its_subsections():
    document = publish_doctree(PAGE, settings_overrides={"report_level": 5, "doctitle_xform": False})
    assert list(sections(document)) == [
        ("first", "First", "The first text with code and x. a list of two"),
        ("second", "Second", "A formula … here."),
    ]
