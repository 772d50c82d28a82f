"""The LU-Net paper: Leclerc et al., LU-Net: a multistage attention network. Here its baseline, U-Net1.

`python train.py --model unet1 --data camus:PATH`
"""

from recipes.base import Augmentation, Recipe

UNET1 = Recipe(
    name="lu_net_unet1",
    paper="Leclerc et al.: LU-Net, a multistage attention network (its baseline U-Net1)",
    model="unet1",  # §IV-D item 1
    classes=("BACKGROUND", "LV", "MYO", "LA"),  # the paper scores LV and MYO; LA is ours, for the hinge points
    input_height=256,  # ASSUMED: the paper is silent; the challenge's network took 256×256
    input_width=256,  # ASSUMED: as the height
    normalise="unit",  # ASSUMED: the paper is silent
    clahe=False,  # ASSUMED: the paper is silent
    augmentation=Augmentation(),  # ASSUMED: the paper names none
    loss="multiclass_dice",  # §IV, Loss: multi-class Dice
    optimizer="adam",  # §IV, Optimizer
    learning_rate=1e-3,  # §IV, Optimizer: either 1e-3 or 1e-4
    schedule="constant",  # ASSUMED: the paper names no schedule
    epochs=200,  # ASSUMED: the paper is silent; early stopping ends the run
    batch_size=8,  # ASSUMED: the paper is silent
    early_stopping_patience=20,  # §IV, Optimizer
    monitor="val_loss",  # §IV, Optimizer: the best validation model is kept
    train_share=0.8,  # §IV-A: 8 of 10 folds
    val_share=0.1,  # §IV-A: 1 of 10 folds
    contact_line="subpixel",  # ours: the paper has no hinge points
    largest_component=True,  # ASSUMED: the paper is silent
)
