"""One patient's folder as ACDC has it: Info.cfg, the volumes of ED and ES with their masks, the cine if it is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.readers.frame import bad_file
from data_pipeline.readers.info import Info, read_info
from data_pipeline.sample import Phase
from shell.errors import UserError

INFO_FILE = "Info.cfg"
VOLUME_FILE = re.compile(r"(?P<patient>[^.].*)_frame(?P<number>\d+)(?P<mask>_gt)?\.(nii|nii\.gz)")
CINE_FILE = re.compile(r"(?P<patient>[^.].*)_4d\.(nii|nii\.gz)")


@dataclass(frozen=True)
class PatientFiles:
    """What lies in one patient's folder.

    Attributes:
        folder: the folder.
        info: of its Info.cfg; ED and ES are there.
        images, masks: frame number → file.
        cine: the whole cine, or None.
    """

    folder: Path
    info: Info
    images: Mapping[int, Path]
    masks: Mapping[int, Path]
    cine: Path | None

    @property
    def numbers(self) -> dict[Phase, int]:
        """Frame number of each phase, from 1."""
        assert self.info.ed_frame is not None
        assert self.info.es_frame is not None
        return {Phase.ED: self.info.ed_frame, Phase.ES: self.info.es_frame}

    @property
    def moving(self) -> tuple[Path, ...]:
        """The files that show how the heart moves: the cine; without it ED and ES; none where one of them lacks."""
        if self.cine is not None:
            return (self.cine,)
        both = [path for number, path in sorted(self.images.items()) if number in self.numbers.values()]
        return tuple(both) if len(both) > 1 else ()


def patient_files(folder: Path) -> PatientFiles | None:
    """What a folder has, or None where no volume of ACDC's names lies in it.

    Raises:
        UserError: a file in another patient's folder, one frame in two files, an Info.cfg that is missing, lacks ED or
            ES, names the same frame twice or one that the cine has not, a volume that it does not name.
    """
    images: dict[int, Path] = {}
    masks: dict[int, Path] = {}
    cine: Path | None = None
    for path in sorted(folder.iterdir()):
        match = VOLUME_FILE.fullmatch(path.name) or CINE_FILE.fullmatch(path.name)
        if match is None:
            continue
        if match["patient"] != folder.name:
            raise UserError(f"{path}: a file lies in its own patient's folder. Received: {folder.name}. Move it.")
        if "number" not in match.groupdict():
            cine = path
            continue
        found, number = masks if match["mask"] else images, int(match["number"])
        if number in found:
            raise UserError(f"{path}: a frame is there once. Received: also {found[number].name}. Remove one of them.")
        found[number] = path
    if not images and not masks:
        return None
    return PatientFiles(folder, _info_of(folder, sorted(images.keys() | masks.keys())), images, masks, cine)


def _info_of(folder: Path, numbers: list[int]) -> Info:
    """The patient's Info.cfg, which must name ED and ES and nothing but them."""
    path = folder / INFO_FILE
    if not path.is_file():
        raise UserError(f"{path}: no such file, and it tells which frames are ED and ES. Restore it.")
    info = read_info(path)
    named = {"ED": info.ed_frame, "ES": info.es_frame}
    missing = [phase for phase, number in named.items() if number is None]
    if missing:
        raise bad_file(path, "ED and ES are frame numbers from 1", f"no {' and no '.join(missing)}", "Add the line.")
    if info.ed_frame == info.es_frame:
        raise bad_file(path, "ED and ES are two frames", f"{info.ed_frame} for both", "Correct the lines.")
    beyond = [f"{phase} {number}" for phase, number in named.items() if info.frames and (number or 0) > info.frames]
    if beyond:
        raise bad_file(path, f"the cine has {info.frames} frames", ", ".join(beyond), "Correct the lines.")
    others = [str(number) for number in numbers if number not in named.values()]
    if others:
        received = f"a volume of frame {', '.join(others)}"
        mend = "Correct ED or ES, or remove the volume."
        raise bad_file(path, f"ED is frame {info.ed_frame} and ES is frame {info.es_frame}", received, mend)
    return info
