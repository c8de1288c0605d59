"""Units in comments: a field that was in yards and is in metres breaks everyone, and nothing else tells."""

import re

RULE = "UNIT_SAME"

_UNITS = re.compile(
    r"yards per second squared|yards per second|yards per step|square yards|yards"
    r"|frames per second|steps per second|frames|steps"
    r"|(?:milli|micro|nano)?seconds|minutes|hours|hz|degrees|radians|percent|0 to 1\b|bytes"
    r"|counterclockwise|clockwise|[+-][xy]\b|end line|sideline"
    r"|met(?:re|er)s(?: per second)?|feet|inches|miles(?: per hour)?|kilomet(?:re|er)s(?: per hour)?"
)


def named(comment: str) -> set[str]:
    """The units and directions that a comment names."""
    return set(_UNITS.findall(" ".join(comment.lower().split())))


def changed(released: str, current: str) -> str:
    """What a comment says instead of a unit that it named when it was released; empty if it names all still.

    A comment may come to name more units than it did.
    """
    before, now = named(released), named(current)
    return f"its comment said {_listed(before)}, and now says {_listed(now) or 'no unit'}" if before - now else ""


def _listed(words: set[str]) -> str:
    return ", ".join(f"`{word}`" for word in sorted(words))
