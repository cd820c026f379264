"""Computations in the background: one at a time, interrupted, replaced, ended by an error; and a figure."""

import threading
from queue import SimpleQueue

import pytest

from regbook.explore import Guess, Whole, page_widget, running
from regbook.explore.frames import decode
from regbook.explore.live_running import view
from regbook.explore.running import Runner

PATIENCE = 60  # seconds until what must come counts as missing


class Steps:
    """A generator whose steps are made one by one, when they are allowed; it knows how many live at once."""

    def __init__(self):
        self.allowed, self.alive, self.most, self.closed = SimpleQueue(), 0, 0, []

    def __call__(self, name, count=10**9, error=None):
        self.alive += 1
        self.most = max(self.most, self.alive)
        try:
            for k in range(count):
                self.allowed.get(timeout=PATIENCE)
                yield name, k
            if error:
                raise error
        finally:
            self.alive -= 1
            self.closed.append(name)


@pytest.fixture
def steps():
    return Steps()


@pytest.fixture
def told():
    return SimpleQueue()


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    for thread in threading.enumerate():
        if thread.name == "regbook runner":
            thread.join(PATIENCE)
            assert not thread.is_alive()


@pytest.fixture
def runner(told):
    runner = Runner(told.put, lambda error: told.put(("end", error)))
    yield runner
    runner.stop()
    runner.join(PATIENCE)
    assert not runner.alive


def test_items_arrive_as_they_are_made_and_then_the_end(runner, told, steps):
    runner.start(lambda: steps("a", 2))
    for k in range(2):
        assert told.empty()
        steps.allowed.put(None)
        assert told.get(timeout=PATIENCE) == ("a", k)
    assert told.get(timeout=PATIENCE) == ("end", None)
    runner.join(PATIENCE)
    runner.start(lambda: steps("b", 0))
    assert told.get(timeout=PATIENCE) == ("end", None), "it can be used again"


def test_a_stopped_run_says_nothing_more_and_is_closed(runner, told, steps):
    runner.start(lambda: steps("a"))
    steps.allowed.put(None)
    assert told.get(timeout=PATIENCE) == ("a", 0)
    runner.stop()
    steps.allowed.put(None)  # the step that is being made
    runner.join(PATIENCE)
    assert told.empty() and steps.closed == ["a"] and not runner.alive


def test_a_new_run_takes_the_place_of_the_old(runner, told, steps):
    """Of three settings in a row the one in the middle never begins, and no two run at once."""
    runner.start(lambda: steps("a"))
    steps.allowed.put(None)
    assert told.get(timeout=PATIENCE) == ("a", 0)
    runner.start(lambda: steps("b"))
    runner.start(lambda: steps("c", 1))
    for _ in range(2):
        steps.allowed.put(None)
    assert [told.get(timeout=PATIENCE) for _ in range(2)] == [("c", 0), ("end", None)]
    assert steps.most == 1 and steps.closed == ["a", "c"]


def test_steps_that_arrive_late_are_not_told():
    """Posted before a new setting came, called after it."""
    waiting, told = SimpleQueue(), []
    runner = Runner(told.append, told.append, waiting.put)
    runner.start(lambda: iter_of("old"))
    runner.join(PATIENCE)
    assert told == []
    runner.start(lambda: iter_of("new"))
    runner.join(PATIENCE)
    while not waiting.empty():
        waiting.get()()
    assert told == ["new", None]


def iter_of(*items):
    yield from items


@pytest.mark.parametrize("when", ["first", "later"])
def test_exceptions_arrive(runner, told, steps, when):
    error = ArithmeticError("no more")
    steps.allowed.put(None)
    if when == "later":
        runner.start(lambda: steps("a", 1, error))
        assert told.get(timeout=PATIENCE) == ("a", 0)
    else:
        runner.start(lambda: 1 / 0)
    what, met = told.get(timeout=PATIENCE)
    assert what == "end" and isinstance(met, ArithmeticError) and (when == "first" or met is error)


# ---- the figure


def fractions(total, last, way):
    if way == "broken":
        raise ValueError("expected something whole, got 2.5e-08")
    for k in range(last + 1):
        if way == "late" and k == 2:
            raise ZeroDivisionError("by nothing")
        yield k / max(1, last), (way, total, k)


def draw(figure, state):
    way, total, k = state
    figure.subplots().plot([0, 1], [k, total])
    return f"{way}: {k} of {total}."


PAGE = page_widget("(root) => {}", alt="in the page", title="A title", caption="Fixed.")
WAYS = ["good", "broken", "late"]
NUMBERS = {"total": Whole(1, 400, 10, "in all"), "last": Whole(0, "total", 5)}


def figure(page=PAGE, compute=fractions):
    return running(page, compute, draw, alt="A line", figsize=(2.0, 1.5), dpi=50, **NUMBERS, way=WAYS)


class Shown:
    """The figure in Jupyter, with what the event loop has to do."""

    def __init__(self, *args, **options):
        self.calls = SimpleQueue()
        self.box = view(figure(*args, **options), self.calls.put)
        self.total, self.last = self.all("BoundedIntText")
        (self.names,), (self.picture,) = self.all("Dropdown"), self.all("Image")

    def all(self, kind, widget=None):
        widget = widget or self.box
        found = [widget] if type(widget).__name__ == kind else []
        return found + [hit for child in getattr(widget, "children", ()) for hit in self.all(kind, child)]

    def until(self, words):
        while words not in self.words():
            self.calls.get(timeout=PATIENCE)()

    def words(self):
        return " ".join(part.value for part in self.all("HTML"))

    def button(self, name):
        (found,) = [b for b in self.all("Button") if b.description == name]
        return found


def test_the_bundle_has_what_a_page_shows(monkeypatch):
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    shown = figure()
    assert shown._repr_mimebundle_() == {"text/plain": "running(total, last, way)", "text/html": PAGE.html()}
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook.ipynb")
    bundle = shown._repr_mimebundle_()
    assert bundle["text/html"] == PAGE.html() and "application/vnd.jupyter.widget-view+json" in bundle


def test_it_computes_and_shows_each_setting():
    shown = Shown()
    assert "A title" in shown.words() and "Fixed." in shown.words()
    assert "Computing for in all 10, last 5, way good." in shown.words()
    blank = shown.picture.value
    assert (decode(blank) == 255).all() and decode(blank).shape == (75, 100, 3)
    shown.until("done")
    shown.until("good: 5 of 10.")
    assert shown.picture.value != blank and shown.all("FloatProgress")[0].value == 1
    shown.last.value = 3
    assert shown.button("Stop") and "Computing for in all 10, last 3, way good." in shown.words()
    shown.until("good: 3 of 10.")


def test_one_number_keeps_its_share_of_the_other_and_that_is_one_setting():
    asked = []

    def note(**setting):
        asked.append(setting)
        return fractions(**setting)

    shown = Shown(compute=note)
    shown.until("done")
    shown.total.value = 100
    shown.until("good: 50 of 100.")
    slider = shown.all("IntSlider")[1]
    assert (shown.last.max, slider.max, shown.last.value, slider.value) == (100, 100, 50, 50)
    slider.value = 41
    assert shown.last.value == 41
    shown.until("good: 41 of 100.")
    shown.total.value = 2
    shown.until("good: 1 of 2.")
    assert (shown.last.max, slider.max) == (2, 2)
    settings = [(s["total"], s["last"]) for s in asked]
    assert settings == [(10, 5), (100, 50), (100, 41), (2, 1)]


def test_errors_are_sentences():
    shown = Shown()
    shown.until("done")
    shown.names.value = "broken"
    shown.until("This setting cannot be computed: expected something whole, got 2.5·10⁻⁸.")
    assert (decode(shown.picture.value) == 255).all() and "good" not in shown.words()
    assert "role='alert'" in shown.words() and shown.button("Compute")
    shown.names.value = "late"
    assert "alert" not in shown.words()
    shown.until("This run cannot go on: ZeroDivisionError: by nothing.")
    shown.until("late: 1 of 10.")
    assert not (decode(shown.picture.value) == 255).all(), "what was known stays"


def test_errors_of_the_drawing_are_sentences():
    def bad(total, last, way):
        yield 0.5, "what draw does not expect"

    shown = Shown(compute=bad)
    shown.until("This setting cannot be computed: too many values to unpack")


def one_by_one(steps):
    def compute(total, last, way):
        for name, k in steps(way):
            yield 0.5, (name, total, k)

    return compute


def test_the_button_stops_and_begins_again(steps):
    shown = Shown(compute=one_by_one(steps))
    steps.allowed.put(None)
    shown.until("good: 0 of 10.")
    shown.button("Stop").click()
    assert "stopped" in shown.words()
    steps.allowed.put(None)
    shown.button("Compute").click()
    steps.allowed.put(None)
    assert "Computing for" in shown.words()
    shown.until("good: 0 of 10.")
    assert steps.most == 1
    shown.button("Stop").click()
    steps.allowed.put(None)


def test_the_same_cell_again_stops_the_run_before(steps):
    first = Shown(compute=one_by_one(steps))
    steps.allowed.put(None)
    first.until("good: 0 of 10.")
    second = Shown()
    assert "stopped" in first.words()
    second.until("done")
    steps.allowed.put(None)


def test_nothing_runs_before_the_guess():
    guess = Guess("Which?", options=["this", "that"], answer=0)
    asked = []

    def note(**setting):
        asked.append(setting)
        return fractions(**setting)

    page = page_widget("(root) => {}", alt="in the page", guess=guess)
    shown = Shown(page, note)
    assert not asked and shown.picture not in visible(shown.box)
    shown.button("Skip").click()
    shown.until("good: 5 of 10.")
    assert len(asked) == 1 and shown.picture in visible(shown.box) and "this." in shown.words()


def visible(widget):
    if widget.layout.display == "none":
        return []
    return [widget, *(hit for child in getattr(widget, "children", ()) for hit in visible(child))]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "expected parameters to choose, got none"),
        ({"k": [1.0, 2.0]}, r"expected a Whole number or names for k, got \[1.0, 2.0\]"),
        (
            {"k": Whole(0, "n", 1), "n": Whole(0, 9, 1)},
            "expected the name of a Whole number before k, got 'n'",
        ),
    ],
)
def test_other_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        running(PAGE, fractions, draw, alt="x", **parameters)


def test_starts_outside_are_refused():
    with pytest.raises(ValueError, match="expected a start from 0 to 9, got 10"):
        Whole(0, 9, 10)
