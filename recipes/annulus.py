"""Our own recipes: what we found to work best, measured in docs/RESULTS.md. They follow no single paper.

`python train.py --model unet1 --recipe annulus --data camus:PATH`
"""

from recipes.base import Augmentation, Recipe

ANNULUS = Recipe(
    name="annulus",
    paper="none: the project's own recipe",
    model="unet1",
    augmentation=Augmentation(
        rotation_degrees=15.0,
        scale=0.15,
        translation=0.08,
        elastic_px=3.0,
        gamma=0.3,
        brightness=0.1,
        contrast=0.2,
        blur_px=0.8,
        noise=0.04,
        sector_shadow=0.15,
    ),
    loss="dice_crossentropy",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=2,
    epochs=80,
    batch_size=8,
    monitor="val_dice",
    weight_average=0.99,
    train_share=0.72,
    val_share=0.12,
    contact_line="subpixel",
    largest_component=True,
)

DEMO = Recipe(
    name="demo",
    paper="none: a short run for `make demo`, minutes on two cores",
    model="unet1",
    input_height=192,
    input_width=192,
    augmentation=Augmentation(rotation_degrees=10.0, scale=0.1, translation=0.05, gamma=0.2),
    loss="dice_crossentropy",
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=1,
    epochs=12,
    batch_size=8,
    monitor="val_dice",
    train_share=0.75,
    val_share=0.12,
    contact_line="subpixel",
    largest_component=True,
)
