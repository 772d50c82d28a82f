"""Bundles: a trained network, how its output is measured, and the proof that it survived its export, in one folder."""

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cart.bundle import BUNDLE_FILE, FORMAT_VERSION, PARITY_FILE, BundleSpec, digest_of, read_bundle
from cart.measure import BOX, BoxSpec, MeasurementSpec, Outputs, Predictor
from cart.runtime import load_runner
from data_pipeline.preprocess import preprocess_image
from data_pipeline.sample import structures_from_names
from export.parity import (
    FLOAT32_TOLERANCE,
    ParityFrames,
    calibration_frames,
    outputs_of,
    parity_report,
    region_of,
    require_parity,
)
from export.saved_model import SavedModelRunner, export_saved_model
from export.source import Exporter, ExportSource
from export.tflite import export_tflite_float32
from postprocessing.hinge_points import ANTERIOR_SIDE
from recipes.base import to_dict
from shell.errors import UsageError, UserError
from shell.files import atomic_folder, sha256_of, write_json

if TYPE_CHECKING:
    from training.run_folder import Run

CALIBRATION_FRAMES = 200
"""Training frames that integer formats are calibrated on, unless told otherwise."""

EXPORTERS: dict[str, Exporter] = {
    "saved_model": export_saved_model,
    "tflite-float32": export_tflite_float32,
}
"""Format → (source, folder) → name of the artefact written there."""

LOADERS: dict[str, Callable[[BundleSpec], Predictor]] = {
    "saved_model": lambda spec: SavedModelRunner(spec.artefact),
    "tflite-float32": load_runner,
}
"""Format → checked bundle → its network."""


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


def require_formats(names: Sequence[str]) -> None:
    """Checks format names before any work is done.

    Raises:
        UsageError: an unknown one; the message lists those there are.
    """
    for name in names:
        if name not in EXPORTERS:
            near = difflib.get_close_matches(name, EXPORTERS, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"`--format` must be among {', '.join(EXPORTERS)}. Received: {name}.{hint}")


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
    """A run as the exporters take it; its calibration frames are read only if one of them asks for them."""

    def calibration_images() -> Iterator[npt.NDArray[np.float32]]:
        for sample in calibration_frames(run.data_spec, run.split, frames).samples:
            region = region_of(sample, spec)
            yield preprocess_image(sample.image, spec.preprocessing, region)[np.newaxis, :, :, np.newaxis]

    return ExportSource(run.model, spec, calibration_images)


def write_bundle(
    run: "Run", format_name: str, folder: Path, *, frames: ParityFrames, reference: Sequence[Outputs]
) -> dict[str, Any]:
    """Exports a run's network into a bundle folder, which appears complete or not at all.

    Args:
        run: a loaded run.
        format_name: a key of `EXPORTERS`.
        folder: to write; an older bundle there is replaced.
        frames: to check the artefact with.
        reference: the Keras model's output for each of them.

    Returns:
        The parity report.

    Raises:
        UserError: `folder` holds something else, or the artefact does not compute what the Keras model computes.
    """
    spec = measurement_spec(run)
    with atomic_folder(folder, marker=BUNDLE_FILE) as temporary:
        artefact = EXPORTERS[format_name](export_source(run, spec), temporary)
        _describe(temporary, run, spec, format_name, artefact)
        exported = outputs_of(load_predictor(temporary), frames, spec, f"check {format_name}")
        parity = parity_report(reference, exported, frames, spec)
        require_parity(parity, FLOAT32_TOLERANCE, f"{run.folder} as {format_name}")
        write_json(temporary / PARITY_FILE, parity)
        _describe(temporary, run, spec, format_name, artefact)
    return parity


def _describe(folder: Path, run: "Run", spec: MeasurementSpec, format_name: str, artefact: str) -> None:
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
            "dtype": "float32",
            "layout": "n, row, column, channel",
        },
        **spec.to_dict(),
        "recipe": recipe,
        "files": {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in files
        },
    }
    description = json.loads(json.dumps(description))  # tuples become lists, as the reader will see them
    write_json(folder / BUNDLE_FILE, {**description, "sha256": digest_of(description)})
