"""What a bundle folder says, with every file's digest checked before anything in it is loaded."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cart.measure import MeasurementSpec
from shell.errors import UserError
from shell.files import read_json, sha256_of

FORMAT_VERSION = 1
"""Goes up when a bundle's meaning changes; a program reads its own version only."""
BUNDLE_FILE = "bundle.json"
PARITY_FILE = "parity.json"
SIGNATURE, INPUT_NAME = "serving_default", "image"
"""The one signature of every artefact: `image` (n, h, w, 1) float32 → the network's outputs by name, float32."""


@dataclass(frozen=True)
class BundleSpec:
    """A checked bundle.

    Attributes:
        folder: where it lies.
        format: e.g. `tflite-float32`.
        artefact: the model's file or folder, inside `folder`.
        model: registry name of the network.
        recipe: the resolved recipe it was trained by, plain values.
        measurement: how its probabilities become hinge points and a diameter.
    """

    folder: Path
    format: str
    artefact: Path
    model: str
    recipe: Mapping[str, Any]
    measurement: MeasurementSpec


def read_bundle(folder: Path) -> BundleSpec:
    """Reads `bundle.json` and checks the bundle against it: format version, its own digest, every file's digest.

    Raises:
        UserError: no bundle there, another format version, a file missing, changed, or (inside the artefact's own
            folder, where a loader might pick it up) added.
    """
    path = folder / BUNDLE_FILE
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a bundle written by `python -m export`")
    if not path.is_file():
        raise UserError(f"{folder}: not a bundle, it has no {BUNDLE_FILE}; write one with `python -m export`")
    values = read_json(path)
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path}: bundle format version {version!r}, this program reads {FORMAT_VERSION}; export the run again"
        )
    if values.get("sha256") != digest_of(values):
        raise UserError(f"{path}: its contents do not match its own SHA-256, it was changed; export the run again")
    try:
        spec = BundleSpec(
            folder=folder,
            format=values["format"],
            artefact=_inside(folder, values["artefact"]),
            model=values["model"],
            recipe=values["recipe"],
            measurement=MeasurementSpec.from_dict(values),
        )
        digests = {_inside(folder, name): file["sha256"] for name, file in values["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a complete bundle description ({error!r}); export the run again") from error
    _check_files(spec.artefact, digests)
    return spec


def digest_of(values: Mapping[str, Any]) -> str:
    """Hex SHA-256 of a bundle description, its own `sha256` key left out, whatever the order of keys and the layout."""
    rest = {key: value for key, value in values.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _check_files(artefact: Path, digests: Mapping[Path, str]) -> None:
    present = {path for path in artefact.rglob("*") if not path.is_dir()} if artefact.is_dir() else {artefact}
    added = sorted(present - set(digests))
    if added:
        raise UserError(f"{added[0]}: not a file of this bundle ({BUNDLE_FILE} has no digest of it); remove it")
    for path, expected in digests.items():
        if not path.is_file():
            raise UserError(f"{path}: a file of this bundle is missing; copy the whole folder or export the run again")
        if sha256_of(path) != expected:
            raise UserError(
                f"{path}: its SHA-256 is not the one in {BUNDLE_FILE}; copy it again or export the run again"
            )


def _inside(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ValueError(f"a file's name must stay inside the bundle. Received: {name!r}")
    return folder / relative
