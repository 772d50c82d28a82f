"""The cine MR paper: segmentation of both ventricles and the myocardium in short-axis slices.

Its two losses. Its 210 studies are private; ACDC is the public stand-in.

`python train.py --model dense_unet --data acdc:PATH`
"""

import dataclasses

from recipes.base import Augmentation, Recipe

PAPER = "Dense U-Net: segmentation of left and right ventricle and myocardium in short-axis cine MR"

CMR_WCE = Recipe(
    name="cmr_wce",
    paper=PAPER + " (WCE)",
    model="dense_unet",  # §2.2
    classes=("BACKGROUND", "LV", "MYO", "RV"),  # §2.1, Table 1
    input_height=176,  # §2.3
    input_width=176,  # §2.3
    crop_mm=200.0,  # ASSUMED: §2.3 crops and does not say how; holds every heart of 79 ACDC patients (docs/data.md)
    normalise="unit",  # §2.3: [0, 1]
    clahe=False,  # ASSUMED: the paper is silent
    augmentation=Augmentation(  # §2.3
        rotation_degrees=15.0,  # §2.3
        gamma=0.3,  # §2.3: gamma correction; ASSUMED: how much
        blur_px=1.0,  # §2.3: blurring; ASSUMED: how much
    ),
    loss="weighted_crossentropy",  # §2.3
    # ASSUMED: §2.3 says that weights balance the classes and not how. One over the square root of a class's share of
    # the pixels that the network sees, such that a pixel weighs 1 in the mean: whole inverse shares (24 to 1) outline
    # too much. From `python -m data_pipeline.class_shares acdc:PATH --structures LV MYO RV --crop-mm 200`, 79 patients.
    class_weights={
        "BACKGROUND": 0.70,  # ASSUMED: as said above; its share is .889
        "LV": 3.39,  # ASSUMED: as said above; .038
        "MYO": 3.40,  # ASSUMED: as said above; .037
        "RV": 3.47,  # ASSUMED: as said above; .036
    },
    optimizer="adam",  # ASSUMED: the paper is silent
    learning_rate=1e-3,  # ASSUMED: the paper is silent
    schedule="cosine",  # ASSUMED: the paper is silent
    epochs=100,  # ASSUMED: the paper is silent
    batch_size=8,  # ASSUMED: the paper is silent
    early_stopping_patience=None,  # ASSUMED: §2.3 picks the best of the epochs and does not say how many
    monitor="val_dice",  # §2.3: the highest Dice on the validation set
    train_share=0.7,  # §2.3
    val_share=0.15,  # §2.3; the other 15 % are the test set
    contact_line="subpixel",  # ours: the paper has no atrium, hence no contact line
    largest_component=False,  # ASSUMED: the paper names no post-processing
)

CMR_WCE_DICE = dataclasses.replace(
    CMR_WCE,
    name="cmr_wce_dice",
    paper=PAPER + " (WCE+Dice)",
    loss="weighted_crossentropy_dice",  # §2.3 Eq. 3: WCE + 0.2 · Dice loss
)
