"""The LU-Net paper: localisation (Table I), segmentation (Tables II to IV) and its motivation study (Table II)."""

from studies.figures import (
    Figure,
    Patients,
    absolute_error,
    bias,
    correlation,
    everyone,
    in_percent,
    limits,
    mean_of,
    not_measured,
    of_volumes,
    outliers_of,
    poor_images,
    share_of,
)
from studies.plan import Column, Network, PaperData, Plan, Row, Stated, Table

PAPER = "Leclerc et al.: LU-Net, a multi-task network to improve the robustness of segmentation"
DATA = PaperData("CAMUS, 500 patients in ten folds: 400 to train, 50 to validate, 50 to test", "camus", 400)  # §IV-A
FOLDS = tuple(range(1, 11))  # §IV-A
GOOD_AND_MEDIUM = "Patients with an image of poor quality are left out where the quality is known (§V-B)."
OUTLIERS = (
    "Outliers: shares of images, as the paper counts (240 of the 2000 of 500 patients are its 12 %); anatomical by "
    "simplicity and convexity alone. Its bounds are its observers' and not in its text; ours are in bounds.json of "
    "each evaluation (docs/outliers.md)."
)
LA_LEFT_OUT = "classes=lv_myo"  # §IV-E item 2: the paper's networks have LV and MYO; LA is our recipe's


def segmentation(model: str, margin: str = "") -> Network:
    """A network of §IV-D, of the paper's two structures; LU-Net with the margin of its box in per cent."""
    if not margin:
        return Network(model, model, "lu_net_segmentation", (LA_LEFT_OUT,))
    return Network(f"{model}-m{margin}", model, model, (f"box_margin={int(margin) / 100:g}",))


def localiser(model: str, how: str, margin: str) -> Network:
    """A network of §IV-C, trained `mo` (box only) or `mu` (box and segmentation)."""
    return Network(f"{model}-{how}-m{margin}", model, f"lu_net_{how}", (f"box_margin={int(margin) / 100:g}",))


def oracle(margin: str) -> Network:
    """U-Net1 inside the reference's own box, §III-A."""
    settings = (LA_LEFT_OUT, f"oracle_margin={int(margin) / 100:g}")
    return Network(f"unet1-oracle-m{margin}", "unet1", "lu_net_motivation", settings)


def contour_columns(without: Patients, *, dice: bool, suffix: str = "") -> tuple[Column, ...]:
    """Dice, d_m and d_H of endocardium and epicardium; with the suffix `_first` by the first of two networks."""
    columns: list[Column] = []
    for key, structure, needs in (("endo", "LV", ("LV",)), ("epi", "EPI", ("LV", "MYO"))):
        if dice:
            columns.append(
                Column(f"{key}_dice", key, "Dice", mean_of(structure, f"dice{suffix}", without=without), needs=needs)
            )
        for name, metric in (("d_m", "mean_absolute_distance"), ("d_H", "hausdorff")):
            figure = mean_of(structure, metric + suffix, unit="mm", without=without)
            columns.append(Column(f"{key}_{name}", key, f"{name}, mm", figure, "mm", 1, needs))
    return tuple(columns)


def outlier_column(key: str, kind: str, *, without: Patients) -> Column:
    """The share of images that are outliers of a kind."""
    figure = in_percent(outliers_of(kind, without=without))
    return Column(key, "outliers, %", key, figure, "%", 0, ("LV", "MYO"))


def contours(*figures: Stated, geo: float | None = None) -> dict[str, Stated]:
    """The paper's figures of a row of Table II, in its order; of outliers, where our copy has it."""
    keys = ("endo_dice", "endo_d_m", "endo_d_H", "epi_dice", "epi_d_m", "epi_d_H")
    return {**dict(zip(keys, figures, strict=True)), **({} if geo is None else {"geo": geo})}


def distances(*figures: Stated) -> dict[str, Stated]:
    """The paper's figures of a row of Table IV, in its order."""
    keys = ("endo_d_m", "endo_d_H", "epi_d_m", "epi_d_H", "geo", "ana", "both")
    return dict(zip(keys, figures, strict=True))


TABLE_II_COLUMNS = (
    *contour_columns(poor_images, dice=True),
    outlier_column("geo", "geometric", without=poor_images),
)
TABLE_IV_COLUMNS = (
    *contour_columns(everyone, dice=False),
    outlier_column("geo", "geometric", without=everyone),
    outlier_column("ana", "anatomical_shape", without=everyone),
    outlier_column("both", "both_shape", without=everyone),
)

INTRA_OBSERVER = Row(
    "intra-observer",
    None,
    contours((0.937, 0.027), (1.4, 0.5), (4.5, 1.8), (0.954, 0.020), (1.7, 0.8), (5.0, 2.2), geo=13),
)
UNET1 = Row(
    "U-Net1",
    segmentation("unet1"),
    contours((0.920, 0.056), (1.7, 1.2), (5.6, 3.3), (0.947, 0.030), (1.9, 1.1), (6.2, 3.7)),
    note="The paper's share of outliers of U-Net1 is cut off in our copy.",
)


def box_error(name: str) -> Figure:
    """The mean absolute error of the box's centre or side."""
    return mean_of("BOX", f"box_{name}_error", unit="mm", absolute=True)


BOX_COLUMNS = (
    Column("iou", "", "IOU", mean_of("BOX", "box_iou")),
    Column("x_c", "Error, mm", "x_c", box_error("col_centre"), "mm", 1),
    Column("y_c", "Error, mm", "y_c", box_error("row_centre"), "mm", 1),
    Column("h", "Error, mm", "h", box_error("height"), "mm", 1),
    Column("w", "Error, mm", "w", box_error("width"), "mm", 1),
    Column("out", "", "BB out, %", in_percent(share_of("BOX", "box_out")), "%", 0),
)


def box(*figures: Stated) -> dict[str, Stated]:
    """The paper's figures of a row of Table I, in its order; §V-D has no BB out."""
    return {column.key: figure for column, figure in zip(BOX_COLUMNS, figures, strict=False)}


LU_NET_TABLE1 = Plan(
    name="lu_net_table1",
    title="Localisers: box only (mo) and box with segmentation (mu), margins 5 % and 15 %",
    paper=PAPER,
    data=DATA,
    default_data="phantom",
    folds=FOLDS,
    tables=(
        Table(
            key="table1",
            title="Table I. Localisation accuracy",
            columns=BOX_COLUMNS,
            rows=(
                Row(
                    "AlexNet-m5",
                    localiser("alexnet_box", "mo", "5"),
                    box((0.880, 0.062), (2.2, 2.4), (1.9, 1.8), (4.2, 4.1), (4.1, 4.1), 43),
                ),
                Row(
                    "VGG-m5",
                    localiser("vgg19_box", "mo", "5"),
                    box((0.888, 0.060), (1.9, 2.4), (1.7, 1.7), (4.0, 3.9), (4.0, 3.7), 45),
                ),
                Row(
                    "U-L1-m5",
                    localiser("u_l1", "mu", "5"),
                    box((0.849, 0.072), (3.1, 2.9), (2.7, 2.4), (5.3, 4.5), (4.9, 4.3), 55),
                ),
                Row(
                    "U-L2-mo-m5",
                    localiser("u_l2", "mo", "5"),
                    box((0.791, 0.138), (4.2, 4.7), (4.4, 6.0), (7.1, 6.4), (6.9, 6.7), 70),
                ),
                Row(
                    "U-L2-mu-m5",
                    localiser("u_l2", "mu", "5"),
                    box((0.898, 0.053), (1.6, 1.8), (1.9, 1.9), (3.2, 3.1), (3.6, 3.2), 36),
                ),
                Row(
                    "U-L2-mu-m15",
                    localiser("u_l2", "mu", "15"),
                    box((0.907, 0.054), (1.6, 2.0), (1.7, 1.7), (3.7, 4.0), (4.3, 4.3), 2),
                ),
            ),
        ),
    ),
)

LU_NET_MOTIVATION = Plan(
    name="lu_net_motivation",
    title="What a box would bring: U-Net1 inside the reference's own box, margins 5, 15 and 30 %",
    paper=PAPER,
    data=DATA,
    default_data="phantom",
    folds=FOLDS,
    tables=(
        Table(
            key="table2-motivation",
            title="Table II, motivation study",
            columns=TABLE_II_COLUMNS,
            rows=(
                INTRA_OBSERVER,
                Row(
                    "BB-m5",
                    oracle("5"),
                    contours((0.941, 0.034), (1.3, 0.6), (4.3, 1.9), (0.971, 0.011), (1.0, 0.4), (4.1, 1.8), geo=5.5),
                ),
                Row(
                    "BB-m15",
                    oracle("15"),
                    contours((0.940, 0.034), (1.3, 0.6), (4.4, 1.9), (0.969, 0.011), (1.1, 0.4), (4.3, 2.0), geo=6.5),
                ),
                Row(
                    "BB-m30",
                    oracle("30"),
                    contours((0.937, 0.035), (1.4, 0.6), (4.7, 2.1), (0.966, 0.013), (1.2, 0.5), (4.6, 2.2), geo=7.6),
                ),
                UNET1,
            ),
            notes=(GOOD_AND_MEDIUM, OUTLIERS),
        ),
    ),
)

CLINICAL = {"edv": "EDV, ml", "esv": "ESV, ml", "ef": "EF, %"}
CLINICAL_COLUMNS = tuple(
    Column(
        f"{quantity}_{name}",
        heading,
        name,
        of_volumes(quantity, compare, without=poor_images),
        "" if name == "r" else heading.rpartition(" ")[2],
        3 if name == "r" else 1,
        ("LV",),
    )
    for quantity, heading in CLINICAL.items()
    for name, compare in (("r", correlation), ("bias", bias), ("loa", limits), ("mae", absolute_error))
)


def clinical(*figures: float) -> dict[str, Stated]:
    """The paper's figures of a row of Table III, in its order."""
    return dict(zip((column.key for column in CLINICAL_COLUMNS), figures, strict=True))


LU_NET_M5 = segmentation("lu_net", "5")
LU_NET_M15 = segmentation("lu_net", "15")

LU_NET_TABLE2 = Plan(
    name="lu_net_table2",
    title="Segmentation networks: endo- and epicardium, volumes and ejection fraction",
    paper=PAPER,
    data=DATA,
    default_data="phantom",
    folds=FOLDS,
    tables=(
        Table(
            key="table2",
            title="Table II. Segmentation accuracy",
            columns=TABLE_II_COLUMNS,
            rows=(
                INTRA_OBSERVER,
                UNET1,
                Row(
                    "RU-Net",
                    segmentation("ru_net"),
                    contours((0.925, 0.049), (1.7, 1.0), (5.4, 3.3), (0.950, 0.030), (1.8, 1.1), (5.8, 3.9), geo=15),
                ),
                Row(
                    "AG-U-Net",
                    segmentation("ag_unet"),
                    contours((0.930, 0.049), (1.5, 1.3), (5.3, 3.4), (0.950, 0.026), (1.8, 1.0), (5.9, 3.7), geo=17),
                ),
                Row(
                    "LU-Net-m5",
                    LU_NET_M5,
                    contours(0.932, 1.7, 5.5, 0.953, 1.5, 5.1, geo=11),
                    note="The two Dice figures of LU-Net-m5 stand exchanged in our copy of the paper; ordered by §V-B.",
                ),
                Row(
                    "LU-Net-m15",
                    LU_NET_M15,
                    {"epi_dice": 0.952},
                    note="The row of LU-Net-m15 is scrambled in our copy of the paper; only one figure is certain.",
                ),
            ),
            notes=(GOOD_AND_MEDIUM, OUTLIERS),
        ),
        Table(
            key="table3",
            title="Table III. Volumes and ejection fraction, two views",
            columns=CLINICAL_COLUMNS,
            rows=(
                Row(
                    "intra-observer",
                    None,
                    clinical(0.978, -2.8, 14.3, 6.2, 0.981, -0.1, 11.4, 4.5, 0.896, -2.3, 11.2, 4.5),
                ),
                Row(
                    "U-Net1",
                    segmentation("unet1"),
                    clinical(0.947, -8.3, 24.7, 10.9, 0.955, -4.9, 19.4, 8.2, 0.791, -0.5, 15.1, 5.6),
                ),
                Row(
                    "RU-Net",
                    segmentation("ru_net"),
                    clinical(0.946, -1.2, 23.9, 8.9, 0.949, 0.3, 19.6, 7.3, 0.704, -2.1, 14.3, 6.0),
                ),
                Row(
                    "AG-U-Net",
                    segmentation("ag_unet"),
                    clinical(0.956, -1.4, 21.9, 8.1, 0.962, 0.6, 17.0, 6.2, 0.798, -2.2, 15.1, 5.5),
                ),
                Row(
                    "LU-Net-m5",
                    LU_NET_M5,
                    clinical(0.956, 1.4, 21.8, 8.3, 0.956, 1.6, 18.0, 7.0, 0.829, -1.5, 13.5, 5.0),
                ),
                Row(
                    "LU-Net-m15",
                    LU_NET_M15,
                    clinical(0.952, 2.4, 22.9, 8.1, 0.962, 1.8, 16.7, 6.5, 0.821, -1.2, 13.7, 5.0),
                ),
            ),
            notes=(GOOD_AND_MEDIUM,),
        ),
        Table(
            key="table4",
            title="Table IV. Segmentation accuracy, patients with poor images among them",
            columns=TABLE_IV_COLUMNS,
            rows=(
                Row(
                    "U-Net1",
                    segmentation("unet1"),
                    distances((2.0, 1.2), (6.1, 3.9), (2.0, 1.1), (6.5, 4.5), 21, 5, 4),
                ),
                Row(
                    "LU-Net-m5-o1",
                    LU_NET_M5,
                    distances((2.1, 1.1), (7.0, 4.7), (1.9, 1.0), (6.2, 3.4), 24, 10, 7),
                    figures={
                        **{c.key: c.figure for c in contour_columns(everyone, dice=False, suffix="_first")},
                        **dict.fromkeys(("geo", "ana", "both"), not_measured),  # judged on the last segmentation alone
                    },
                ),
                Row(
                    "LU-Net-m5-o2",
                    LU_NET_M5,
                    distances((1.8, 1.0), (5.7, 3.6), (1.6, 0.9), (5.3, 3.3), 12, 2, 1),
                ),
            ),
            notes=(
                OUTLIERS,
                "o1: the first of its two networks, which proposes the box; o2: the second, inside it.",
            ),
        ),
        Table(
            key="localisation",
            title="§V-D. Localisation by LU-Net",
            columns=BOX_COLUMNS,
            rows=(Row("LU-Net-m5", LU_NET_M5, box(0.906, 1.5, 1.5, 3.3, 3.5)), Row("LU-Net-m15", LU_NET_M15, {})),
        ),
    ),
)
