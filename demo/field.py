"""A football field, drawn with plotly's shapes."""

from typing import Any

from ghostback.play import FIELD_LENGTH, FIELD_WIDTH

GRASS = "#e8f1e4"
END_ZONE = "#d5e5cf"
LINES = "#ffffff"
NUMBERS = "#9db897"
_HASHES = (23.58, 29.72)  # yards from the near sideline, where NFL fields have them


def shapes(axis: str, first: float, last: float) -> list[dict[str, Any]]:
    """Grass, end zones, yard lines and hash marks between two places along the field.

    Args:
        axis: plotly's number of the subplot's axes: empty for the first, `2` for the second.
        first: left end of the part shown, yards.
        last: right end, yards.
    """
    refs = {"xref": f"x{axis}", "yref": f"y{axis}", "layer": "below"}

    def box(x0: float, x1: float, color: str) -> dict[str, Any]:
        edges = {"x0": max(x0, first), "x1": min(x1, last), "y0": 0, "y1": FIELD_WIDTH}
        return {"type": "rect", "fillcolor": color, "line": {"width": 0}, **edges, **refs}

    def line(x0: float, y0: float, x1: float, y1: float, width: float) -> dict[str, Any]:
        ends = {"x0": x0, "y0": y0, "x1": x1, "y1": y1}
        return {"type": "line", "line": {"color": LINES, "width": width}, **ends, **refs}

    drawn = [box(first, last, GRASS)]
    drawn += [box(x0, x0 + 10, END_ZONE) for x0 in (0, FIELD_LENGTH - 10) if x0 < last and x0 + 10 > first]
    drawn += [line(x, 0, x, FIELD_WIDTH, 2 if x % 10 == 0 else 1) for x in range(10, 111, 5) if first <= x <= last]
    drawn += [line(max(first, 0), y, min(last, FIELD_LENGTH), y, 3) for y in (0, FIELD_WIDTH)]
    yards = [x for x in range(11, 110) if first <= x <= last and x % 5]
    drawn += [line(x, y - 0.35, x, y + 0.35, 1) for x in yards for y in _HASHES]
    return drawn


def numbers(axis: str, first: float, last: float) -> list[dict[str, Any]]:
    """Yard numbers along both sidelines, as plotly annotations."""
    return [
        {
            "text": str(50 - abs(x - 60)),
            "x": x,
            "y": y,
            "xref": f"x{axis}",
            "yref": f"y{axis}",
            "showarrow": False,
            "font": {"size": 17, "color": NUMBERS},
        }
        for x in range(20, 101, 10)
        if first + 2 <= x <= last - 2
        for y in (4, FIELD_WIDTH - 4)
    ]
