"""Outliers: how many, beside Table IV and the last columns of Table II of the LU-Net paper; which patients, and why."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from reports.cells import DASH, Cell, Missing, Table, above, between, from_paper, number, ours, percent, plain
from reports.evaluation_folder import Evaluation, figure_of
from reports.sections import lu_net

INTRODUCTION: Final = (
    "An outlier is a segmentation that no expert would have drawn. Geometric: the outline of the left ventricle (LV, "
    "endocardium, or EPI, epicardium) is further from the reference than experts are from one another. Anatomical: its "
    "shape is none that an expert ever drew. The first needs a reference, the second does not."
)

# Geometric, anatomical and both: counts of frames, of so many. Table II: 406 patients of good and medium quality; the
# intra-observer study has 40. Of LU-Net-m5 the text gives the share alone (§VI-B); U-Net1's and LU-Net-m15's are
# illegible in the text we have.
TABLE_II: Final[dict[str, tuple[int, int]]] = {
    "intra-observer": (21, 160),
    "BB-m5": (89, 1624),
    "BB-m15": (106, 1624),
    "BB-m30": (124, 1624),
    "RU-Net": (240, 1624),
    "AG-U-Net": (270, 1624),
}
LU_NET_M5_PERCENT: Final = "11 %"
# Table IV: all 500 patients
TABLE_IV: Final[dict[str, tuple[int, int, int]]] = {
    "U-Net1": (423, 95, 71),
    "LU-Net-m5-o1": (483, 201, 138),
    "LU-Net-m5-o2": (240, 31, 20),
}
FRAMES_IV: Final = 2000
INTRA_OBSERVER: Final = "intra-observer"

COLUMNS: Final = (
    ("", "network"),
    *((kind, column) for kind in ("geometric", "anatomical", "both") for column in ("#", "%")),
    ("judged", "n"),
)
SHOWN = 60
"""So many patients are listed; a network that has more has other worries."""
NOT_JUDGED = {
    "missing": "not all four frames (ED and ES of A4C and A2C)",
    "no_reference": "no reference labels",
    "no_spacing": "the pixel pitch is unknown",
    "no_segmentation": "nothing was outlined",
    "undefined": "the border is neither in the prediction nor in the reference",
    "unreadable": "a file cannot be read",
}
BLOCK: Final = "outliers_by_patient"


def applies(evaluation: Evaluation) -> bool:
    """Whether there is something to judge: a network that outlines, and frames of the two views.

    What was evaluated before outliers were judged has a section that says so.
    """
    geometric = evaluation.block(BLOCK, "frames", "geometric")
    has_frames = bool(geometric.get("judged") or geometric.get("not_judged"))
    return evaluation.segments and (has_frames or not evaluation.block(BLOCK))


def outlier_table(evaluation: Evaluation) -> Table | Missing:
    """Table IV of the paper, and the last columns of its Table II."""
    title = "Outliers (LU-Net paper, Tables II and IV): how many"
    if (missing := _missing(evaluation)) is not None:
        return Missing(title, missing)
    is_of_paper = lu_net.is_of_the_paper(evaluation)
    shown_ii = TABLE_II if is_of_paper else {INTRA_OBSERVER: TABLE_II[INTRA_OBSERVER]}
    rows: list[tuple[Cell, ...]] = [
        ours("good and medium image quality (Table II)"),
        *(_paper_row(name, (count,), frames) for name, (count, frames) in shown_ii.items()),
    ]
    if is_of_paper:
        lu_net_m5 = (DASH, LU_NET_M5_PERCENT, *[DASH] * 4, lu_net.FRAMES_II)
        rows.append((Cell("paper: LU-Net-m5"), *from_paper(*lu_net_m5)))
    rows += [
        ours("every image quality (Table IV)"),
        *(_paper_row(name, counts, FRAMES_IV) for name, counts in TABLE_IV.items()),
        ours(f"ours: {(evaluation.recipe or {}).get('model', 'this network')}"),
        _our_row(evaluation, "frames", ("frames",), by_shape=True),
        _our_row(evaluation, "frames, with our further checks", ("frames",), by_shape=False),
        _our_row(evaluation, "patients (any of four frames)", (), by_shape=True),
        _our_row(evaluation, "patients, with our further checks", (), by_shape=False),
    ]
    borders = evaluation.block(BLOCK).get("borders") or []
    if len(borders) > 1:
        rows += [_border_row(evaluation, border) for border in borders]
    return Table("outliers", title, COLUMNS, tuple(rows), tuple(_notes(evaluation, borders)))


def case_table(evaluation: Evaluation) -> Table | Missing:
    """Which patients are outliers, and what is beyond its bound; those with the most findings first."""
    title = "Outliers: which patients, and why"
    if (missing := _missing(evaluation)) is not None:
        return Missing(title, missing)
    geometric, anatomical = (_why(evaluation, kind) for kind in ("geometric", "anatomical"))
    whole = {case for kind in ("geometric", "anatomical") for case in evaluation.block(BLOCK, kind).get("cases") or []}
    findings = {
        patient: (geometric.get(patient, []), anatomical.get(patient, [])) for patient in {**geometric, **anatomical}
    }
    if not findings:
        return Missing(title, "None: nothing is beyond its bound.")
    order = sorted(findings, key=lambda patient: (-sum(map(len, findings[patient])), patient))
    rows = tuple(
        (
            Cell(patient),
            *ours(
                "; ".join(findings[patient][0]) or DASH,
                "; ".join(findings[patient][1]) or DASH,
                "all four" if patient in whole else "not all four",
            ),
        )
        for patient in order[:SHOWN]
    )
    notes = ["Patients that lack a frame are judged on those they have, and are in no share above."]
    if len(order) > SHOWN:
        notes.append(f"{len(order) - SHOWN} more are in summary.json, under {BLOCK}.")
    columns = plain("patient", "geometric", "anatomical", "frames judged")
    return Table("outlier-cases", title, columns, rows, tuple(notes))


def bounds_table(evaluation: Evaluation) -> Table | Missing:
    """The bounds in force."""
    title = "Outliers: the bounds in force"
    bounds: Mapping[str, Any] = evaluation.block(BLOCK, "bounds")
    if not bounds:
        return Missing(title, "This evaluation was made before outliers were judged.")
    rows = tuple(
        (Cell(_bound_name(name)), *ours(_bound_text(name, figure_of(bound, "value")), str(bound.get("source", DASH))))
        for name, bound in bounds.items()
    )
    references = evaluation.block(BLOCK, "references")
    notes = ["Other bounds: `evaluate.py --bounds FILE` (docs/outliers.md)."]
    if listed := references.get("cases"):
        notes.append(
            f"References that are themselves less simple or convex: {len(listed)} ({', '.join(listed[:6])}"
            f"{', …' if len(listed) > 6 else ''}). What is learnt from such labels may be, too."
        )
    return Table("outlier-bounds", title, plain("of", "bound", "where it comes from"), rows, tuple(notes))


def _missing(evaluation: Evaluation) -> str | None:
    """Why there is nothing to show, None where there is."""
    block = evaluation.block(BLOCK)
    if not block:
        return "This evaluation was made before outliers were judged; measure it again with evaluate.py --again."
    frames = evaluation.block(BLOCK, "frames")
    if any(frames[kind]["judged"] for kind in ("geometric", "anatomical") if kind in frames):
        return None
    reasons: dict[str, None] = {}
    for kind in ("geometric", "anatomical"):
        for status in evaluation.block(BLOCK, "frames", kind, "not_judged"):
            reasons[NOT_JUDGED.get(status, status.replace("_", " "))] = None
    return f"No frame could be judged: {', '.join(reasons) or 'there is none of A4C or A2C'}."


def _paper_row(name: str, counts: Sequence[int], frames: int) -> tuple[Cell, ...]:
    # the paper rounds to whole per cent, but for its motivation study
    digits = 1 if name.startswith("BB") else 0
    cells = [text for count in counts for text in (str(count), f"{number(100 * count / frames, digits)} %")]
    cells += [DASH] * (len(COLUMNS) - 2 - len(cells))
    return (Cell(f"paper: {name}"), *from_paper(*cells, str(frames)))


def _our_row(evaluation: Evaluation, label: str, path: Sequence[str], *, by_shape: bool) -> tuple[Cell, ...]:
    suffix = "_shape" if by_shape else ""
    kinds = ("geometric", f"anatomical{suffix}", f"both{suffix}")
    blocks = [evaluation.block(BLOCK, *path, kind) for kind in kinds]
    cells: list[str] = []
    for kind, block in zip(kinds, blocks, strict=True):
        sure = "" if path else between(*evaluation.confidence(f"outliers.{kind}", scale=100), 0)
        cells += [str(int(figure_of(block, "outliers", 0))), above(percent(figure_of(block, "share")), sure)]
        if not figure_of(block, "judged", 0):
            cells[-2] = DASH
    judged = [str(int(figure_of(block, "judged", 0))) for block in blocks]
    # frames without a reference have a shape and no distance
    return (Cell(label), *ours(*cells, judged[0] if len(set(judged)) == 1 else " / ".join(judged)))


def _border_row(evaluation: Evaluation, border: str) -> tuple[Cell, ...]:
    block = evaluation.block(BLOCK, "frames", f"geometric_{border.lower()}")
    judged = int(figure_of(block, "judged", 0))
    count = str(int(figure_of(block, "outliers", 0))) if judged else DASH
    name = lu_net.BORDERS.get(border, border)
    cells = (count, percent(figure_of(block, "share")), *[DASH] * 4, str(judged))
    return (Cell(f"frames, {name} alone"), *ours(*cells))


def _notes(evaluation: Evaluation, borders: Sequence[str]) -> list[str]:
    block = evaluation.block(BLOCK)
    checks = [check.replace("_", " ") for check in block.get("checks") or []]
    notes = [
        f"{lu_net.CITATION}, §IV-C. The paper speaks of patients and counts frames: the 240 of LU-Net-m5-o2 are "
        "12 % of 2,000. Its bounds are the inter-observer variability and the lowest shape of 50 patients, neither of "
        "which its text gives; ours are below. So the shares are alike in kind and not to the per cent.",
        "Frames and patients by the paper's criteria: distances, simplicity and convexity. "
        + (f"Our further checks: {', '.join(checks)}." if checks else "Our further checks were not made."),
    ]
    if list(borders) == ["LV"]:
        notes.append("This network outlines no myocardium: the LV alone was judged.")
    for label, path in (("Frames", ("frames",)), ("Patients", ())):
        for kind in ("geometric", "anatomical_shape"):
            left: Mapping[str, Any] = evaluation.block(BLOCK, *path, kind, "not_judged")
            if left:
                of_kind = kind.removesuffix("_shape")
                listed = ", ".join(f"{n} ({NOT_JUDGED.get(s, s.replace('_', ' '))})" for s, n in left.items())
                incomplete = figure_of(evaluation.block(BLOCK, *path, kind, "incomplete"), "outliers", 0)
                found = f"; beyond a bound all the same: {incomplete:.0f}" if incomplete else ""
                notes.append(f"{label} not judged, {of_kind}: {listed}{found}.")
    return notes


def _why(evaluation: Evaluation, kind: str) -> dict[str, list[str]]:
    """Reasons of patients judged, and of those that lack a frame."""
    return {
        patient: list(reasons)
        for path in ((), ("incomplete",))
        for patient, reasons in evaluation.block(BLOCK, kind, *path, "why").items()
    }


def _bound_name(name: str) -> str:
    """`lv_hausdorff_mm` → `LV d_H`."""
    border, _, measure = name.partition("_")
    words = {"mean_absolute_distance_mm": "d_m", "hausdorff_mm": "d_H"}
    return f"{border.upper()} {words.get(measure, measure.replace('_', ' '))}"


def _bound_text(name: str, value: float) -> str:
    return f"at most {number(value, 1)} mm" if name.endswith("_mm") else f"at least {number(value, 3)}"
