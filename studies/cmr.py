"""The cine MR paper: both ventricles and the myocardium in short-axis slices (Tables 1 and 3)."""

import math
from collections.abc import Callable

from metrics import agreement
from reports.evaluation_folder import Evaluation, Series
from studies.figures import Figure, Measured, bias, correlation, limits
from studies.plan import Column, Network, PaperData, Plan, Row, Stated, Table

STRUCTURES = ("LV", "RV", "MYO")

WCE = Network("dense_unet-wce", "dense_unet", "cmr_wce")  # §2.3
WCE_DICE = Network("dense_unet-wce_dice", "dense_unet", "cmr_wce_dice")  # §2.3 Eq. 3

CLOSED = "basal_100"
"""The paper's second criterion: the myocardium wholly surrounds the LV, or there is none."""


def over(statistic: Callable[[Series], float], structure: str, metric: str, unit: str, *, meeting: str = "") -> Figure:
    """A statistic of a metric over slices, or over volumes where the metric says so.

    Args:
        statistic: of the values.
        structure: of the rows of cases.csv.
        metric: of them.
        unit: of them; NaN where it is another one (px for mm).
        meeting: criterion without whose failures; empty takes all slices.
    """

    def figure(evaluation: Evaluation) -> Measured:
        flags = evaluation.rows_of(meeting, structure="SLICE") if meeting else []
        left_out = {row.case for row in flags if row.value == 0}
        series = evaluation.series(metric, structure=structure, where=lambda row: row.case not in left_out)
        return Measured(statistic(series), n=series.n) if series.unit == unit else Measured(math.nan)

    return figure


def mean(series: Series) -> float:
    """Of the values."""
    return agreement.mean(series.values)


def median(series: Series) -> float:
    """Of the values."""
    return agreement.percentiles(series.values).median


def columns_of(suffix: str, *, meeting: str = "") -> tuple[Column, ...]:
    """Dice, HD and Se of each structure, of the metrics with this suffix."""
    return tuple(
        column
        for structure in STRUCTURES
        for column in (
            Column(
                f"dice_{structure}",
                structure,
                "Dice",
                over(mean, structure, f"dice{suffix}", "ratio", meeting=meeting),
                needs=(structure,),
            ),
            Column(
                f"hausdorff_{structure}",
                structure,
                "HD, mm",
                over(median, structure, f"hausdorff{suffix}", "mm", meeting=meeting),
                "mm",
                1,
                (structure,),
            ),
            Column(
                f"sensitivity_{structure}",
                structure,
                "Se",
                over(mean, structure, f"sensitivity{suffix}", "ratio", meeting=meeting),
                needs=(structure,),
            ),
        )
    )


COLUMNS = columns_of("")


def figures_of(columns: tuple[Column, ...]) -> dict[str, Figure]:
    """How a row takes its figures, by the columns' keys."""
    return {column.key: column.figure for column in columns}


def agreeing(structure: str, quantity: str, compare: Callable[[Series, Series], float]) -> Figure:
    """How a patient's volume or mass agrees with the reference's."""

    def figure(evaluation: Evaluation) -> Measured:
        pair = evaluation.pairs(f"{quantity}_reference", f"{quantity}_predicted", structure=structure)
        return Measured(compare(*pair), n=pair[0].n)

    return figure


def r2(reference: Series, prediction: Series) -> float:
    """Pearson's r squared."""
    return correlation(reference, prediction) ** 2


def two_sd(reference: Series, prediction: Series) -> float:
    """Two standard deviations of the differences."""
    return 2 * limits(reference, prediction) / agreement.LIMITS_OF_AGREEMENT_SD


QUANTITIES = {
    ("LV", "edv"): ("LV EDV", "ml"),
    ("LV", "esv"): ("LV ESV", "ml"),
    ("RV", "edv"): ("RV EDV", "ml"),
    ("RV", "esv"): ("RV ESV", "ml"),
    ("MYO", "mass_ed"): ("Myo mass, ED", "g"),
    ("MYO", "mass_es"): ("Myo mass, ES", "g"),
}
CLINICAL = tuple(
    column
    for (structure, quantity), (group, unit) in QUANTITIES.items()
    for column in (
        Column(f"r2_{structure}_{quantity}", group, "R²", agreeing(structure, quantity, r2), "", 2, (structure,)),
        Column(
            f"bias_{structure}_{quantity}",
            group,
            f"bias, {unit}",
            agreeing(structure, quantity, bias),
            unit,
            0,
            (structure,),
        ),
        Column(
            f"two_sd_{structure}_{quantity}",
            group,
            f"2σ, {unit}",
            agreeing(structure, quantity, two_sd),
            unit,
            0,
            (structure,),
        ),
    )
)


def stated(*figures: float) -> dict[str, Stated]:
    """The paper's figures of a loss: Dice, HD and Se of LV, of RV and of the myocardium."""
    return dict(zip((column.key for column in COLUMNS), figures, strict=True))


def agreed(*figures: float) -> dict[str, Stated]:
    """The paper's R², bias and 2σ of each of `QUANTITIES`."""
    return dict(zip((column.key for column in CLINICAL), figures, strict=True))


PAPERS_ROWS = {
    "WCE": (WCE, stated(0.944, 7.2, 0.948, 0.908, 7.3, 0.881, 0.851, 5.9, 0.828)),
    "WCE+Dice": (WCE_DICE, stated(0.942, 7.4, 0.966, 0.892, 9.3, 0.844, 0.849, 5.8, 0.815)),
}
ONLY_CLOSED = {
    "WCE, 100 % only": (WCE, stated(0.946, 6.2, 0.950, 0.909, 7.1, 0.882, 0.853, 5.4, 0.831)),
    "WCE+Dice, 100 % only": (WCE_DICE, stated(0.944, 6.5, 0.969, 0.897, 8.2, 0.853, 0.851, 5.5, 0.817)),
}
NOTE_CLOSED = (
    "The paper trains and tests without slices where the myocardium does not wholly surround the LV; ours is trained "
    "with all slices and tested without those."
)


STAND_IN = (
    "ACDC (--data acdc:PATH) is the public stand-in for the paper's studies. The simulated hearts are echocardiograms: "
    "they show that the study runs, and nothing of cine MR."
)

CMR_TABLE1 = Plan(
    name="cmr_table1",
    title="Both ventricles and the myocardium in short-axis cine MR, by two losses",
    paper="Dense U-Net: segmentation of left and right ventricle and myocardium on short-axis cine CMR images",
    data=PaperData("210 studies of three groups of patients, private; 70 % to train, 15 % to validate, 15 % to test"),
    default_data="phantom",
    version=2,  # evaluations before had no volumes and no criteria
    tables=(
        Table(
            key="table1",
            title="Table 1. Segmentation results, all slices (myocardium around at least 50 % of the LV)",
            columns=COLUMNS,
            rows=(
                *(Row(name, network, paper) for name, (network, paper) in PAPERS_ROWS.items()),
                *(
                    Row(name, network, paper, NOTE_CLOSED, figures_of(columns_of("", meeting=CLOSED)))
                    for name, (network, paper) in ONLY_CLOSED.items()
                ),
            ),
            notes=(
                "Dice and Se are means, HD medians. Ours are over slices; the paper does not say whether its own are "
                "over slices or over volumes.",
                STAND_IN,
            ),
        ),
        Table(
            key="table1_volumes",
            title="Table 1, ours over volumes: all slices of a phase together, HD in three dimensions",
            columns=columns_of("_volume"),
            rows=(
                *(Row(name, network, paper) for name, (network, paper) in PAPERS_ROWS.items()),
                *(
                    Row(name, network, paper, NOTE_CLOSED, figures_of(columns_of("_volume_100")))
                    for name, (network, paper) in ONLY_CLOSED.items()
                ),
            ),
            notes=("Dice and Se are means over volumes, HD medians.", STAND_IN),
        ),
        Table(
            key="table3",
            title="Table 3. Volumes and myocardial mass against the reference's",
            columns=CLINICAL,
            rows=(
                Row(
                    "FCN",
                    WCE,
                    agreed(0.99, -1, 12, 0.98, -1, 14, 0.99, 6, 12, 0.95, 6, 14, 0.92, 6, 26, 0.92, 5, 26),
                ),
                Row(
                    "FCN+corr",
                    None,
                    agreed(0.99, -2, 13, 0.98, -2, 14, 0.98, 4, 14, 0.96, 7, 12, 0.92, 7, 26, 0.91, 6, 28),
                    note="After a physician's correction: `evaluate.py --corrected` has our column of it.",
                ),
            ),
            notes=("R²: Pearson's r squared. Bias: mean of predicted − reference.", STAND_IN),
        ),
    ),
)
