"""The improved ResUNet paper: segmentation of the left ventricle in children's echocardiograms.

One recipe for the three networks of its Table 2. Its text is a scan: what is illegible in it is ASSUMED here.

`python train.py --model improved_resunet --data camus:PATH`
"""

from recipes.base import Augmentation, Recipe

IMPROVED_RESUNET = Recipe(
    name="improved_resunet",
    paper="Improved ResUNet for automatic segmentation of left ventricle in echocardiographic images",
    model="improved_resunet",  # §2.6
    classes=("BACKGROUND", "LV"),  # Table 1: one channel out, the left ventricle
    input_height=256,  # Table 1
    input_width=256,  # Table 1
    normalise="unit",  # ASSUMED: the paper is silent
    clahe=True,  # §2.3, Fig. 6
    clahe_clip_limit=2.0,  # ASSUMED: §2.3 has a limit but no figure
    clahe_tiles=8,  # ASSUMED: §2.3 has small tiles but no number
    augmentation=Augmentation(),  # ASSUMED: the paper names none
    loss="dice_crossentropy",  # §2.4 Eq. 5, with both weights 1
    optimizer="adam",  # §2.6
    learning_rate=1e-4,  # §2.6
    schedule="constant",  # ASSUMED: the paper names no schedule
    epochs=100,  # §2.6; ASSUMED: the number is legible, the words around it are not
    batch_size=8,  # ASSUMED: illegible in §2.6
    early_stopping_patience=None,  # ASSUMED: §2.6 names none
    monitor="val_dice",  # ASSUMED: §2.6 watches Dice and accuracy, and does not say which epoch it reports
    train_share=0.7,  # §2.1: 400 of 500 images; ASSUMED: 50 of them are kept to validate on
    val_share=0.1,  # ASSUMED: the paper has none, see above; the rest is its 100 of 500 test images, §2.1
    contact_line="subpixel",  # ours: the paper has no atrium, hence no contact line
    largest_component=False,  # ASSUMED: the paper names no post-processing
)
