"""Our recipe of the network for the cart: the project's own with deep supervision, and a teacher where one is given.

`python train.py --model cart_unet --data camus:PATH`; of a stronger run, on its data and its split:
`python train.py --model cart_unet --teacher RUN`.
"""

import dataclasses

from recipes.annulus import ANNULUS

CART = dataclasses.replace(
    ANNULUS,
    name="cart",
    paper="none: the project's own network for the cart (docs/cart_unet.md)",
    model="cart_unet",
    monitor="epoch",  # the rate ends at zero and the weights are averaged; the best of 110 epochs on few frames is luck
    deep_supervision=("decoder_3_conv2_relu", "decoder_2_conv2_relu"),  # Isensee et al. 2021: not the coarsest ones
    distillation_weight=1.0,  # ASSUMED: as much as the labels (Hinton et al. 2015 §2: most of it, without a Dice loss)
    distillation_temperature=2.0,  # ASSUMED: Hinton et al. 2015 §3 took 2.5 to 4 where the student was much smaller
)
