"""The narrow drawing of a figure, for phones: the same panels below each other, the text as large as before.

A drawing made for a wide screen has text of 3 to 5 pixels on a phone. ``narrow`` gives every panel of a
drawn figure a new place in a figure 3.4 inches wide: what has axes takes the whole width, pictures without
axes stand two in a row. The functions that draw need not know of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import Bbox, ScaledTranslation, blended_transform_factory

#: Inches.
WIDTH = 3.4

#: Points of the smallest text: more than 9 pixels where the drawing is 280 pixels wide, as in a page of 360.
LEAST = 8.0

_EDGE, _GAP = 0.06, 0.14  # inches around everything, and between two rows or columns
_LOW, _HIGH = 1.3, 2.3  # inches: heights of axes
_SQUARE = 2.4  # inches: height of axes whose shape is given
_NAME = 1.2  # inches: width of names at the left of axes
_THUMBNAIL = 1.15  # inches: so small in the wide drawing that three stand in a row in the narrow one


@dataclass
class Arrangement:
    """Where ``narrow`` has put things, so that the next frame of a figure gets the same places.

    ``size``: inches, width and height. ``boxes``: of the axes, as fractions of the figure. ``margins``:
    inches that the labels of an axes take, to the left, below, to the right and above, by its index.
    ``below``: axes whose legend went below. ``labels``: axes that got the labels of a neighbour, with the
    axis and its name. ``repeats``: can another frame be put in the same places?
    """

    size: tuple[float, float]
    boxes: list[tuple[float, float, float, float]]
    margins: dict[int, np.ndarray]
    below: set[int]
    labels: list[tuple[int, str, str]]
    repeats: bool


def narrow(figure: Figure, like: Arrangement | None = None) -> Arrangement:
    """Re-arrange a figure that has been drawn, so that it can be read on a phone.

    No text is smaller than ``LEAST`` points, titles and labels are wrapped, tick labels that would overlap
    are thinned out, and a legend that no longer fits into its axes goes below them.

    Args:
        figure: the figure; it is changed.
        like: the arrangement of a frame before: the size is kept, and the places as far as the labels allow.
    """
    return _Narrow(figure).arrange(like)


# ----------------------------------------------------------------------------------------- what there is


@dataclass
class _Panel:
    """One place: axes that lie on each other, and the insets and colour bars that belong to them."""

    axes: list[Axes]
    box: Bbox
    bare: bool
    insets: list[tuple[Axes, np.ndarray]] = field(default_factory=list)
    bars: list[Axes] = field(default_factory=list)

    @property
    def shape(self) -> float:
        return self.box.width / self.box.height

    @property
    def everything(self) -> list[Axes]:
        return [*self.axes, *(inset for inset, _ in self.insets)]

    @property
    def free(self) -> bool:
        """May its height be chosen?"""
        return all(ax.get_aspect() == "auto" and ax.name not in ("3d", "polar") for ax in self.axes)


@dataclass
class _Row:
    """Panels side by side, or a text of its own."""

    panels: list[_Panel] = field(default_factory=list)
    columns: int = 1
    text: Text | None = None
    legend: Legend | None = None


def _inches(artist) -> Bbox:
    dpi = artist.get_figure(root=True).dpi
    return Bbox(np.asarray(artist.get_window_extent().get_points()) / dpi)


def _split(boxes: list, begin: Callable, end: Callable) -> tuple[list, list] | None:
    ordered = sorted(boxes, key=lambda item: begin(item[0]))
    for k in range(1, len(ordered)):
        first, second = ordered[:k], ordered[k:]
        if max(end(box) for box, _ in first) < min(begin(box) for box, _ in second) + 0.05:
            return first, second
    return None


def _reading_order(boxes: list[tuple[Bbox, object]]) -> list[list]:
    """What stands in the boxes, as it is read: rows from above, and in a row what stands side by side."""
    if parts := _split(boxes, lambda box: -box.y1, lambda box: -box.y0):
        return _reading_order(parts[0]) + _reading_order(parts[1])
    if parts := _split(boxes, lambda box: box.x0, lambda box: box.x1):
        left, right = map(_reading_order, parts)
        return [left[0] + right[0]] if len(left) == len(right) == 1 else left + right
    return [[item for _, item in boxes]]


def _is_bar(ax: Axes) -> bool:
    return hasattr(ax, "_colorbar")


def _parents(bar: Axes) -> list[Axes]:
    return list((getattr(bar, "_colorbar_info", None) or {}).get("parents") or [bar._colorbar.mappable.axes])


def _ticks(axis) -> list[Text]:
    """The tick labels of an axis that are to be seen."""
    axis.get_majorticklabels()  # brings them up to date
    low, high = sorted(axis.get_view_interval())
    slack = 1e-6 * (high - low)
    seen = [t.label1 for t in axis.get_major_ticks() if low - slack <= t.get_loc() <= high + slack]
    return [label for label in seen if label.get_visible() and label.get_text()]


def _labelled(ax: Axes) -> bool:
    return ax.axison and (ax.name == "3d" or bool(_ticks(ax.xaxis) or _ticks(ax.yaxis)))


def _panels(axes: Sequence[Axes]) -> list[_Panel]:
    found: list[_Panel] = []
    plain = [ax for ax in axes if ax.get_visible() and not _is_bar(ax)]
    for ax in sorted(plain, key=lambda ax: -_inches(ax).width):
        box = _inches(ax)
        for panel in found:
            around = panel.box.padded(0.02)
            if around.contains(*box.p0) and around.contains(*box.p1):
                if min(box.size / panel.box.size) > 0.98:
                    panel.axes.append(ax)
                else:
                    place = (box.p0 - panel.box.p0) / panel.box.size
                    panel.insets.append((ax, np.concatenate([place, box.size / panel.box.size])))
                break
        else:
            given = ax.get_aspect() != "auto" and ax.name not in ("3d", "polar")
            found.append(_Panel([ax], box, bare=given and not _labelled(ax)))
    for bar in filter(_is_bar, axes):
        for panel in found:
            if set(panel.axes) & set(_parents(bar)):
                panel.bars.append(bar)
    return found


# ----------------------------------------------------------------------------------------- words


def _wrap(text: Text, inches: float) -> None:
    """Break the lines of a text so that it is not longer than so many inches."""
    whole = text.__dict__.setdefault("_unbroken", text.get_text())
    turned = round(text.get_rotation()) in (90, 270)
    lines = [re.findall(r"(?:\$[^$]*\$|\S)+", line) for line in whole.split("\n")]  # a formula stays whole
    text.set_text(whole)
    most = max((len(" ".join(line)) for line in lines), default=0)
    while most > 6:
        box = _inches(text)
        if (box.height if turned else box.width) <= inches:
            return
        most, broken = most - 1, []
        for line in lines:
            broken.append("")
            for word in line:
                if broken[-1] and len(broken[-1]) + 1 + len(word) > most:
                    broken.append("")
                broken[-1] = f"{broken[-1]} {word}".strip()
        text.set_text("\n".join(broken))


def _overlap(labels: list[Text]) -> bool:
    boxes = [label.get_window_extent() for label in labels]
    room = 1.5 * labels[0].get_figure(root=True).dpi / 72 if labels else 0
    return any(a.padded(room).overlaps(b.padded(room)) for a, b in pairwise(boxes))


def _named(labels: list[Text]) -> bool:
    """Are they words? Then each of them counts."""
    return any(re.search(r"[^\W\d_]{2}", label.get_text().replace("mathdefault", "")) for label in labels)


def _break_names(axis) -> None:
    """Break the words at the left of axes that would take too much of the width."""
    labels = axis.get_ticklabels()
    if _named(labels) and max(_inches(label).width for label in labels) > _NAME:
        for label in labels:
            _wrap(label, _NAME)
        axis.set_ticks(axis.get_ticklocs(), labels=[label.get_text() for label in labels])


def _thin(axis) -> None:
    """Leave out tick labels until none touches its neighbour; words are turned."""
    labels = _ticks(axis)
    if not _overlap(labels):
        return
    if _named(labels):
        if axis.axis_name == "x":
            axis.set_tick_params(rotation=30)
            for label in axis.get_ticklabels():
                label.set(ha="right", rotation_mode="anchor")
        return
    locator = axis.get_major_locator()
    for count in (5, 4, 3):
        if isinstance(locator, LogLocator):
            axis.set_major_locator(LogLocator(base=locator._base, numticks=count))
        elif isinstance(locator, MaxNLocator):
            axis.set_major_locator(MaxNLocator(count - 1))
        else:
            places, texts = axis.get_ticklocs(), [label.get_text() for label in axis.get_ticklabels()]
            axis.set_ticks(places[::2], labels=texts[::2])
        if not _overlap(_ticks(axis)):
            return


# ----------------------------------------------------------------------------------------- places


class _Narrow:
    """A figure on its way from wide to narrow."""

    def __init__(self, figure: Figure):
        self.figure, self.axes = figure, list(figure.axes)
        self.plain = [ax for ax in self.axes if ax.get_visible() and not _is_bar(ax)]
        self.margins: dict[Axes, np.ndarray] = {}
        self.below: dict[Axes, Legend] = {}
        self.labels: list[tuple[int, str, str]] = []
        self.rows: list[_Row] = []
        self.panels: list[_Panel] = []

    def arrange(self, like: Arrangement | None) -> Arrangement:
        if like and like.repeats and len(like.boxes) == len(self.axes) and self._repeat(like):
            return like
        height = like.size[1] if like else None
        if not self.rows:  # as long as the figure is still wide
            self._survey()
            self._loosen()
            self._share()
        self._measure()
        self._place(height)
        self._fit()
        for ax in self.wide:
            if ax.get_legend() and ax not in self.below and self._outgrown(ax):
                self._legend_below(ax)
        for _ in range(2):
            self._measure()
            size = self._place(height)
            self._fit()
        self._measure()
        size = self._place(height)
        number = self.axes.index
        return Arrangement(
            size,
            [tuple(ax.get_position(original=True).bounds) for ax in self.axes],
            {number(ax): margins for ax, margins in self.margins.items()},
            {number(ax) for ax in self.below},
            self.labels,
            repeats=not any(row.text or row.legend for row in self.rows),
        )

    # ------------------------------------------------------------------ what stands where

    def _survey(self) -> None:
        """What the wide figure looks like."""
        self.wide = {ax: _inches(ax) for ax in self.plain}
        self.legends = {ax: _inches(ax.get_legend()) for ax in self.plain if ax.get_legend()}
        self.shape = self.figure.get_figheight() / self.figure.get_figwidth()
        self.rows = list(self._sections(self.figure))
        self.panels = [panel for row in self.rows for panel in row.panels]

    def _loosen(self) -> None:
        """Take the figure from whoever places its parts, and make small text larger."""
        self.figure.set_layout_engine("none")
        for part in self._subfigures(self.figure):  # their axes are placed in the whole figure, as all others
            part.bbox_relative.p0, part.bbox_relative.p1 = (0, 0), (1, 1)
            part.patch.set_visible(False)
        for text in self.figure.findobj(Text):
            text.set_size(max(text.get_size(), LEAST))
        for ax in self.axes:
            for axis in (ax.xaxis, ax.yaxis):
                least = min((label.get_size() for label in axis.get_ticklabels()), default=LEAST)
                axis.set_tick_params(labelsize=max(least, LEAST))

    def _subfigures(self, container: FigureBase) -> Iterator[FigureBase]:
        for part in container.subfigs:
            yield part
            yield from self._subfigures(part)

    def _sections(self, container: FigureBase) -> Iterator[_Row]:
        """The rows of the narrow figure, from above."""
        found = _panels([ax for ax in self.axes if ax.figure is container])
        parts = [(Bbox(part.bbox.get_points() / self.figure.dpi), part) for part in container.subfigs]
        above, beneath = (container._suptitle, container._supylabel), (container._supxlabel,)
        yield from (_Row(text=text) for text in above if text)
        run: list[list[_Panel]] = []
        for row in _reading_order([(panel.box, panel) for panel in found] + parts):
            run.append([])
            for item in row:
                if isinstance(item, _Panel) and item.bare:
                    run[-1].append(item)
                    continue
                yield from self._pictures(run)
                run = [[]]
                yield from [_Row([item])] if isinstance(item, _Panel) else self._sections(item)
        yield from self._pictures(run)
        if found or parts:  # a figure of nothing but words keeps them where they are
            free = [text for text in container.texts if text not in (*above, *beneath)]
            yield from (_Row(text=text) for text in (*beneath, *free) if text and text.get_text())
        yield from (_Row(legend=legend) for legend in container.legends)

    def _pictures(self, run: list[list[_Panel]]) -> Iterator[_Row]:
        """Two in a row; three where they are small, or a table of three columns; wide ones alone.

        A table of more columns is cut between columns: what stands below each other belongs together.
        """
        run = [row for row in run if row]
        flat = [panel for row in run for panel in row]
        table = len(run) > 1 and len({len(row) for row in run}) == 1 and len(run[0]) > 2
        if table and len(run[0]) > 3:
            for k in range(0, len(run[0]), 2):
                yield from (_Row(row[k : k + 2], 2) for row in run)
            return
        while flat:
            first = flat[0].box.width
            other = (k for k, panel in enumerate(flat) if not 0.7 < panel.box.width / first < 1.4)
            alike = flat[: next(other, len(flat))]
            small = len(alike) > 2 and first < _THUMBNAIL
            columns = 1 if max(panel.shape for panel in alike) > 1.8 else 3 if table or small else 2
            yield from (_Row(alike[k : k + columns], columns) for k in range(0, len(alike), columns))
            flat = flat[len(alike) :]

    def _share(self) -> None:
        """Axes that took their labels from a neighbour get labels of their own, unless it is still there."""
        order = [panel.axes[0] for panel in self.panels if not panel.bare]
        for ax, following in zip(order, [*order, None][1:], strict=True):
            for name, side in (("x", "labelbottom"), ("y", "labelleft")):
                axis, shared = getattr(ax, f"{name}axis"), getattr(ax, f"get_shared_{name}_axes")()
                others = [other for other in shared.get_siblings(ax) if other is not ax]
                hidden = ax.axison and not axis.get_tick_params().get(side, True)
                if hidden and others and not (name == "x" and following in others):
                    words = [getattr(other, f"{name}axis").label.get_text() for other in (ax, *others)]
                    self._label(self.axes.index(ax), name, next(filter(None, words), ""))

    def _label(self, number: int, name: str, words: str) -> None:
        ax = self.axes[number]
        axis = getattr(ax, f"{name}axis")
        neighbours = getattr(ax, f"get_shared_{name}_axes")().get_siblings(ax)
        ticks = [tick for other in neighbours for tick in getattr(other, f"{name}axis").get_ticklabels()]
        size = max((tick.get_size() for tick in ticks), default=LEAST)
        axis.set_tick_params(**{"labelbottom" if name == "x" else "labelleft": True}, labelsize=size)
        axis.set_label_text(words)
        self.labels.append((number, name, words))

    def _repeat(self, like: Arrangement) -> bool:
        """Put everything where it was in another frame, and say whether its labels have room there."""
        if self.figure.legends or any(text.get_text() for text in self.figure.texts):
            return False
        self._survey()
        self._loosen()
        for label in like.labels:
            self._label(*label)
        self.figure.set_size_inches(*like.size)
        for ax, box in zip(self.axes, like.boxes, strict=True):
            if _is_bar(ax):
                ax.set_box_aspect(None)
            ax.set_position(box)
        self.margins = {self.axes[k]: margins for k, margins in like.margins.items()}
        self._fit()
        for k in like.below:
            if self.axes[k].get_legend():
                self._legend_below(self.axes[k])
        self._measure()
        room = {self.axes[k]: margins + 0.03 for k, margins in like.margins.items()}
        return all(ax in room and (taken <= room[ax]).all() for ax, taken in self.margins.items())

    # ------------------------------------------------------------------ what it takes

    def _measure(self) -> None:
        """Inches that labels, titles, insets and legends take around the axes: left, below, right, above."""
        for legend in self.below.values():
            legend.set_in_layout(False)
        for panel in self.panels:
            inner = _inches(panel.axes[0]).get_points()
            for ax in panel.everything:
                around = ax.get_tightbbox().get_points() / self.figure.dpi
                margins = np.concatenate([inner[0] - around[0], around[1] - inner[1]])
                self.margins[ax] = margins = np.clip(margins, 0, 0.5 * WIDTH)
                if ax in self.below:
                    self._anchor(ax, margins[1])
                    margins[1] += _inches(self.below[ax]).height + 0.04

    def _around(self, panel: _Panel) -> np.ndarray:
        margins = np.max([self.margins[ax] for ax in panel.everything], axis=0)
        for bar in panel.bars:  # the numbers at its ends
            inner, outer = bar.get_window_extent(), bar.get_tightbbox()
            ends = (inner.y0 - outer.y0, outer.y1 - inner.y1)
            margins[[1, 3]] = np.maximum(margins[[1, 3]], np.divide(ends, self.figure.dpi))
        return margins

    def _bar(self, bar: Axes) -> float:
        """Inches to the right of its panels that a colour bar takes."""
        beyond = bar.get_tightbbox().x1 - bar.get_window_extent().x1
        return 0.08 + 0.13 + max(0.0, beyond) / self.figure.dpi

    def _fit(self) -> None:
        """Wrap and thin out what is too long for its axes."""
        for panel in self.panels:
            left, _, right, _ = self._around(panel)
            for ax in panel.axes:
                box = _inches(ax)
                beyond = 0 if panel.bare else 2 * min(left, right)
                sides = max(_inches(title).width for title in (ax._left_title, ax._right_title))
                taken = 2 * sides + 0.1 if sides > 0.05 else 0
                _wrap(ax.title, max(box.width + beyond - taken, 0.4))
                if not ax.title.get_text():
                    _wrap(ax._left_title, box.width + right)
                if ax.axison and ax.name != "3d":
                    _wrap(ax.xaxis.label, box.width + beyond)
                    _wrap(ax.yaxis.label, box.height + 0.2)
                    _break_names(ax.yaxis)
                    _thin(ax.xaxis)
                    _thin(ax.yaxis)
            for bar in panel.bars:
                _wrap(bar.yaxis.label, _inches(bar).height)

    # ------------------------------------------------------------------ legends

    def _outgrown(self, ax: Axes) -> bool:
        """Does the legend take much more of its axes than in the wide figure, or did it stand outside?"""
        legend, now, before = self.legends[ax], _inches(ax), self.wide[ax]
        inside = before.padded(0.1).contains(*legend.p0) and before.padded(0.1).contains(*legend.p1)
        share = legend.width * legend.height / (now.width * now.height)
        grown = before.width * before.height / (now.width * now.height)
        return not inside or legend.width > now.width - 0.1 or (share > 0.1 and grown > 1.3)

    def _again(self, legend: Legend, owner, **where) -> Legend:
        """The same legend at another place, in as many columns as there is room for."""
        texts, most = legend.get_texts(), WIDTH - 2 * _EDGE
        words, handles = [text.get_text() for text in texts], legend.legend_handles
        size = max(min(text.get_size() for text in texts), LEAST)
        title = legend.get_title().get_text() or None
        legend.remove()
        for columns in range(min(len(texts), 4), 0, -1):
            options = {"ncols": columns, "fontsize": size, "columnspacing": 1.2, "frameon": False, **where}
            made = owner.legend(handles, words, title=title, title_fontsize=size, **options)
            if columns == 1 or _inches(made).width <= most:
                break
            made.remove()
        for text, old in zip(made.get_texts(), texts, strict=True):
            text.set_color(old.get_color())
            if columns == 1:
                _wrap(text, most - 0.5)
        return made

    def _legend_below(self, ax: Axes) -> None:
        self.below[ax] = self._again(ax.get_legend(), ax, loc="upper center", borderaxespad=0, borderpad=0)

    def _anchor(self, ax: Axes, beneath: float) -> None:
        """Hang the legend below the labels, in the middle of the figure."""
        down = ScaledTranslation(0, -beneath - 0.04, self.figure.dpi_scale_trans)
        across = blended_transform_factory(self.figure.transFigure, ax.transAxes)
        self.below[ax].set_bbox_to_anchor((0.5, 0), across + down)

    # ------------------------------------------------------------------ places

    def _height(self, panel: _Panel, width: float) -> float:
        if not panel.free:
            return min(width / panel.shape, _SQUARE)
        wide = panel.box.height
        lines = [label.get_text().count("\n") + 1 for ax in panel.axes for label in _ticks(ax.yaxis)]
        names = (
            0.19 * sum(lines) if _named([label for ax in panel.axes for label in _ticks(ax.yaxis)]) else 0.0
        )
        return max(wide if wide < _LOW else min(max(0.8 * wide, _LOW), _HIGH), names)

    def _place(self, height: float | None) -> tuple[float, float]:
        """Give everything its place; with a height, the axes that may are made to fill it."""
        inner = WIDTH - 2 * _EDGE
        around = {id(panel): self._around(panel) for panel in self.panels}
        alone = [panel for panel in self.panels if not panel.bare]
        many = {bar for panel in self.panels for bar in panel.bars if len(_parents(bar)) > 1}

        def bars(panels):
            return max((self._bar(bar) for panel in panels for bar in panel.bars), default=0.0)

        left = max((around[id(panel)][0] for panel in alone), default=0.0)
        right = max((around[id(panel)][2] + bars([panel]) for panel in alone), default=0.0)
        places: dict[int, list[float]] = {}  # of a panel: x, y of the upper end, width, height
        words, y = [], _EDGE
        for row in self.rows:
            if row.panels and not row.panels[0].bare:
                (panel,) = row.panels
                tall = self._height(panel, inner - left - right)
                wide = inner - left - right if panel.free else min(inner - left - right, tall * panel.shape)
                y += around[id(panel)][3]
                places[id(panel)] = [_EDGE + left + (inner - left - right - wide) / 2, y, wide, tall]
                y += tall + around[id(panel)][1]
            elif row.panels:
                shared = max((self._bar(b) for p in row.panels for b in p.bars if b in many), default=0.0)
                cell = (inner - shared - (row.columns - 1) * _GAP) / row.columns
                start = (row.columns - len(row.panels)) * (cell + _GAP) / 2  # fewer stand in the middle
                y += max(around[id(panel)][3] for panel in row.panels)
                below = 0.0
                for k, panel in enumerate(row.panels):
                    before, under, after, _ = around[id(panel)]
                    room = cell - before - after - (0.0 if many & set(panel.bars) else bars([panel]))
                    tall = min(room / panel.shape, _SQUARE)
                    x = _EDGE + start + k * (cell + _GAP) + before + (room - tall * panel.shape) / 2
                    places[id(panel)] = [x, y, tall * panel.shape, tall]
                    below = max(below, tall + under)
                y += below
            else:
                if row.legend:
                    where = {"loc": "upper center", "borderaxespad": 0}
                    row.legend = self._again(row.legend, row.legend.parent, **where)
                else:
                    _wrap(row.text, inner)
                words.append((row.text or row.legend, y))
                y += _inches(row.text or row.legend).height
            y += _GAP
        natural = y - _GAP + _EDGE if self.rows else WIDTH * self.shape
        total = height or natural
        self._stretch(places, words, total - natural)
        self.figure.set_size_inches(WIDTH, total)
        self._settle(places, words, total)
        return WIDTH, float(total)

    def _stretch(self, places, words, room: float) -> None:
        """Share out what the given height has more or less than the natural one among the axes."""
        free = [panel for panel in self.panels if panel.free]
        factor = max(0.3, 1 + room / sum(places[id(panel)][3] for panel in free)) if free else 1.0
        for panel in free:
            _, y, _, tall = places[id(panel)]
            places[id(panel)][3] = factor * tall
            for place in places.values():
                place[1] += (factor - 1) * tall if place[1] > y else 0
            words[:] = [(item, at + (factor - 1) * tall if at > y else at) for item, at in words]

    def _settle(self, places, words, total: float) -> None:
        """Tell Matplotlib, in fractions of the figure, counted from below."""
        whole = np.array([WIDTH, total])

        def put(ax, corner, size):
            ax.set_position([*(corner / whole), *(size / whole)])

        for panel in self.panels:
            x, y, wide, tall = places[id(panel)]
            corner, size = np.array([x, total - y - tall]), np.array([wide, tall])
            for ax in panel.axes:
                put(ax, corner, size)
            for ax, place in panel.insets:
                put(ax, corner + place[:2] * size, place[2:] * size)
            for bar in panel.bars:
                parts = [places[id(other)] for other in self.panels if bar in other.bars]
                top, bottom = min(p[1] for p in parts), max(p[1] + p[3] for p in parts)
                start = max(p[0] + p[2] for p in parts) + 0.08
                bar.set_box_aspect(None)
                put(bar, np.array([start, total - bottom]), np.array([0.13, bottom - top]))
        for item, y in words:
            if isinstance(item, Text):
                item.set(x=0.5, y=1 - y / total, ha="center", va="top", rotation=0)
            else:
                item.set_bbox_to_anchor((0.5, 1 - y / total), self.figure.transFigure)
