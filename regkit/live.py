"""The figure of ``explore`` in Jupyter: the same controls as in the page, and every value drawn anew."""

from __future__ import annotations

import html
import traceback

import ipywidgets as ui

from .explore import Choice, Explorer, Slider, encode


def view(explorer: Explorer) -> ui.VBox:
    """A widget that draws ``explorer`` at the values of its sliders. Errors of ``draw`` are shown in its place."""
    values = explorer.values(explorer.first)
    picture = ui.Image(format="webp", layout=ui.Layout(max_width="100%", object_fit="contain"))
    error, readout = ui.HTML(), ui.HTML()

    def show():
        try:
            pixels, text = explorer.drawn(values)
            picture.value, picture.layout.display, error.value = encode(pixels, explorer.lossless), "block", ""
            readout.value = f"<div aria-live='polite' style='line-height:1.5'>{html.escape(text)}</div>"
        except Exception:
            picture.layout.display, readout.value = "none", ""
            error.value = (
                "<div role='alert' style='line-height:1.4'><b>The function that draws this figure failed:</b>"
                f"<pre style='white-space:pre-wrap'>{html.escape(traceback.format_exc())}</pre></div>"
            )

    def change(name):
        def to(value):
            values[name] = value
            show()

        return to

    marks = ui.HTML()
    rows = []
    for k, (name, parameter) in enumerate(explorer.parameters.items()):
        if isinstance(parameter, Choice):
            rows.append(_choice_row(parameter, explorer.first[k], change(name)))
        else:
            own = explorer.first_slider == k
            play = explorer.interval if own else None
            rows.append(_slider_row(parameter, explorer.first[k], change(name), play, marks if own else None))
    controls = ui.VBox(rows)
    head = [ui.HTML(f"<b>{html.escape(explorer.title)}</b>")] if explorer.title else []
    predict = [_predict(explorer, controls, marks)] if explorer.guess else []
    tail = [ui.HTML(f"<div style='line-height:1.5'>{html.escape(explorer.caption)}</div>")] if explorer.caption else []
    show()
    return ui.VBox([*head, picture, error, *predict, controls, readout, *tail], layout=ui.Layout(max_width="860px"))


def _choice_row(parameter: Choice, first: int, change) -> ui.Widget:
    options = list(zip(parameter.options, parameter.values, strict=True))
    drop = ui.Dropdown(options=options, index=first, description=parameter.label, style={"description_width": "initial"})
    drop.observe(lambda event: change(event["new"]), "value")
    return drop


def _slider_row(parameter: Slider, first: int, change, interval: int | None, marks) -> ui.Widget:
    """Play, label, slider and number. The slider's own value is a position on the axis, the number is the value."""
    last = len(parameter.values) - 1
    slider = ui.FloatSlider(
        first, min=0, max=last, step=0.05, readout=False, tooltip=parameter.label, layout=ui.Layout(width="auto")
    )
    low, high = sorted((parameter.values[0], parameter.values[-1]))
    number_class = ui.BoundedIntText if isinstance(low, int) else ui.BoundedFloatText
    number = number_class(
        _short(parameter.values[first]), min=low, max=high, tooltip=parameter.label, layout=ui.Layout(width="6.5em")
    )
    busy = []  # the slider moves the number and the number the slider: whoever moves first says what is drawn

    def moved(source, value, move_other):
        if not busy:
            busy.append(source)
            move_other(value)
            change(value)
            busy.clear()

    def slider_moved(event):
        value = parameter.at(round(event["new"], 6))
        moved(slider, value, lambda v: number.set_trait("value", _short(v)))

    def number_moved(event):
        moved(number, event["new"], lambda v: slider.set_trait("value", parameter.position(v)))

    slider.observe(slider_moved, "value")
    number.observe(number_moved, "value")
    parts = [ui.Label(parameter.label), ui.VBox([slider] + [marks] * (marks is not None)), number]
    parts[1].layout = ui.Layout(flex="1 1 12em", min_width="10em")
    if parameter.unit:
        parts.append(ui.Label(parameter.unit))
    if interval:
        play = ui.Play(value=first, min=0, max=last, interval=interval, show_repeat=False)
        play.observe(lambda event: slider.set_trait("value", event["new"]), "value")
        parts.insert(0, play)
    return ui.HBox(parts, layout=ui.Layout(flex_flow="row wrap", align_items="center"))


def _short(value):
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _predict(explorer: Explorer, controls: ui.VBox, marks: ui.HTML) -> ui.VBox:
    """The question before the sliders: they appear when it is answered, or skipped."""
    data = explorer.guess_data()
    if data["options"] is not None:
        answer = ui.RadioButtons(options=data["options"], index=None, layout=ui.Layout(width="auto"))
    else:
        slider = list(explorer.parameters.values())[data["on"]]
        texts = [(slider.text(v), k) for k, v in enumerate(slider.values)]
        answer = ui.SelectionSlider(
            options=texts, index=len(texts) // 2, description=slider.label, layout=ui.Layout(width="100%")
        )
    sure = ui.Button(description="This is my guess", button_style="primary")
    skip = ui.Button(description="Skip")
    question = ui.HTML(f"<div style='line-height:1.5'><b>Predict</b> {html.escape(data['question'])}</div>")
    box = ui.VBox([question, answer, ui.HBox([sure, skip])])
    controls.layout.display = "none"

    def done(text):
        right = " ".join(html.escape(t) for t in (data["answer"] and data["answer"] + ".", data["explain"]) if t)
        folded = f"<details><summary>Compare with the answer</summary><p>{right}</p></details>" if right else ""
        box.children = [ui.HTML(f"<div style='line-height:1.5'>{html.escape(text)}{folded}</div>")]
        controls.layout.display = ""

    def guessed(_):
        if answer.index is None:
            return
        if data["options"] is None:
            percent = 100 * answer.index / (len(texts) - 1)
            marks.value = (
                f"<div style='margin:0 .5em;line-height:1.1'><span style='margin-left:{percent:.2f}%'>"
                "<span style='display:inline-block;transform:translateX(-50%);white-space:nowrap'>▲</span></span></div>"
            )
            done(f"You guessed {slider.label} = {texts[answer.index][0]}.")
        else:
            done(f"You guessed: {data['options'][answer.index]}.")

    sure.on_click(guessed)
    skip.on_click(lambda _: done(""))
    return box
