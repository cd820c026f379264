"""The figure of ``explore`` in Jupyter: the controls that the page has, and every value drawn anew."""

from __future__ import annotations

import html
import traceback

import ipywidgets as ui

from regbook.explore import Choice, Explorer, Slider
from regbook.explore.frames import encode

_STEP = 0.05  # of the slider, in distances of two frames


def view(explorer: Explorer) -> ui.VBox:
    """A widget that draws ``explorer`` at the values of its sliders. Errors in ``draw`` are shown in it."""
    values = explorer.values(explorer.first)
    picture = ui.Image(format="webp", layout=ui.Layout(width="100%", max_width="100%"))
    readout, error = ui.HTML(), ui.HTML()

    def show():
        try:
            pixels, text = explorer.drawn(values)
            picture.value, readout.value, error.value = encode(pixels, explorer.lossless), _text(text), ""
        except Exception:
            words = "<b>The function that draws this figure failed:</b>"
            lines = html.escape(traceback.format_exc())
            error.value = f"<div role='alert'>{words}<pre style='white-space:pre-wrap'>{lines}</pre></div>"
        picture.layout.display = readout.layout.display = "none" if error.value else ""

    def change(name):
        def to(value):
            values[name] = value
            show()

        return to

    mark = ui.HTML()  # where the guess is on the slider
    rows = []
    for k, (name, parameter) in enumerate(explorer.parameters.items()):
        if isinstance(parameter, Choice):
            rows.append(_list(parameter, explorer.first[k], change(name)))
        else:
            plays = not any(isinstance(row, ui.HBox) for row in rows)
            rows.append(
                _slider(parameter, explorer.first[k], change(name), *[explorer.interval, mark] * plays)
            )
    controls = ui.VBox(rows)
    parts = [ui.HTML(f"<b>{html.escape(explorer.title)}</b>")] if explorer.title else []
    parts += [picture, error]
    parts += [_predict(explorer, controls, mark)] if explorer.question else []
    parts += [controls, readout]
    parts += [_html(explorer.caption)] if explorer.caption else []
    show()
    return ui.VBox(parts, layout=ui.Layout(max_width="860px"))


def _text(text: str) -> str:
    return f"<div aria-live='polite' style='line-height:1.5'>{html.escape(text)}</div>"


def _html(text: str) -> ui.HTML:
    return ui.HTML(_text(text))


def _list(parameter: Choice, first: int, to) -> ui.Dropdown:
    options = list(zip(parameter.options, parameter.values, strict=True))
    style = {"description_width": "initial"}
    names = ui.Dropdown(options=options, index=first, description=parameter.label, style=style)
    names.observe(lambda event: to(event["new"]), "value")
    return names


def _slider(parameter: Slider, first: int, to, interval: int | None = None, mark=None) -> ui.HBox:
    """Play, label, slider and number. The slider's own value is a position: see ``Slider.value_at``."""
    values, last = parameter.values, len(parameter.values) - 1
    low, high = sorted((values[0], values[-1]))
    named = {"tooltip": parameter.label}
    slider = ui.FloatSlider(first, min=0, max=last, step=_STEP, readout=False, **named)
    kind = ui.BoundedIntText if isinstance(low, int) else ui.BoundedFloatText
    number = kind(_short(values[first]), min=low, max=high, step=None, **named)
    slider.layout, number.layout = ui.Layout(width="auto"), ui.Layout(width="7em")
    busy = []  # the slider moves the number and the number the slider: the one that moved first is right

    def slider_moved(event):
        # Jupyter rounds the slider to its steps and may report that back: the number typed stays what it is.
        rounded = abs(event["new"] - parameter.position(number.value)) < _STEP / 2
        if not busy and not rounded:
            busy.append(slider)
            value = parameter.value_at(round(event["new"], 6))
            number.value = _short(value)
            to(value)
            busy.clear()

    def number_moved(event):
        if not busy:
            busy.append(number)
            slider.value = parameter.position(event["new"])
            to(event["new"])
            busy.clear()

    slider.observe(slider_moved, "value")
    number.observe(number_moved, "value")
    track = ui.VBox([slider, *[mark] * (mark is not None)])
    track.layout = ui.Layout(flex="1 1 12em", min_width="9em")
    parts = [ui.Label(parameter.label), track, number, *[ui.Label(parameter.unit)] * bool(parameter.unit)]
    if interval:
        play = ui.Play(value=first, min=0, max=last, interval=interval, show_repeat=False)
        play.observe(lambda event: slider.set_trait("value", event["new"]), "value")
        parts.insert(0, play)
    return ui.HBox(parts, layout=ui.Layout(flex_flow="row wrap", align_items="center"))


def _short(value):
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _predict(explorer: Explorer, controls: ui.VBox, mark: ui.HTML) -> ui.VBox:
    """The question in the place of the controls, until it is answered or skipped."""
    asked = explorer.question
    if asked["options"]:
        pick = ui.RadioButtons(options=asked["options"], index=None, layout=ui.Layout(width="auto"))
    else:
        slider = list(explorer.parameters.values())[asked["on"]]
        texts = [slider.text(value) for value in slider.values]
        options = [(text, k) for k, text in enumerate(texts)]
        pick = ui.SelectionSlider(options=options, value=(len(texts) - 1) // 2, description=slider.label)
        pick.layout = ui.Layout(width="100%")
    sure = ui.Button(description="This is my guess", button_style="primary")
    skip = ui.Button(description="Skip")
    question = ui.HTML(f"<b>Predict</b> {html.escape(asked['question'])}")
    box = ui.VBox([question, pick, ui.HBox([sure, skip])])
    controls.layout.display = "none"

    def done(words):
        answer = html.escape(asked["answer"])
        folded = f"<details><summary>Compare with the answer</summary>{answer}</details>" if answer else ""
        box.children = [_html(words), ui.HTML(folded)]
        controls.layout.display = ""

    def guessed(_):
        if pick.index is None:
            return
        if asked["options"]:
            return done(f"You guessed: {asked['options'][pick.index]}")
        place = 100 * pick.index / (len(texts) - 1)
        sign = f"<span style='position:absolute;left:{place:.2f}%;transform:translateX(-50%)'>▲</span>"
        mark.value = f"<div style='position:relative;height:1em;line-height:1'>{sign}</div>"
        done(f"You guessed {slider.label} = {texts[pick.index]}.")

    sure.on_click(guessed)
    skip.on_click(lambda _: done(""))
    return box
