"""Bundles: a trained network, how its output is measured, and the proof that it survived its export, in one folder."""

import difflib
import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cart.bundle import BUNDLE_FILE, FORMAT_VERSION, PARITY_FILE, BundleSpec, digest_of, read_bundle
from cart.engines import load_runner
from cart.measure import BOX, FIRST_PROBABILITIES, BoxSpec, MeasurementSpec, Outputs, Predictor
from data_pipeline.preprocess import preprocess_image
from data_pipeline.sample import structures_from_names
from export.onnx import export_onnx
from export.parity import (
    EXACT,
    EXACT_AFTER_CROP,
    Limits,
    ParityFrames,
    calibration_frames,
    limits_report,
    outputs_of,
    parity_report,
    region_of,
    require_parity,
    share_of_limits,
)
from export.quantise import export_tflite_int8, export_tflite_int8_integer
from export.saved_model import SavedModelRunner, describe_signatures, export_saved_model
from export.source import QUANTISATION_FILE, Exporter, ExportSource
from export.tflite import export_tflite_dynamic, export_tflite_float16, export_tflite_float32
from postprocessing.hinge_points import ANTERIOR_SIDE
from recipes.base import to_dict
from shell.errors import UsageError, UserError
from shell.files import atomic_folder, read_json, sha256_of, write_json

if TYPE_CHECKING:
    from training.run_folder import Run

CALIBRATION_FRAMES = 100
"""Training frames that integer formats are calibrated on, unless told otherwise. ASSUMED: of a unet1 trained on CAMUS,
50 and 100 cost the same within 0.0003 Dice and 0.01 mm."""
TRIAL_FRAMES = 24
"""Training frames on which it is tried which layers int8 harms. ASSUMED."""

EXPORTERS: dict[str, Exporter] = {
    "saved_model": export_saved_model,
    "tflite-float32": export_tflite_float32,
    "tflite-float16": export_tflite_float16,
    "tflite-dynamic": export_tflite_dynamic,
    "tflite-int8": export_tflite_int8,
    "tflite-int8-integer": export_tflite_int8_integer,
    "onnx": export_onnx,
}
"""Format → (source, folder) → name of the artefact written there."""

LOADERS: dict[str, Callable[[BundleSpec], Predictor]] = {
    "saved_model": lambda spec: SavedModelRunner(spec.artefact),
    "tflite-float32": load_runner,
    "tflite-float16": load_runner,
    "tflite-dynamic": load_runner,
    "tflite-int8": load_runner,
    "tflite-int8-integer": load_runner,
    "onnx": load_runner,
}
"""Format → checked bundle → its network."""

INT8 = Limits(dice_loss=0.005, hinge_shift_mm=0.3, box_shift=0.005)
LIMITS: dict[str, Limits] = {
    "tflite-float16": Limits(dice_loss=0.001, hinge_shift_mm=0.05, box_shift=0.001),
    "tflite-dynamic": INT8,
    "tflite-int8": INT8,
    "tflite-int8-integer": INT8,
}
"""Format → what it may cost; every other one computes in float32 and is `EXACT`. An artefact beyond `output` is not
written; one beyond the others is, its parity.json says `within_limits: false`, and so does the program."""
INPUT_DTYPES = {"tflite-int8-integer": "int8"}
"""Format → type of the artefact's input, where it is not float32."""
ALL = "all"
"""As a format: every one."""


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle ready to predict: `bundle(images)` maps (n, h, w, 1) float32 to the network's outputs by name."""

    spec: BundleSpec
    predictor: Predictor

    def __call__(self, images: npt.NDArray[np.float32]) -> Outputs:
        """What the network gives for preprocessed images."""
        return self.predictor(images)


def load_predictor(folder: Path) -> LoadedBundle:
    """Checks a bundle and loads its network.

    Raises:
        UserError: not a bundle, changed since it was written, or of a format or version that this program lacks.
    """
    spec = read_bundle(folder)
    if spec.format not in LOADERS:
        raise UserError(f"{folder}: a bundle of format {spec.format!r}; this program loads {', '.join(LOADERS)}")
    return LoadedBundle(spec, LOADERS[spec.format](spec))


def require_formats(names: Sequence[str]) -> tuple[str, ...]:
    """Checks format names before any work is done, and gives each once; `all` is all.

    Raises:
        UsageError: an unknown one; the message lists those there are.
    """
    known = (*EXPORTERS, ALL)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"`--format` must be among {', '.join(known)}. Received: {name}.{hint}")
    return tuple(EXPORTERS) if ALL in names else tuple(dict.fromkeys(names))


def measurement_spec(run: "Run") -> MeasurementSpec:
    """How a run's network is measured: by its recipe, with the project's orientation table and its calibration."""
    from training.run_folder import named_outputs

    outputs = tuple(named_outputs(run.model.output))
    return MeasurementSpec(
        structures=run.structures,
        preprocessing=run.preprocessing,
        contact_line=run.recipe.contact_line,
        largest_component=run.recipe.largest_component,
        anterior_sides=ANTERIOR_SIDE,
        calibration=run.calibration,
        outputs=outputs,
        box=BoxSpec(structures_from_names(run.recipe.box_structures), run.recipe.box_margin)
        if BOX in outputs
        else None,
        oracle=BoxSpec(structures_from_names(run.recipe.box_structures), run.recipe.oracle_margin)
        if run.recipe.oracle_margin is not None
        else None,
        crop_mm=run.recipe.crop_mm,
        quality=run.quality,
    )


def export_source(run: "Run", spec: MeasurementSpec, frames: int = CALIBRATION_FRAMES) -> ExportSource:
    """A run as the exporters take it; the training frames are read only if one of them asks for them.

    Args:
        run: a loaded run.
        spec: of its network.
        frames: to calibrate integer formats on, at most; those of the run's data that train it, spread evenly over
            views, phases and patients. Where that data is gone, simulated ones, and bundle.json says so.
    """
    read = functools.cache(lambda count: calibration_frames(run.data_spec, run.split, count, spec.structures))

    def calibration_images() -> Iterator[npt.NDArray[np.float32]]:
        for sample in read(frames).samples:
            image = preprocess_image(sample.image, spec.preprocessing, region_of(sample, spec))
            yield image[np.newaxis, :, :, np.newaxis]

    reference = functools.cache(lambda: outputs_of(run.predict, read(TRIAL_FRAMES), spec, "run Keras for trials"))

    def trial(predictor: Predictor) -> float:
        tried = outputs_of(predictor, read(TRIAL_FRAMES), spec, "try int8")
        return share_of_limits(parity_report(reference(), tried, read(TRIAL_FRAMES), spec), INT8)

    return ExportSource(run.model, spec, calibration_images, lambda: read(frames).source, trial)


def write_bundle(
    run: "Run",
    format_name: str,
    folder: Path,
    *,
    frames: ParityFrames,
    reference: Sequence[Outputs],
    source: ExportSource | None = None,
) -> dict[str, Any]:
    """Exports a run's network into a bundle folder, which appears complete or not at all.

    Args:
        run: a loaded run.
        format_name: a key of `EXPORTERS`.
        folder: to write; an older bundle there is replaced.
        frames: to check the artefact with.
        reference: the Keras model's output for each of them.
        source: of the run, where several formats are written: they share what they can.

    Returns:
        The parity report.

    Raises:
        UserError: `folder` holds something else, or the artefact does not compute what the Keras model computes.
    """
    spec = measurement_spec(run)
    source = source or export_source(run, spec)
    limits = LIMITS.get(format_name, EXACT_AFTER_CROP if FIRST_PROBABILITIES in spec.outputs else EXACT)
    with atomic_folder(folder, marker=BUNDLE_FILE) as temporary:
        artefact = EXPORTERS[format_name](source, temporary)
        quantisation = _taken(temporary / QUANTISATION_FILE)
        _describe(temporary, run, spec, format_name, artefact, quantisation)
        exported = outputs_of(load_predictor(temporary), frames, spec, f"check {format_name}")
        parity = parity_report(reference, exported, frames, spec)
        require_parity(parity, limits, f"{run.folder} as {format_name}")
        parity |= limits_report(parity, limits)
        write_json(temporary / PARITY_FILE, parity)
        _describe(temporary, run, spec, format_name, artefact, quantisation)
    return parity


def _taken(path: Path) -> dict[str, Any] | None:
    """What an exporter left for bundle.json; None where it gave up nothing."""
    if not path.exists():
        return None
    values = read_json(path)
    path.unlink()
    return values


def _describe(
    folder: Path,
    run: "Run",
    spec: MeasurementSpec,
    format_name: str,
    artefact: str,
    quantisation: dict[str, Any] | None,
) -> None:
    """Writes bundle.json: what the bundle is, and the digest of each file that lies there now."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / BUNDLE_FILE)
    recipe = to_dict(run.recipe)
    description: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "format": format_name,
        "artefact": artefact,
        "model": run.recipe.model,
        "input": {
            "height": run.recipe.input_height,
            "width": run.recipe.input_width,
            "channels": 1,
            "dtype": INPUT_DTYPES.get(format_name, "float32"),
            "layout": "n, row, column, channel",
        },
        "signatures": describe_signatures(spec) if format_name == "saved_model" else None,
        "quantisation": quantisation,
        **spec.to_dict(),
        "recipe": recipe,
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in files
        },
    }
    description = json.loads(json.dumps(description))  # tuples become lists, as the reader will see them
    write_json(folder / BUNDLE_FILE, {**description, "sha256": digest_of(description)})
