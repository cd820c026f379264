"""The figure of ``explore`` in Jupyter: the controls that the page has, and every value drawn anew."""

from __future__ import annotations

import html
import traceback

import ipywidgets as ui

from regbook.explore import Choice, Explorer, Slider

_STEP = 0.05  # of the slider, in distances of two frames


def view(explorer: Explorer) -> ui.VBox:
    """A widget that draws ``explorer`` at the values of its sliders. Errors in ``draw`` are shown in it."""
    values = explorer.values(explorer.first)
    picture = ui.Image(format="webp", layout=ui.Layout(width="100%", max_width="100%"))
    readout, error = ui.HTML(), ui.HTML()

    def show():
        try:
            frame = explorer.drawn(values, phones=False)
            picture.value = explorer.films[0].frame(frame.drawings[0])
            readout.value, error.value = text_html(frame.text), ""
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
            rows.append(choice_list(parameter, explorer.first[k], change(name)))
        else:
            plays = not any(isinstance(row, ui.HBox) for row in rows)
            rows.append(
                _slider(parameter, explorer.first[k], change(name), *[explorer.interval, mark] * plays)
            )
    controls = ui.VBox(rows)
    title = [ui.HTML(f"<b>{html.escape(explorer.title)}</b>")] if explorer.title else []
    seen, words = ui.VBox([picture, error]), [controls, readout]
    words += [html_widget(explorer.caption)] if explorer.caption else []
    told = ui.VBox(words)
    parts = [*title, seen, told]
    if explorer.question:
        hidden = [told] if explorer.question["before"] == "start" else [seen, told]
        asked = predict(explorer.question, hidden, mark, list(explorer.parameters.values()))
        parts = [*title, seen, asked, told] if hidden == [told] else [*title, asked, seen, told]
    show()
    return ui.VBox(parts, layout=ui.Layout(max_width="860px"))


def text_html(text: str) -> str:
    return f"<div aria-live='polite' style='line-height:1.5'>{html.escape(text)}</div>"


def html_widget(text: str) -> ui.HTML:
    return ui.HTML(text_html(text))


def choice_list(parameter: Choice, first: int, to) -> ui.Dropdown:
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


def predict(asked: dict, hidden: list, mark: ui.HTML | None = None, parameters=(), then=None) -> ui.VBox:
    """The question ``asked``, in the place of what is hidden until it is answered or skipped.

    ``mark``: where the guess and the answer are shown on a slider; ``then``: called after that.
    """
    sure = ui.Button(description="This is my guess", button_style="primary", disabled=True)
    skip = ui.Button(description="Skip")
    if asked["options"]:
        texts = asked["options"]
        pick = ui.RadioButtons(options=texts, index=None, layout=ui.Layout(width="auto"))
    else:
        slider = parameters[asked["on"]]
        texts = [slider.text(value) for value in slider.values]
        # it starts at its end and says no value: who has not moved it has not guessed
        options = [("?", -1), *((text, k) for k, text in enumerate(texts))]
        pick = ui.SelectionSlider(options=options, value=-1, description=slider.label)
        pick.layout = ui.Layout(width="100%")
    question = ui.HTML(f"<b>Predict</b> {html.escape(asked['question'])}")
    coming = html_widget("The figure appears here after your guess." if len(hidden) > 1 else "")
    box = ui.VBox([question, pick, ui.HBox([sure, skip]), coming])
    for part in hidden:
        part.layout.display = "none"

    def chosen() -> int:
        return (-1 if pick.index is None else pick.index) if asked["options"] else pick.value

    def allow(_):
        sure.disabled = chosen() < 0

    def sign(place):
        return f"<span style='position:absolute;left:{100 * place:.2f}%;transform:translateX(-50%)'>▲</span>"

    def done(words, *signs):
        marks = [*signs, *([asked["place"]] if asked["place"] is not None else [])]
        if marks and mark is not None:
            places = "".join(map(sign, marks))
            mark.value = f"<div style='position:relative;height:1em;line-height:1'>{places}</div>"
        box.children = [html_widget(words), *([html_widget(asked["answer"])] if asked["answer"] else [])]
        for part in hidden:
            part.layout.display = ""
        if then:
            then()

    def guessed(_):
        k = chosen()
        if k < 0:
            return
        if asked["options"]:
            done(f"You guessed: {texts[k]}")
        else:
            done(f"You guessed {slider.label} = {texts[k]}.", k / (len(texts) - 1))

    pick.observe(allow, "index" if asked["options"] else "value")
    sure.on_click(guessed)
    skip.on_click(lambda _: done("You made no guess."))
    return box
