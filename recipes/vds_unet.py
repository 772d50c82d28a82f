"""The VDS-UNet paper: simultaneous segmentation of LA, LV and MV in A2C, A3C and A4C frames.

One recipe for the four networks of its ablation (§4.2: "the hyperparameters … are consistent").

`python train.py --model vds_unet --data labelme:PATH`

Without `--data` it learns from simulated hearts, valve included, in A2C and A4C; `--data "phantom?views=A2C,A3C,A4C"`
has the paper's third view.
"""

from recipes.base import Augmentation, Recipe

VDS_UNET = Recipe(
    name="vds_unet",
    paper="VDS-UNET: segmentation of LA, LV and MV for the classification of mitral regurgitation",
    model="vds_unet",  # §2.2
    classes=("BACKGROUND", "LV", "LA", "MV"),  # §2.3: LA, LV and MV; ASSUMED: a background, which the paper has not
    input_height=256,  # ASSUMED: the paper is silent
    input_width=256,  # ASSUMED: the paper is silent
    normalise="unit",  # ASSUMED: the paper is silent
    clahe=False,  # ASSUMED: the paper is silent
    augmentation=Augmentation(),  # ASSUMED: the paper names none
    loss="weighted_crossentropy",  # §2.3 Eqs. 1-5
    class_weights={
        "BACKGROUND": 1.0,  # ASSUMED: the paper has no background
        "LV": 1.0,  # §2.3 Eq. 4
        "LA": 1.0,  # §2.3 Eq. 4
        "MV": 4.0,  # §2.3 Eq. 4
    },
    optimizer="rmsprop",  # §3.1
    learning_rate=1e-3,  # §3.1
    schedule="constant",  # §3.1: falls on plateaus alone
    epochs=200,  # §3.1
    batch_size=8,  # ASSUMED: the paper is silent
    early_stopping_patience=None,  # §3.1: all 200 epochs
    plateau_patience=10,  # §3.1
    plateau_factor=0.1,  # ASSUMED: the paper is silent; what ReduceLROnPlateau does by default
    plateau_monitor="loss",  # §3.1: "the loss", and Fig. 3 shows that of training
    monitor="val_dice",  # ASSUMED: the paper does not say which epoch it reports; Dice is what its tables compare
    train_share=0.8,  # ASSUMED: the paper is silent
    val_share=0.1,  # ASSUMED: the paper is silent
    contact_line="subpixel",  # ours: the paper has no hinge points
    largest_component=False,  # ASSUMED: the paper is silent, and the two leaflets are two components of the MV
)
