"""The improved ResUNet paper: its comparison (Table 2)."""

from studies.figures import in_percent, mean_of
from studies.plan import Column, Network, PaperData, Plan, Row, Table

IMPROVED_RESUNET_TABLE2 = Plan(
    name="improved_resunet_table2",
    title="U-Net, ResUNet and the improved ResUNet: the left ventricle",
    paper="Improved ResUNet for automatic segmentation of left ventricle in echocardiographic images",
    data=PaperData("500 images of children, private; 400 to train, 100 to test"),  # §2.1
    default_data="phantom",
    tables=(
        Table(
            key="table2",
            title="Table 2. Comparison of results from different segmentation methods",
            columns=(
                Column("dice_LV", "", "Dice, %", in_percent(mean_of("LV", "dice")), "%", 2, ("LV",)),
                Column(
                    "accuracy_LV", "", "Accuracy, %", in_percent(mean_of("FRAME", "pixel_accuracy")), "%", 2, ("LV",)
                ),
            ),
            rows=(
                Row("U-Net", Network("unet-lv", "unet", "improved_resunet"), {"dice_LV": 87.35, "accuracy_LV": 97.36}),
                Row(
                    "ResUNet",
                    Network("resunet", "resunet", "improved_resunet"),
                    {"dice_LV": 90.67, "accuracy_LV": 97.82},
                ),
                Row(
                    "Improved ResUNet",
                    Network("improved_resunet", "improved_resunet", "improved_resunet"),
                    {"dice_LV": 92.38, "accuracy_LV": 98.73},
                ),
            ),
        ),
    ),
)
