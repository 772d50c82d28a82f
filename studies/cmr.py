"""The cine MR paper: segmentation of both ventricles and the myocardium in short-axis slices (Table 1)."""

from studies.figures import mean_of, median_of
from studies.plan import Column, Network, PaperData, Plan, Row, Stated, Table

STRUCTURES = ("LV", "RV", "MYO")

WCE = Network("dense_unet-wce", "dense_unet", "cmr_wce")  # §2.3
WCE_DICE = Network("dense_unet-wce_dice", "dense_unet", "cmr_wce_dice")  # §2.3 Eq. 3

COLUMNS = tuple(
    column
    for structure in STRUCTURES
    for column in (
        Column(f"dice_{structure}", structure, "Dice", mean_of(structure, "dice"), needs=(structure,)),
        Column(
            f"hausdorff_{structure}",
            structure,
            "HD, mm",
            median_of("hausdorff", structure=structure),
            "mm",
            1,
            (structure,),
        ),
        Column(f"sensitivity_{structure}", structure, "Se", mean_of(structure, "sensitivity"), needs=(structure,)),
    )
)


def stated(*figures: float) -> dict[str, Stated]:
    """The paper's figures of a loss: Dice, HD and Se of LV, of RV and of the myocardium."""
    return dict(zip((column.key for column in COLUMNS), figures, strict=True))


CMR_TABLE1 = Plan(
    name="cmr_table1",
    title="Both ventricles and the myocardium in short-axis cine MR, by two losses",
    paper="Dense U-Net: segmentation of left and right ventricle and myocardium on short-axis cine CMR images",
    data=PaperData("210 studies of three groups of patients, private; 70 % to train, 15 % to validate, 15 % to test"),
    default_data="phantom",
    tables=(
        Table(
            key="table1",
            title="Table 1. Segmentation results, all slices (myocardium around at least 50 % of the LV)",
            columns=COLUMNS,
            rows=(
                Row("WCE", WCE, stated(0.944, 7.2, 0.948, 0.908, 7.3, 0.881, 0.851, 5.9, 0.828)),
                Row("WCE+Dice", WCE_DICE, stated(0.942, 7.4, 0.966, 0.892, 9.3, 0.844, 0.849, 5.8, 0.815)),
                Row(
                    "WCE, 100 % only",
                    None,
                    stated(0.946, 6.2, 0.950, 0.909, 7.1, 0.882, 0.853, 5.4, 0.831),
                    note="Trained and tested without slices where the myocardium does not wholly surround the LV.",
                ),
                Row(
                    "WCE+Dice, 100 % only",
                    None,
                    stated(0.944, 6.5, 0.969, 0.897, 8.2, 0.853, 0.851, 5.5, 0.817),
                    note="Trained and tested without slices where the myocardium does not wholly surround the LV.",
                ),
            ),
            notes=(
                "Dice and Se are means, HD medians. Ours are over slices; the paper does not say whether its own are "
                "over slices or over volumes.",
                "ACDC (--data acdc:PATH) is the public stand-in for the paper's studies. The simulated hearts are "
                "echocardiograms: they show that the study runs, and nothing of cine MR.",
            ),
        ),
    ),
)
