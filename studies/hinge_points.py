"""The hinge-point paper: Dice (Table 1), annulus diameter (Table 2), coordinate errors (Table 3)."""

from postprocessing.calibration import COORDINATES
from studies.figures import mean_of, median_of
from studies.plan import Column, Network, PaperData, Plan, Row, Table

SUBGROUPS = ("A4C-ED", "A4C-ES", "A2C-ED", "A2C-ES")
PREDICTED_MM = (27.9, 24.4, 31.3, 26.3)  # Table 2
REFERENCE_MM = (28.8, 28.3, 31.7, 26.1)  # Table 2

NETWORK = Network("unet_vgg16-lv_la", "unet_vgg16", "hinge_points", ("classes=lv_la",))  # §3.2: background, LV, LA


def _error(axis: str) -> tuple[str, ...]:
    """Errors along an axis, of both points, calibrated as the paper does it: on the frames they are judged on."""
    return tuple(f"{name}_error_calibrated_in_sample" for name in COORDINATES if name.endswith(axis))


HINGE_POINTS = Plan(
    name="hinge_points",
    title="Mitral hinge points and annulus diameter from the contact of LV and LA",
    paper="Schmidt & Overhoff: Estimation of mitral valve hinge point coordinates",
    data=PaperData("CAMUS, 450 patients: 350 to train, 50 to validate, 50 to test", "camus", 350),  # §3.2
    default_data="phantom",
    tables=(
        Table(
            key="table1",
            title="Table 1. Dice of the left ventricle",
            columns=tuple(
                Column(f"dice_LV_{phase}", "", phase, mean_of("LV", "dice", phase=phase), needs=("LV",))
                for phase in ("ED", "ES")
            ),
            rows=(
                Row("proposed", NETWORK, {"dice_LV_ED": 0.931, "dice_LV_ES": 0.915}),
                Row("Leclerc 2019", None, {"dice_LV_ED": 0.939, "dice_LV_ES": 0.916}),
            ),
        ),
        Table(
            key="table2",
            title="Table 2. Median annulus diameter",
            columns=tuple(
                Column(
                    f"{source}_{subgroup}",
                    f"{source}, mm",
                    subgroup,
                    median_of(f"annulus_diameter_{source}", subgroup=subgroup),
                    "mm",
                    1,
                    ("LV", "LA"),
                )
                for source in ("predicted", "reference")
                for subgroup in SUBGROUPS
            ),
            rows=(
                Row(
                    "proposed",
                    NETWORK,
                    {
                        **{f"predicted_{s}": mm for s, mm in zip(SUBGROUPS, PREDICTED_MM, strict=True)},
                        **{f"reference_{s}": mm for s, mm in zip(SUBGROUPS, REFERENCE_MM, strict=True)},
                    },
                ),
            ),
            notes=("Predicted diameters are uncalibrated, as the paper's.",),
        ),
        Table(
            key="table3",
            title="Table 3. Median absolute error of the coordinates over all frames, both points",
            columns=(
                Column("error_col", "", "x, mm", median_of(*_error("_col"), absolute=True), "mm", 2, ("LV", "LA")),
                Column("error_row", "", "y, mm", median_of(*_error("_row"), absolute=True), "mm", 2, ("LV", "LA")),
            ),
            rows=(Row("proposed", NETWORK, {"error_col": 1.35, "error_row": 0.75}),),
            notes=("Calibrated on the frames that are judged, as in the paper; that is optimistic.",),
        ),
    ),
)
