"""The LU-Net paper: Leclerc et al., a multi-task network to improve the robustness of segmentation.

All of them share its learning strategy (§IV-E); they differ in what they learn.

`python train.py --model lu_net --data camus:PATH`
"""

import dataclasses

from recipes.base import Augmentation, Recipe

PAPER = "Leclerc et al.: LU-Net, a multi-task network to improve the robustness of segmentation"

SEGMENTATION = Recipe(
    name="lu_net_segmentation",
    paper=PAPER + " (§IV-D, items 1 to 3)",
    model="unet1",  # §IV-D item 1; ru_net and ag_unet, items 2 and 3, alike
    classes=("BACKGROUND", "LV", "MYO", "LA"),  # the paper scores LV and MYO; LA is ours, for the hinge points
    input_height=256,  # ASSUMED: the paper is silent; the challenge's network took 256×256
    input_width=256,  # ASSUMED: as the height
    normalise="unit",  # ASSUMED: the paper is silent
    clahe=False,  # ASSUMED: the paper is silent
    augmentation=Augmentation(),  # ASSUMED: the paper names none
    loss="multiclass_dice",  # §IV-E item 2
    optimizer="adam",  # §IV-E item 1
    learning_rate=1e-3,  # §IV-E item 1: either 1e-3 or 1e-4; ASSUMED: which
    schedule="constant",  # ASSUMED: the paper names no schedule
    epochs=200,  # ASSUMED: the paper is silent; early stopping ends the run
    batch_size=8,  # ASSUMED: the paper is silent
    early_stopping_patience=20,  # §IV-E item 1
    monitor="val_loss",  # §IV-E item 1: the best model on the validation loss is kept
    train_share=0.8,  # §IV-A: 8 of 10 folds
    val_share=0.1,  # §IV-A: 1 of 10 folds
    contact_line="subpixel",  # ours: the paper has no hinge points
    largest_component=True,  # ASSUMED: the paper is silent
)

MOTIVATION = dataclasses.replace(
    SEGMENTATION,
    name="lu_net_motivation",
    paper=PAPER + " (§III-A: frames cropped by the reference's box)",
    model="unet1",  # §III-A
    box_structures=("LV", "MYO"),  # §III-A: around the reference masks, which are LV and MYO
    oracle_margin=0.05,  # §III-A: 5, 15 and 30 %; --set oracle_margin=0.15 is BB-m15
)

BOX_ONLY = dataclasses.replace(
    SEGMENTATION,
    name="lu_net_mo",
    paper=PAPER + " (§IV-C: localisation only, mo)",
    model="vgg19_box",  # §IV-C item 2; alexnet_box is item 1, U-L2-mo item 4
    classes=("BACKGROUND", "LV", "MYO"),  # §IV-C item 3: LV and MYO
    loss="box",  # §IV-E item 2: L1 clipped at 0.99, summed over the four edges
    box_structures=("LV", "MYO"),  # §III-B item 1: the box touches the epicardium
    box_margin=0.05,  # §III-B item 1, Table I: 5 %; --set box_margin=0.15 is m15
    learning_rate=1e-4,  # §IV-E item 1: either 1e-3 or 1e-4; ASSUMED: the smaller, for want of batch normalisation
    monitor="val_loss",  # §IV-E item 1: the best model on the validation loss is kept
)

BOX_AND_SEGMENTATION = dataclasses.replace(
    BOX_ONLY,
    name="lu_net_mu",
    paper=PAPER + " (§IV-C: localisation and segmentation, mu)",
    model="u_l2",  # §IV-C item 4; u_l1 is item 3
    loss="box_segmentation",  # §IV-E item 2: weighted sum of the box's L1 and the multi-class Dice
    box_weight=10.0,  # §IV-E item 2
    learning_rate=1e-3,  # §IV-E item 1: either 1e-3 or 1e-4; ASSUMED: which
)

LU_NET = dataclasses.replace(
    SEGMENTATION,
    name="lu_net",
    paper=PAPER + " (§III-B)",
    model="lu_net",  # §IV-D item 4
    classes=("BACKGROUND", "LV", "MYO"),  # §IV-E item 2; a box of LV and MYO shows only a sliver of the LA
    loss="lu_net",  # §III-B item 3, §IV-E item 2: box, first segmentation, and the second inside the predicted box
    box_structures=("LV", "MYO"),  # §III-B item 1; for hinge points --set classes=lv_myo_la box_structures=LV,MYO,LA
    box_margin=0.05,  # §IV-D item 4: 5 % and 15 %; --set box_margin=0.15 is m15
    box_weight=10.0,  # §IV-E item 2
)
