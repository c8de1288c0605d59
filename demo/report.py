"""The report of a run: one HTML file that opens without a server, and its figures as JSON."""

import json
from pathlib import Path

from jinja2 import Environment, PackageLoader
from plotly.offline import get_plotlyjs

from demo import plays
from demo.results import Results

PLAYS_SHOWN = 3


def write(results: Results, folder: Path) -> Path:
    """Write `report.html` and `report.json`; gives the path of the former."""
    (folder / "report.json").write_text(json.dumps(results.as_json(), indent=2) + "\n")
    figures = [
        (
            f"Play {play.play_id}: {play.description or 'no description'}",
            plays.figure(play, prediction, other).to_html(
                full_html=False, include_plotlyjs=False, auto_play=False, config={"displayModeBar": False}
            ),
        )
        for play, prediction, other in plays.instructive(results.passes, PLAYS_SHOWN)
    ]
    template = Environment(loader=PackageLoader("demo", "."), autoescape=True).get_template("report.html.j2")
    page = template.render(results=results, figures=figures, plotly_js=get_plotlyjs())
    (folder / "report.html").write_text(page)
    return folder / "report.html"
