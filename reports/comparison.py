"""comparison.html: what comparison.json found, in the look of the report: several runs on the same frames."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D

from reports.cells import DASH, Cell, Missing, Table, above, between, number, ours, p_value, percent, plain
from reports.drawing import RC, Drawing, bland_altman_lines, bland_altman_points, new_figure
from reports.evaluation_folder import Evaluation, figure_of
from reports.html import Card, Gallery, Page, Picture, Section, Text, render
from reports.pictures import write_pictures
from reports.report import NOTICE
from reports.sections import improved_resunet, lu_net, vds_unet, volumes
from shell.errors import UserError
from shell.files import read_json, write_text

SIGNIFICANT = 0.05
FEW_PATIENTS = 20
DIGITS: Final = {"ratio": 3, "mm": 2, "px": 2, "ml": 1, "percent": 1}
UNIT_NAMES: Final = {"ratio": "", "mm": " mm", "px": " px", "ml": " ml", "percent": " %"}
HEADLINE: Final = ("hinge.distance", "annulus.error", "dice.LV", "localisation.iou")
"""Metrics of the cards, by the beginning of their keys."""
COLOURS: Final = ("#0072b2", "#c24e00", "#00805e", "#7a4fa3", "#5b5b5b")
MARKERS: Final = "osD^v"
SHORTENED = 4

OVERVIEW: Final = (
    ("hinge points: median distance", "hinge.distance_{unit}.median", 2),
    ("hinge points: median distance, calibrated", "hinge.distance_{unit}.median_calibrated", 2),
    ("diameter: mean absolute error", "annulus.mae_{unit}", 2),
    ("diameter: mean absolute error, calibrated", "annulus.mae_{unit}_calibrated", 2),
    ("diameter: bias (mean)", "annulus.bias_{unit}", 2),
    *((f"Dice {s}", f"dice.{s}", 3) for s in ("LV", "MYO", "LA", "EPI", "RV", "MV")),
    *((f"{name} {s}", f"{metric}.{s}_{{unit}}", 2) for name, metric in (
        ("d_m", "mean_absolute_distance"), ("d_H", "hausdorff"), ("HD95", "hausdorff95")) for s in ("LV", "EPI", "RV")),
    ("surface Dice LV", "surface_dice.LV", 3),
    ("box IOU", "localisation.iou", 3),
    ("EDV: r", "clinical.edv.r", 3),
    ("EDV: bias, ml", "clinical.edv.bias", 1),
    ("EDV: mean absolute error, ml", "clinical.edv.mae", 1),
    ("ESV: r", "clinical.esv.r", 3),
    ("ESV: bias, ml", "clinical.esv.bias", 1),
    ("ESV: mean absolute error, ml", "clinical.esv.mae", 1),
    ("EF: r", "clinical.ef.r", 3),
    ("EF: bias, %", "clinical.ef.bias", 1),
    ("EF: mean absolute error, %", "clinical.ef.mae", 1),
    ("share of frames without hinge points", "hinge.failed_share", 3),
    ("share of patients, geometric outliers", "outliers.geometric", 3),
    ("share of patients, anatomical outliers", "outliers.anatomical", 3),
)  # fmt: skip
"""Label, key of the confidence block, digits."""


@dataclass(frozen=True)
class PaperTable:
    """A paper's table that several networks can stand in.

    Attributes:
        make: from one evaluation, the paper's rows (`paper: …`) and ours last.
        rows: by model, the label of the paper's row for it.
    """

    make: Callable[[Evaluation], Table | Missing]
    rows: Mapping[str, str]


LU_NET_ROWS: Final = {
    "unet1": "paper: U-Net1",
    "ru_net": "paper: RU-Net",
    "ag_unet": "paper: AG-U-Net",
    "lu_net": "paper: LU-Net-m5",
}
PAPER_TABLES: Final = (
    PaperTable(lu_net.border_table, LU_NET_ROWS),
    PaperTable(volumes.clinical_table, LU_NET_ROWS),
    PaperTable(
        improved_resunet.comparison_table,
        {
            "unet": "paper: U-Net",
            "resunet": "paper: ResUNet",
            "improved_resunet": "paper: improved ResUNet",
        },
    ),
    PaperTable(
        vds_unet.ablation_table,
        {
            "unet": "paper: UNet",
            "unet_vgg16": "paper: UNet(VGG16)",
            "unet_ds": "paper: UNet(ds)",
            "vds_unet": "paper: VDS-UNet",
        },
    ),
)


@dataclass(frozen=True)
class Run:
    """One of the runs compared, its figures being of the shared frames."""

    about: Mapping[str, Any]
    evaluation: Evaluation

    @property
    def name(self) -> str:
        """As the page calls it."""
        return str(self.about["name"])

    @property
    def model(self) -> str:
        """The network."""
        return str((self.about.get("recipe") or {}).get("model") or self.about.get("model") or DASH)


Json = Mapping[str, Any]


def write_comparison(folder: Path) -> Path:
    """Writes comparison.html and figures/*.png beside comparison.json, from it alone.

    Returns:
        The path of comparison.html.

    Raises:
        UserError: comparison.json is missing or damaged.
    """
    content = _read(folder)
    runs = [_run(about) for about in content["runs"]]
    with mpl.rc_context(RC):
        drawings = {"forest": forest(content), **paired_scatters(content)}
    pictures = write_pictures(folder / "figures", drawings)
    page = folder / "comparison.html"
    write_text(page, render(_page(content, runs, pictures)))
    return page


def text_table(folder: Path) -> str:
    """What comparison.json found, as a short table for a terminal."""
    content = _read(folder)
    shared = content["shared"]
    lines = [f"{shared['frames']} frames of {shared['patients']} patients; p by Wilcoxon, Holm-corrected"]
    for pair in content["pairs"]:
        lines += ["", f"{pair['run']} against {pair['baseline']}"]
        rows = [("metric", "baseline", "run", "difference (95 % CI)", "p", "better")]
        for metric in pair["metrics"]:
            digits = DIGITS[metric["unit"]]
            sure = between(figure_of(metric, "mean_low"), figure_of(metric, "mean_high"), digits, signed=True)
            rows.append(
                (
                    f"{metric['label']}{_in_unit(metric)}",
                    number(figure_of(metric, "baseline_mean"), digits),
                    number(figure_of(metric, "run_mean"), digits),
                    number(figure_of(metric, "mean_difference"), digits, signed=True) + (f" ({sure})" if sure else ""),
                    p_value(figure_of(metric, "holm_p")),
                    percent(figure_of(metric, "share_better")),
                )
            )
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append("  ".join(cells).rstrip())
        lines += [f"not compared: {item['label']} ({item['why']})" for item in pair["not_compared"]]
    return "\n".join([*lines, *(f"note: {warning}" for warning in content["warnings"])])


def forest(content: Json) -> Drawing | Missing:
    """Paired differences of every metric with their confidence intervals, a panel for each unit."""
    title = "Paired differences of every metric"
    units = [unit for unit in DIGITS if any(m["unit"] == unit for pair in content["pairs"] for m in pair["metrics"])]
    if not units:
        return Missing(title, "No metric was measured by both of a pair.")
    labels = {unit: _labels(content, unit) for unit in units}
    pairs = content["pairs"]
    step = 0.8 / len(pairs)
    heights = [0.6 + len(labels[unit]) * (0.16 + 0.1 * len(pairs)) for unit in units]
    figure = new_figure(sum(heights) + 0.5)
    grid = figure.subplots(len(units), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, unit in zip(grid, units, strict=True):
        for at, pair in enumerate(pairs):
            for metric in pair["metrics"]:
                if metric["unit"] != unit:
                    continue
                y = labels[unit].index(metric["label"]) + (at - (len(pairs) - 1) / 2) * step
                low, high = figure_of(metric, "mean_low"), figure_of(metric, "mean_high")
                shown = figure_of(metric, "holm_p", 1.0) < SIGNIFICANT
                colour = COLOURS[at % len(COLOURS)]
                if math.isfinite(low):
                    axes.plot([low, high], [y, y], color=colour, linewidth=1.4)
                axes.plot(
                    [metric["mean_difference"]],
                    [y],
                    MARKERS[at % len(MARKERS)],
                    color=colour,
                    markerfacecolor=colour if shown else "white",
                    markersize=5,
                )
        smaller = unit != "ratio"
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.set_yticks(range(len(labels[unit])), labels[unit])
        axes.set_ylim(len(labels[unit]) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        better = "← better" if smaller else "better →"
        axes.set_xlabel(f"run − baseline{UNIT_NAMES[unit] and ',' + UNIT_NAMES[unit]}   ({better})")
        axes.locator_params(axis="x", nbins=6)
    if len(pairs) > 1:
        handles = [
            Line2D(
                [],
                [],
                color=COLOURS[i % len(COLOURS)],
                marker=MARKERS[i % len(MARKERS)],
                markerfacecolor="white",
                label=pair["run"],
            )
            for i, pair in enumerate(pairs)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    clear = {pair["run"]: sum(figure_of(m, "holm_p", 1.0) < SIGNIFICANT for m in pair["metrics"]) for pair in pairs}
    words = "; ".join(f"{run}: {count} of {len(p['metrics'])} metrics differ" for (run, count), p in zip(
        clear.items(), pairs, strict=True))  # fmt: skip
    return Drawing(
        "forest",
        title,
        f"Mean over patients of run − {content['runs'][0]['name']}, with its 95 % CI. Filled marks: Wilcoxon test, p < "
        f"{SIGNIFICANT} after Holm's correction. Dice, surface Dice and IOU are better the larger they are, all else "
        "the smaller.",
        f"Forest plot of paired differences. After Holm's correction, {words}.",
        figure,
    )


def paired_scatters(content: Json) -> dict[str, Drawing | Missing]:
    """Of each pair, every patient's mean hinge error, or Dice where there are no hinge points: mean and difference."""
    return {f"paired-{number}": _paired_scatter(pair) for number, pair in enumerate(content["pairs"], start=1)}


def _paired_scatter(pair: Json) -> Drawing | Missing:
    names = f"{pair['run']} against {pair['baseline']}"
    metric = _headline(pair, "hinge.distance") or _headline(pair, "dice.LV")
    if metric is None:
        return Missing(f"Patient by patient: {names}", "Neither hinge points nor a Dice were measured by both.")
    values = np.array(list(metric["values"].values()), dtype=np.float64)
    figure = new_figure(3.1)
    axes = figure.subplots()
    bland_altman_points(axes, values[:, 0], values[:, 1], COLOURS[0], "o", "")
    unit = UNIT_NAMES[metric["unit"]]
    words = bland_altman_lines(axes, values[:, 0], values[:, 1], unit.strip()).replace(" .", ".").replace("  ", " ")
    comma = f",{unit}" if unit else ""
    axes.set(xlabel=f"{metric['label']}, mean of both{comma}", ylabel=f"run − baseline{comma}")
    better = "Below zero" if metric["smaller_is_better"] else "Above zero"
    return Drawing(
        f"paired-{pair['run']}".replace("/", "-"),
        f"Patient by patient: {names}",
        f"Each mark is a patient (n = {len(values)}): the mean of its frames' {metric['label']} by both runs, and how "
        f"they differ. {better} the run is better. {words}",
        f"Scatter of paired {metric['label']}. {words}",
        figure,
    )


def _page(content: Json, runs: Sequence[Run], pictures: Mapping[str, Picture | Missing]) -> Page:
    shared, first = content["shared"], runs[0]
    return Page(
        title=f"Comparison of {len(runs)} runs",
        subtitle=" · ".join(
            [
                ", ".join(run.name for run in runs),
                f"baseline {first.name}",
                f"data {first.about['data']}",
                f"split {first.about['split']}",
                _of_patients(shared),
            ]
        ),
        notice=NOTICE,
        warnings=[*content["warnings"], *_oracles(runs)],
        lead=_lead(content),
        cards=_cards(content),
        reading=_reading(content),
        limits=_limits(content, runs),
        sections=_sections(content, runs, pictures),
        footer=NOTICE,
    )


def _lead(content: Json) -> str:
    sentences = [
        f"On the {_of_patients(content['shared'])} that all runs have, each is compared with "
        f"{content['runs'][0]['name']}, patient by patient."
    ]
    for pair in content["pairs"]:
        if not pair["metrics"]:
            sentences.append(f"{pair['run']}: nothing was measured by both.")
            continue
        clear = [m for m in pair["metrics"] if figure_of(m, "holm_p", 1.0) < SIGNIFICANT]
        better = [m["label"] for m in clear if figure_of(m, "rank_biserial") > 0]
        worse = [m["label"] for m in clear if figure_of(m, "rank_biserial") < 0]
        parts = [
            f"{word} in {len(labels)} ({_shortened(labels)})"
            for word, labels in (("better", better), ("worse", worse))
            if labels
        ]
        rest = len(pair["metrics"]) - len(clear)
        if rest:
            parts.append(f"no difference shown in {rest if parts else f'any of {rest}'}")
        of = f" of {len(pair['metrics'])} metrics" if clear else " metrics"
        sentences.append(f"{pair['run']}: {', '.join(parts)}{of}.")
    sentences.append(f"A difference counts as shown at p < {SIGNIFICANT} after Holm's correction.")
    return " ".join(sentences)


def _cards(content: Json) -> list[Card]:
    single = len(content["pairs"]) == 1
    cards: list[Card] = []
    for pair in content["pairs"]:
        found = [metric for key in HEADLINE if (metric := _headline(pair, key)) is not None]
        for metric in found if single else found[:1]:
            digits, unit = DIGITS[metric["unit"]], UNIT_NAMES[metric["unit"]]
            sure = between(figure_of(metric, "mean_low"), figure_of(metric, "mean_high"), digits, signed=True)
            lost = metric["only_baseline"] + metric["only_run"] + metric["neither"]
            cards.append(
                Card(
                    f"{_capital(metric['label'])}: {pair['run']} − {pair['baseline']}",
                    number(figure_of(metric, "mean_difference"), digits, signed=True) + unit,
                    (
                        *([f"95 % CI {sure}{unit}"] if sure else []),
                        f"patients' mean {number(figure_of(metric, 'baseline_mean'), digits)} → "
                        f"{number(figure_of(metric, 'run_mean'), digits)}{unit}",
                        f"better in {percent(figure_of(metric, 'share_better'))} of {metric['patients']} patients",
                        f"p {p_value(figure_of(metric, 'holm_p'))} (Wilcoxon, Holm)",
                        *([f"frames not measured by both: {lost}"] if lost else []),
                    ),
                )
            )
    return cards


def _reading(content: Json) -> list[tuple[str, str]]:
    bootstrap = content["bootstrap"]
    return [
        (
            "Pairs",
            "A metric is averaged over those frames of a patient that baseline and run could both measure, and the two "
            "means of a patient are a pair. Frames that one of them could not measure are in no mean, and counted.",
        ),
        ("Difference", "Run minus baseline, the mean over patients. It is an improvement below zero for errors and "
         "distances, above zero for Dice and IOU."),
        (
            "95 % CI",
            f"Confidence interval of the mean difference: patients drawn with replacement {bootstrap['resamples']} "
            f"times (percentile bootstrap, seed {bootstrap['seed']}).",
        ),
        (
            "p (Holm)",
            "Wilcoxon's signed-rank test of the paired differences, two-sided, corrected by Holm's method for the "
            "number of metrics in the table, so that among all of them the chance of any false finding stays "
            "below 5 %. A large p does not show that two runs are alike.",
        ),
        (
            "Effect size",
            "Matched-pairs rank-biserial correlation, −1 to 1: 1 means that every patient is better by the run, −1 "
            "that every one is worse, 0 that gains and losses balance.",
        ),
        ("Better, worse", "Share of the patients whose mean is strictly better or worse; the rest are equal."),
        ("Paper", "Figures of a paper stand on a tinted ground. They are of its own frames: compare with care."),
        (DASH, "No figure: not measured or not defined. It never means zero."),
    ]  # fmt: skip


def _limits(content: Json, runs: Sequence[Run]) -> list[tuple[str, str]]:
    limits = [
        ("Use", "Research only. This is not a medical device, and nothing here is for diagnosis or treatment."),
        (
            "Runs, not methods",
            "Each run is one training from one seed. What differs between two runs may differ as much between two "
            "seeds of one network; reproduce.py trains with several.",
        ),
    ]
    data = str(runs[0].about["data"])
    if data.split(":")[0].split("?")[0] == "phantom":
        limits.append(("Simulated data", "The frames are simulated: this says nothing about patients."))
    if "camus_subset" in data:
        limits.append(("Nominal mm", "These CAMUS frames lost their pixel pitch: every mm here is a nominal mm."))
    if content["shared"]["patients"] < FEW_PATIENTS:
        limits.append(
            ("Few patients", f"n = {content['shared']['patients']}: only large differences can be told from chance.")
        )
    return limits


def _sections(content: Json, runs: Sequence[Run], pictures: Mapping[str, Picture | Missing]) -> list[Section]:
    tables = paper_tables(runs)
    return [
        Section(
            "paired",
            "Paired comparison",
            (
                *(paired_table(pair, at) for at, pair in enumerate(content["pairs"], start=1)),
                Gallery(tuple(pictures.values())),
            ),
        ),
        Section("each", "Each run on the shared frames", (overview_table(runs),)),
        *(
            [
                Section(
                    "papers",
                    "Beside the papers",
                    (Text("Each run stands below the paper's row of the same network, where there is one."), *tables),
                )
            ]
            if tables
            else []
        ),
        Section("making", "How this was made", (runs_table(content),)),
    ]


def paired_table(pair: Json, at: int) -> Table | Missing:
    """Every metric of a pair."""
    title = f"{pair['run']} against {pair['baseline']}"
    left_out = [f"Not compared: {item['label']} ({item['why']})." for item in pair["not_compared"]]
    if not pair["metrics"]:
        return Missing(title, " ".join(["No metric was measured by both.", *left_out]))
    rows: list[tuple[Cell, ...]] = []
    for metric in pair["metrics"]:
        digits = DIGITS[metric["unit"]]
        mean, median = (
            above(
                number(figure_of(metric, f"{name}_difference"), digits, signed=True),
                _unbroken(
                    between(figure_of(metric, f"{name}_low"), figure_of(metric, f"{name}_high"), digits, signed=True)
                ),
            )
            for name in ("mean", "median")
        )
        lost = [metric[key] for key in ("only_run", "only_baseline", "neither")]
        rows.append(
            ours(
                f"{metric['label']}{_in_unit(metric)}",
                f"{metric['patients']} / {metric['frames']}",
                " / ".join(str(count) for count in lost) if any(lost) else "0",
                number(figure_of(metric, "baseline_mean"), digits),
                number(figure_of(metric, "run_mean"), digits),
                mean,
                median,
                p_value(figure_of(metric, "holm_p")),
                number(figure_of(metric, "rank_biserial"), signed=True),
                f"{percent(figure_of(metric, 'share_better'))} / {percent(figure_of(metric, 'share_worse'))}",
            )
        )
    return Table(
        f"pair-{at}",
        title,
        (
            ("", "metric"),
            ("patients / frames", "by both"),
            ("patients / frames", "lost"),
            ("patients' mean", "baseline"),
            ("patients' mean", "run"),
            ("run − baseline", "mean"),
            ("run − baseline", "median"),
            ("Wilcoxon", "p (Holm)"),
            ("Wilcoxon", "effect"),
            ("patients", "better / worse"),
        ),
        tuple(rows),
        (
            "By both: patients and frames that both measured. Below the differences: 95 % CI. Lost: frames (of a "
            "volume: patients) without a figure by the baseline alone / by the run alone / by both; 0 where there are "
            f"none. p is corrected over the {len(pair['metrics'])} metrics of this table.",
            *left_out,
        ),
    )


def overview_table(runs: Sequence[Run]) -> Table | Missing:
    """The headline figures of every run, on the shared frames."""
    unit = runs[0].evaluation.length_unit
    rows: list[tuple[Cell, ...]] = []
    for label, template, digits in OVERVIEW:
        key = template.format(unit=unit)
        entries = [run.evaluation.block("confidence").get(key) for run in runs]
        if not any(figure_of(entry, "n", 0) for entry in entries):
            continue
        cells = [
            above(
                number(figure_of(entry, "estimate"), digits),
                _unbroken(between(*run.evaluation.confidence(key), digits)),
            )
            for run, entry in zip(runs, entries, strict=True)
        ]
        rows.append(ours(f"{label}{f', {unit}' if '{unit}' in template else ''}", *cells))
    if not rows:
        return Missing("Headline figures", "Nothing was measured.")
    return Table(
        "overview",
        "Headline figures of each run, with their 95 % CI below",
        plain("figure", *(run.name for run in runs)),
        tuple(rows),
        (
            "Of every shared frame that the run itself could measure, frames counting alike; the patients' means of "
            "the paired comparison differ from them slightly.",
        ),
    )


def paper_tables(runs: Sequence[Run]) -> list[Table]:
    """The papers' comparison tables with each run as a row, where the network of a run is the paper's."""
    tables = [table for paper_table in PAPER_TABLES if (table := _with_every_run(paper_table, runs)) is not None]
    return [*tables, *_two_networks(runs)]


def _with_every_run(paper_table: PaperTable, runs: Sequence[Run]) -> Table | None:
    if not any(run.model in paper_table.rows for run in runs):
        return None
    made = [(run, table) for run in runs if isinstance(table := paper_table.make(run.evaluation), Table)]
    if not made:
        return None
    first = made[0][1]
    stated = {row[0].text: row for row in first.rows if row[0].text.startswith("paper: ")}
    beside = {paper_table.rows[run.model] for run, _ in made if run.model in paper_table.rows}
    rows = [row for label, row in stated.items() if label not in beside]
    for run, table in made:
        label = paper_table.rows.get(run.model, "")
        if label in beside:
            beside.remove(label)
            rows.append(stated[label])
        rows.append(_named(table.rows[-1], f"ours: {_called(run)}"))
    return replace(first, rows=tuple(rows))


def _two_networks(runs: Sequence[Run]) -> list[Table]:
    """Table IV of the LU-Net paper, of the runs that segment twice."""
    made = [
        (run, table)
        for run in runs
        if run.evaluation.block("metrics_first")
        and run.evaluation.locates
        and isinstance(table := lu_net.two_networks_table(run.evaluation), Table)
    ]
    if not made:
        return []
    first = made[0][1]
    rows = [row for row in first.rows if row[0].text.startswith("paper: ")]
    for run, table in made:
        rows += [
            _named(row, f"ours: {_called(run)}, {name}")
            for row, name in zip(table.rows[-2:], ("o1", "o2"), strict=True)
        ]
    return [replace(first, rows=tuple(rows))]


def runs_table(content: Json) -> Table:
    """How the comparison was made: the command, and every run."""
    runs = content["runs"]
    bootstrap = content["bootstrap"]
    rows: list[tuple[Cell, ...]] = []
    if content.get("command"):
        rows.append(ours("command", str(content["command"])))
    rows.append(
        ours(
            "statistics",
            "paired by patient; Wilcoxon signed-rank test, Holm's correction; percentile bootstrap, "
            f"{bootstrap['resamples']} draws of patients, seed {bootstrap['seed']}",
        )
    )
    for at, run in enumerate(runs):
        recipe = run.get("recipe") or {}
        values = {
            "model": run.get("model"),
            "recipe": recipe.get("name"),
            "seed": recipe.get("seed"),
            "data": run.get("data"),
            "data digest": run.get("data_digest"),
            "split": run.get("split"),
            "frames": f"{run['frames']}, of which left out here {run['left_out']}",
            "evaluated": run.get("created"),
            "folder": run.get("folder"),
        }
        name = f"{run['name']}{' (baseline)' if at == 0 else ''}"
        rows += [ours(f"{name}: {key}", str(value)) for key, value in values.items() if value is not None]
    return Table("provenance", "Command, statistics and runs", plain("what", "value"), tuple(rows))


def _run(about: Json) -> Run:
    evaluation = Evaluation(
        folder=Path(str(about["folder"])),
        rows=(),
        summary=about["summary"],
        history=None,
        recipe=about.get("recipe") or None,
        calibration=None,
        environment=None,
        run=None,
        overlays=(),
    )
    return Run(about, evaluation)


def _read(folder: Path) -> Json:
    path = folder / "comparison.json"
    if not path.is_file():
        raise UserError(f"{path}: no such file; run `python evaluate.py --compare` first")
    content = read_json(path)
    if not isinstance(content, dict) or not {"runs", "pairs", "shared", "warnings", "bootstrap"} <= content.keys():
        raise UserError(f"{path}: not a comparison; run `python evaluate.py --compare` again")
    return content


def _headline(pair: Json, key: str) -> Json | None:
    """The metric whose key is this, or this with its unit."""
    wanted = (key, f"{key}_mm", f"{key}_px")
    return next((metric for metric in pair["metrics"] if metric["key"] in wanted), None)


def _labels(content: Json, unit: str) -> list[str]:
    """Labels of the metrics in a unit, in the order of the table."""
    return list(dict.fromkeys(m["label"] for pair in content["pairs"] for m in pair["metrics"] if m["unit"] == unit))


def _oracles(runs: Sequence[Run]) -> list[str]:
    helped = [run.name for run in runs if run.evaluation.oracle_margin is not None]
    if not helped:
        return []
    return [
        f"THE REFERENCE WAS USED by {', '.join(helped)}: every frame was cropped to the box of its own reference. It "
        "is no fair comparison with the others."
    ]


def _of_patients(shared: Json) -> str:
    frames, patients = shared["frames"], shared["patients"]
    return f"{frames} {'frame' if frames == 1 else 'frames'} of {patients} {'patient' if patients == 1 else 'patients'}"


def _in_unit(metric: Json) -> str:
    """`, mm`; nothing for a ratio."""
    unit = UNIT_NAMES[metric["unit"]]
    return f",{unit}" if unit else ""


def _called(run: Run) -> str:
    return run.name if run.model in run.name else f"{run.name} ({run.model})"


def _named(row: tuple[Cell, ...], name: str) -> tuple[Cell, ...]:
    return (Cell(name), *row[1:])


def _shortened(labels: Sequence[str]) -> str:
    rest = len(labels) - SHORTENED
    return ", ".join(labels[:SHORTENED]) + (f" and {rest} more" if rest > 0 else "")


def _unbroken(text: str) -> str:
    """Kept on one line, on paper too."""
    return text.replace(" ", "\u00a0")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
