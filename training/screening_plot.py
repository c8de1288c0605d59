"""The picture of a screening."""

from pathlib import Path

from matplotlib.figure import Figure

from services.features.screening.screen import TOLERANCE, Judged, Screening, Verdict

_SHOWN = 30


def draw(screening: Screening, path: Path) -> None:
    """Write a PNG: what the best ranked candidates carry, and the error of the sets tried by their size."""
    figure = Figure(figsize=(13, 8), layout="constrained")
    importance, search = figure.subplots(1, 2, width_ratios=(3, 2))
    best = [judged for judged in screening.judged[:_SHOWN] if judged.rank == judged.rank][::-1]
    groups = sorted({judged.candidate.group for judged in best})
    for i, judged in enumerate(best):
        color = f"C{groups.index(judged.candidate.group)}"
        kept = judged.verdict is Verdict.KEPT
        importance.barh(i, judged.shap, color=color if kept else "none", edgecolor=color)
    importance.set_yticks(range(len(best)), [_label(judged) for judged in best], fontsize=8)
    importance.set_xlabel("mean |SHAP value|, yards, x and y together (filled: kept)")
    for i, group in enumerate(groups):
        importance.barh(0, 0, color=f"C{i}", label=group)
    importance.legend(title="group", loc="lower right")
    importance.set_title(f"{screening.n_rows:,} defensive backs of {len(screening.games)} games, best ranked first")

    sizes, errors = zip(*screening.tried, strict=True)
    search.semilogx(sizes, errors, "o", alpha=0.5, label="sets tried")
    search.plot(len(screening.kept), screening.kept_rmse, "*", markersize=16, label=f"kept: {len(screening.kept)}")
    search.axhline(screening.full_rmse, color="black", label="all candidates")
    search.axhline(screening.full_rmse * (1 + TOLERANCE), color="black", linestyle=":", label=f"all {TOLERANCE:+.0%}")
    search.set_xlabel("number of features")
    search.set_ylabel("root mean squared distance on games not seen, yards")
    search.set_title("Error by size of the set")
    search.legend()
    figure.savefig(path, dpi=90)


def _label(judged: Judged) -> str:
    return judged.candidate.name if judged.verdict is not Verdict.TWIN else f"{judged.candidate.name} (twin)"
