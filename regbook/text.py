"""Words for read-outs: numbers, durations, minus signs and counted things, as people write them."""

from __future__ import annotations

import re


def power_text(exponent: int) -> str:
    """10 to a whole ``exponent``.

    Example:
        >>> power_text(-4)
        '10⁻⁴'
    """
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def number_text(value: float) -> str:
    """``value`` to three digits.

    Example:
        >>> [number_text(value) for value in (0.001, -37.52, 1e-4, 2.5e6)]
        ['0.001', '−37.5', '10⁻⁴', '2.5·10⁶']
    """
    if value == 0 or 1e-3 <= abs(value) < 99950:
        return f"{float(f'{value:.3g}'):.10g}".replace("-", "−")
    digits, exponent = f"{value:.2e}".split("e")
    digits = digits.rstrip("0").rstrip(".").replace("-", "−")
    power = power_text(int(exponent))
    return {"1": power, "−1": f"−{power}"}.get(digits, f"{digits}·{power}")


def signed(text: str) -> str:
    """``text`` with the minus sign that people write before its numbers, and no minus zero.

    Example:
        >>> signed("from -3.5 to -0.00, then -0.02; Gauss-Newton")
        'from −3.5 to 0.00, then −0.02; Gauss-Newton'
    """
    return re.sub(r"-(?=\d)", "−", re.sub(r"-(0\.?0*)(?!\d|\.\d)", r"\1", text))


def readable(text: str) -> str:
    """``text`` with numbers as people write them: minus signs, and powers of ten for a programmer's e.

    Example:
        >>> readable("off by -2.8e-06, with 1e+03 steps at x = 5")
        'off by −2.8·10⁻⁶, with 10³ steps at x = 5'
    """

    def power(found: re.Match) -> str:
        factor, exponent = found[1], power_text(int(found[2].replace("−", "-")))
        return exponent if factor == "1" else f"{factor}·{exponent}"

    return signed(re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+−-]?\d+)\b", power, text))


def counted(count: float, one: str, many: str | None = None) -> str:
    """A number and what is counted: ``one`` of it, or ``many`` (if not given, ``one`` with an s).

    Example:
        >>> [counted(1, "step"), counted(1200, "step"), counted(0, "minimum", "minima")]
        ['1 step', '1,200 steps', '0 minima']
        >>> [counted(1.0, "pixel"), counted(0.125, "pixel")]
        ['1 pixel', '0.125 pixels']
    """
    shown = f"{count:,}" if isinstance(count, int) else number_text(count)
    return f"{shown} {one if count == 1 else many or one + 's'}"


def size_text(value: float) -> str:
    """The size of an error, to one digit: more of them say nothing.

    Example:
        >>> size_text(2.46e-8)
        '2·10⁻⁸'
    """
    return number_text(float(f"{value:.0e}"))


def duration_text(milliseconds: float) -> str:
    """A duration in the unit that suits it.

    Example:
        >>> [duration_text(value) for value in (0.26, 2500, 86400000 * 3)]
        ['0.3 ms', '2.5 s', '3.0 days']
    """
    for size, unit in ((864e5, "days"), (36e5, "hours"), (6e4, "minutes"), (1e3, "s")):
        if milliseconds >= size:
            return f"{milliseconds / size:.1f} {unit}"
    return f"{milliseconds:.1f} ms"
