"""A computation in Jupyter while it runs: its controls, its progress, and what is known so far."""

from __future__ import annotations

import asyncio
import contextvars
import html
import weakref
from collections.abc import Callable

import ipywidgets as ui
import numpy as np

from regbook.explore.frames import encode, render
from regbook.explore.live import choice_list, html_widget, predict, text_html
from regbook.explore.running import Runner, Running, Whole
from regbook.text import readable

_shown: weakref.WeakValueDictionary[str, Callable] = (
    weakref.WeakValueDictionary()
)  # how to stop each, by title


def view(figure: Running, post: Callable | None = None) -> ui.VBox:
    """A widget that computes ``figure`` for any setting, beginning when its guess is made, or at once.

    ``post``: as for ``Runner``; by default the event loop of the kernel, which is free between two cells.
    """
    values, busy, latest, begun = {}, [], {}, []
    width, height = (round(side * figure.dpi) for side in figure.figsize)
    blank = encode(np.full((height, width, 3), 255, dtype=np.uint8), True)  # keeps the place
    picture = ui.Image(value=blank, format="webp", layout=ui.Layout(width="100%", max_width="100%"))
    hidden = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
    described = ui.HTML(f"<span style='{hidden}'>{html.escape(figure.alt)}</span>")  # an Image has no alt
    readout, error, status = ui.HTML(layout=ui.Layout(min_height="6.5em")), ui.HTML(), ui.HTML()
    bar = ui.FloatProgress(value=0.0, min=0.0, max=1.0, layout=ui.Layout(flex="1 1 8em"))
    bar.tooltip = "progress"
    button = ui.Button(description="Compute")
    post = post or _event_loop()

    def item(pair) -> None:
        bar.value, state = pair
        say(f"computing: {100 * bar.value:.0f} %")
        fresh = (
            "state" not in latest
        )  # if several have arrived since the last drawing, one drawing shows them
        latest["state"] = state
        begun.append(True)
        if fresh:
            post(show)

    def show() -> None:
        if "state" not in latest:  # a new setting came first
            return
        try:
            state = {"state": latest.pop("state")}
            frame = render(figure.draw, state, figure.figsize, figure.dpi, phones=False)
        except Exception as met:
            runner.stop()
            begun.clear()
            return end(met)
        picture.value = encode(frame.drawings[0].pixels, True)
        readout.value = text_html(readable(frame.text or ""))

    def end(met: Exception | None) -> None:
        button.description = "Compute"
        if met is None:
            return say("done")
        say("ended by an error")
        name = type(met).__name__
        words = f"{met}" if isinstance(met, ValueError) or name.endswith("LinAlgError") else f"{name}: {met}"
        what = "This run cannot go on" if begun else "This setting cannot be computed"
        sentence = html.escape(readable(f"{what}: {words.rstrip('.')}."))
        error.value = f"<div role='alert'><b>{sentence}</b></div>"
        if not begun:  # the picture is that of another setting
            readout.value, picture.value = "", blank

    runner = Runner(item, end, post)

    def say(words: str) -> None:
        status.value = f"<span style='white-space:nowrap'>{words}</span>"

    def begin() -> None:
        latest.clear()
        begun.clear()
        setting = dict(values)
        bar.value, error.value, button.description = 0.0, "", "Stop"
        say("computing: 0 %")
        readout.value = text_html(f"Computing for {_words(figure, setting)}.")
        runner.start(lambda: figure.compute(**setting))

    def stop() -> None:
        runner.stop()
        latest.clear()
        button.description = "Compute"
        say("stopped")

    def change(**new) -> None:
        values.update(new)
        if not busy and started:
            begin()

    started, rows, wholes = [], [], {}
    for name, parameter in figure.parameters.items():
        if isinstance(parameter, Whole):
            values[name] = parameter.start
            row, wholes[name] = _whole(parameter, wholes.get(parameter.high), busy)
        else:
            values[name] = parameter.values[0]
            row = choice_list(parameter, 0, lambda value, name=name: change(**{name: value}))
        rows.append(row)
    for name, number in wholes.items():  # after the observers that let one number follow another
        number.observe(lambda event, name=name: change(**{name: event["new"]}), "value")

    def start() -> None:
        if title in _shown:  # the cell was run before: its figure is no longer looked at
            _shown[title]()
        _shown[title] = stop
        started.append(True)
        begin()

    title = figure.page.title or figure.alt
    button.on_click(lambda _: stop() if button.description == "Stop" else begin())
    progress = ui.HBox([button, bar, status], layout=ui.Layout(align_items="center"))
    words = [ui.VBox(rows), progress, readout]
    words += [html_widget(figure.page.caption)] if figure.page.caption else []
    seen, told = ui.VBox([described, picture, error]), ui.VBox(words)
    parts = [seen, told]
    if figure.page.question:
        parts = [predict(figure.page.question, [seen, told], then=start), *parts]
    else:
        start()
    heading = [ui.HTML(f"<b>{html.escape(figure.page.title)}</b>")] if figure.page.title else []
    return ui.VBox([*heading, *parts], layout=ui.Layout(max_width="860px"))


def _event_loop() -> Callable:
    """A function that has others called by the event loop that runs here, as those of this cell."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda call: call()
    context = contextvars.copy_context()

    def post(call) -> None:
        if not loop.is_closed():  # at the end of the kernel
            loop.call_soon_threadsafe(call, context=context)

    return post


def _words(figure: Running, setting: dict) -> str:
    told = []
    for name, parameter in figure.parameters.items():
        value = setting[name]
        told.append(f"{parameter.label} {value if isinstance(parameter, Whole) else parameter.text(value)}")
    return ", ".join(told)


def _whole(parameter: Whole, leader, busy: list) -> tuple[ui.HBox, ui.BoundedIntText]:
    """A number to type, its label, and a slider that moves with it; ``leader``: that it may not exceed."""
    high = parameter.high if leader is None else leader.value
    limits = {"value": parameter.start, "min": parameter.low, "max": high}
    style = {"description_width": "initial"}
    number = ui.BoundedIntText(**limits, description=parameter.label, style=style)
    number.layout = ui.Layout(width="auto", flex="0 1 17em")
    slider = ui.IntSlider(**limits, readout=False, tooltip=parameter.label)
    slider.layout = ui.Layout(flex="1 1 12em", width="auto")

    def moved(event) -> None:
        if event["owner"] is not number:
            number.value = event["new"]
        else:
            slider.value = event["new"]

    def follow(event) -> None:
        """The largest number is another: one setting, of which the share stays."""
        value = round(number.value * event["new"] / max(1, event["old"]))
        busy.append(number)
        for part in (number, slider):
            part.set_trait("max", max(event["new"], part.value))  # first the room, then the value
        number.value = max(parameter.low, min(value, event["new"]))
        for part in (number, slider):
            part.set_trait("max", event["new"])
        busy.pop()

    number.observe(moved, "value")
    slider.observe(moved, "value")
    if leader is not None:
        leader.observe(follow, "value")
    return ui.HBox([number, slider], layout=ui.Layout(flex_flow="row wrap", align_items="center")), number
