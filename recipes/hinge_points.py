"""The hinge-point paper: Schmidt & Overhoff, Estimation of mitral valve hinge point coordinates.

`python train.py --model unet_vgg16 --data camus:PATH`
"""

from recipes.base import Augmentation, Recipe

HINGE_POINTS = Recipe(
    name="hinge_points",
    paper="Schmidt & Overhoff: Estimation of mitral valve hinge point coordinates",
    model="unet_vgg16",  # §3.2
    classes=("BACKGROUND", "LV", "MYO", "LA"),  # §3.2 has no MYO; ours by default, `--set classes=lv_la` is the paper's
    input_height=256,  # ASSUMED: the paper is silent
    input_width=256,  # ASSUMED: the paper is silent
    normalise="unit",  # ASSUMED: the paper is silent
    clahe=False,  # §3.1: no further preprocessing
    augmentation=Augmentation(),  # §3.2: no data augmentation
    loss="categorical_crossentropy",  # §3.2
    optimizer="adam",  # §3.2
    learning_rate=1e-3,  # §3.2
    schedule="constant",  # ASSUMED: the paper names no schedule
    epochs=50,  # §3.2
    batch_size=8,  # ASSUMED: the paper is silent
    early_stopping_patience=None,  # §3.2: all 50 epochs
    monitor="val_dice",  # ASSUMED: §3.2 watches the validation accuracy
    train_share=350 / 450,  # §3.2: 350 of 450 patients
    val_share=50 / 450,  # §3.2: 50 of 450; the other 50 are the test set
    contact_line="pixel",  # §3.3: the contact line of the label map
    largest_component=False,  # §4.1: no connected component analysis
)
