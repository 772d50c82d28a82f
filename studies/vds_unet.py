"""The VDS-UNet paper: results (Table 2) and ablation (Table 4)."""

from studies.figures import mean_of
from studies.plan import Column, Network, PaperData, Plan, Row, Table

CHAMBERS = ("LA", "LV", "MV")


def network(model: str) -> Network:
    """A network of the ablation: all by the same recipe (§4.2)."""
    return Network(model, model, "vds_unet")


VDS_UNET_TABLE4 = Plan(
    name="vds_unet_table4",
    title="VGG16 encoder and deep supervision, one by one and together: LA, LV and MV",
    paper="VDS-UNET: deep learning segmentation of LA, LV and MV for the classification of mitral regurgitation",
    data=PaperData("2183 images of 153 videos of 49 patients in A2C, A3C and A4C, private"),  # §2.1
    default_data="phantom?views=A2C,A3C,A4C",
    tables=(
        Table(
            key="table4",
            title="Table 4. Dice of the ablation",
            columns=tuple(Column(f"dice_{s}", "Dice", s, mean_of(s, "dice"), needs=(s,)) for s in CHAMBERS),
            rows=(
                Row("UNet", network("unet"), {"dice_LA": 0.917, "dice_LV": 0.913, "dice_MV": 0.736}),
                Row("UNet(VGG16)", network("unet_vgg16"), {"dice_LA": 0.917, "dice_LV": 0.909, "dice_MV": 0.726}),
                Row("UNet(ds)", network("unet_ds"), {"dice_LA": 0.93, "dice_LV": 0.909, "dice_MV": 0.72}),
                Row("VDS-UNet", network("vds_unet"), {"dice_LA": 0.935, "dice_LV": 0.915, "dice_MV": 0.757}),
            ),
        ),
        Table(
            key="table2",
            title="Table 2. VDS-UNet",
            columns=(
                Column("pa", "", "PA", mean_of("FRAME", "pixel_accuracy")),
                *(
                    Column(f"{metric}_{s}", name, s, mean_of(s, metric), needs=(s,))
                    for metric, name in (("cpa", "CPA"), ("iou", "IoU"), ("dice", "Dice"))
                    for s in CHAMBERS
                ),
            ),
            rows=(
                Row(
                    "VDS-UNet",
                    network("vds_unet"),
                    {
                        "pa": 0.991,
                        "cpa_LA": 0.934,
                        "cpa_LV": 0.925,
                        "cpa_MV": 0.794,
                        "iou_LA": 0.880,
                        "iou_LV": 0.847,
                        "iou_MV": 0.615,
                        "dice_LA": 0.935,
                        "dice_LV": 0.915,
                        "dice_MV": 0.757,
                    },
                ),
            ),
        ),
    ),
)
