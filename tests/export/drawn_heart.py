"""A drawn heart, a network that segments it exactly, and runs and bundles made of the two: for export, cart, predict.

The heart is painted on the network's 64 × 64 grid, one grey level per structure, and every network pixel becomes
2 × 3 native pixels of 0.5 × 0.3 mm (row, col), so preprocessing gives the painting back exactly. The network scores
each class by the squared distance of the pixel from the class's grey level, which is linear in the pixel but for a term
that all classes share: one 1 × 1 convolution.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt
import pytest

from cart.measure import MeasurementSpec
from data_pipeline.preprocess import Preprocessing, preprocess_image
from data_pipeline.readers.nifti import write_nifti
from data_pipeline.sample import Phase, Sample, Structure, View
from data_pipeline.splits import Split
from export.bundle import measurement_spec, write_bundle
from export.parity import ParityFrames, outputs_of
from export.source import ExportSource
from postprocessing.calibration import Calibration
from recipes.base import Recipe
from training.run_folder import Run, preprocessing_of

GRID = 64
BLOCK = (2, 3)
SPACING_MM = (0.5, 0.3)
GREY = {Structure.BACKGROUND: 0, Structure.LV: 80, Structure.MYO: 240, Structure.LA: 160}
CLASSES = ("BACKGROUND", "LV", "MYO", "LA")
CONTACT_ROW = 36  # first network row of the LA
CONTACT_COLS = (24, 40)  # network columns [24, 40) of the contact

# Worked by hand: LV row 35 and LA row 36 meet at the upper edge of network row 36, native row 36·2 − 1/2; the contact
# runs from the left edge of column 24 to the right edge of column 39, native columns 24·3 − 1/2 and 40·3 − 1/2.
CONTACT_ROW_NATIVE = 36 * 2 - 0.5
CONTACT_ENDS_NATIVE = (24 * 3 - 0.5, 40 * 3 - 0.5)
DIAMETER_MM = 16 * 3 * 0.3

BIAS_MM = (0.5, 0.3, -1.0, 0.6)
CALIBRATION = Calibration(bias={"all": BIAS_MM}, n={"all": 9}, unit="mm", fitted_on="validation")
RECIPE = Recipe(name="drawn", paper="none", model="unet1", classes=CLASSES, input_height=GRID, input_width=GRID)
LOCALISER_RECIPE = replace(RECIPE, model="u_l1", classes=CLASSES[:3], loss="box", box_margin=0.0)

BOX = (8, CONTACT_ROW, 20, 44)
"""Of LV and MYO on the network's grid: (row_min, row_max, col_min, col_max), pixel edges."""
BOX_NATIVE = (16, 72, 60, 132)


def heart_labels(*, contact: bool = True) -> npt.NDArray[np.uint8]:
    """(64, 64) structure codes on the network's grid: LV in its myocardium above the LA."""
    labels = np.zeros((GRID, GRID), np.uint8)
    first, end = CONTACT_COLS
    labels[8:CONTACT_ROW, first - 4 : end + 4] = Structure.MYO
    labels[12:CONTACT_ROW, first:end] = Structure.LV
    labels[CONTACT_ROW if contact else CONTACT_ROW + 6 : 52, first:end] = Structure.LA
    return labels


def heart_image(*, contact: bool = True) -> npt.NDArray[np.float32]:
    """(128, 192) the drawn heart on its native grid, 0..255."""
    levels = np.zeros(max(GREY) + 1, np.float32)
    for structure, level in GREY.items():
        levels[structure] = level
    return np.kron(levels[heart_labels(contact=contact)], np.ones(BLOCK, np.float32))


def heart_network(sharpness: float = 200.0) -> keras.Model:
    """(n, 64, 64, 1) → (n, 64, 64, 4): each pixel's class by its grey level."""
    inputs = keras.Input((GRID, GRID, 1))
    scores = keras.layers.Conv2D(len(CLASSES), 1)
    model = keras.Model(inputs, keras.layers.Softmax()(scores(inputs)), name="grey_levels")
    levels = np.array([GREY[Structure[name]] / 255 for name in CLASSES], np.float32)
    scores.set_weights([2 * sharpness * levels.reshape(1, 1, 1, -1), -sharpness * levels**2])
    return model


def heart_localiser() -> keras.Model:
    """(n, 64, 64, 1) → the box of LV and MYO, whatever the image."""
    inputs = keras.Input((GRID, GRID, 1), name="image")
    box = keras.layers.Dense(4, kernel_initializer="zeros")
    model = keras.Model(inputs, {"box": box(keras.layers.Flatten()(inputs))}, name="always_there")
    kernel, _ = box.get_weights()
    box.set_weights([kernel, np.array(BOX, np.float32) / GRID])
    return model


def source_of(network: keras.Model, images: npt.NDArray[np.float32] | None = None) -> ExportSource:
    """Any network on its way out; calibrated on `images` (n, h, w, 1), by default on random ones."""
    if images is None:
        images = np.random.default_rng(1).random((4, *network.input_shape[1:]), dtype=np.float32)
    spec = replace(heart_spec(), preprocessing=Preprocessing(*network.input_shape[1:3]))
    return ExportSource(network, spec, lambda: (image[np.newaxis] for image in images), lambda: "random images")


def heart_sample(*, contact: bool = True, view: View | None = View.A4C) -> Sample:
    image = heart_image(contact=contact)
    return Sample(image, None, SPACING_MM, "patient0001", view, Phase.ED, "drawn")


def heart_run(
    folder: Path,
    *,
    calibration: Calibration | None = CALIBRATION,
    recipe: Recipe = RECIPE,
    network: Callable[[], keras.Model] = heart_network,
) -> Run:
    return Run(
        folder=folder,
        recipe=recipe,
        model=network(),
        structures=tuple(Structure[name] for name in recipe.classes),
        preprocessing=preprocessing_of(recipe),
        split=Split((), (), (), "none"),
        calibration=calibration,
        data_spec="phantom",
    )


def heart_frames() -> ParityFrames:
    return ParityFrames((heart_sample(), heart_sample(contact=False), heart_sample(view=None)), "drawn hearts")


def heart_images() -> npt.NDArray[np.float32]:
    """(3, 64, 64, 1) the frames as the network sees them."""
    preprocessing = Preprocessing(GRID, GRID)
    return np.stack([preprocess_image(sample.image, preprocessing)[..., None] for sample in heart_frames().samples])


def localiser_run(folder: Path) -> Run:
    return heart_run(folder, calibration=None, recipe=LOCALISER_RECIPE, network=heart_localiser)


def write_heart_bundle(folder: Path, format_name: str, make_run: Callable[[Path], Run] = heart_run) -> Path:
    run = make_run(folder)
    spec, frames = measurement_spec(run), heart_frames()
    write_bundle(
        run,
        format_name,
        folder,
        frames=frames,
        reference=outputs_of(run.predict, frames, spec, "reference"),
        source=replace(source_of(run.model, heart_images()), spec=spec),
    )
    return folder


def write_heart_nifti(path: Path, *, contact: bool = True, labels: bool = False) -> Path:
    """The drawn heart, or (CAMUS codes are ours for these structures) its label map, as CAMUS has it."""
    drawn = np.kron(heart_labels(), np.ones(BLOCK, np.uint8)) if labels else heart_image(contact=contact)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(path, drawn.astype(np.uint8), SPACING_MM)
    return path


def heart_spec(calibration: Calibration | None = CALIBRATION) -> MeasurementSpec:
    return MeasurementSpec(
        structures=tuple(Structure[name] for name in CLASSES),
        preprocessing=Preprocessing(GRID, GRID),
        contact_line="subpixel",
        largest_component=True,
        anterior_sides={"A4C": "left", "A3C": "right"},
        calibration=calibration,
    )


@pytest.fixture(scope="session")
def tflite_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("bundles") / "tflite-float32", "tflite-float32")


@pytest.fixture(scope="session")
def int8_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("bundles") / "tflite-int8", "tflite-int8")


@pytest.fixture(scope="session")
def integer_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("bundles") / "tflite-int8-integer", "tflite-int8-integer")


@pytest.fixture(scope="session")
def saved_model_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("bundles") / "saved_model", "saved_model")


@pytest.fixture(scope="session")
def localiser_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_heart_bundle(tmp_path_factory.mktemp("boxes") / "tflite-float32", "tflite-float32", localiser_run)
