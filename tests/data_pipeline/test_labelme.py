"""LabelMe files: every kind of shape by hand, pictures beside and inside, whose frame it is, what a name means."""

import base64
import json
import unicodedata
from pathlib import Path, PurePath

import cv2
import numpy as np
import pytest

from data_pipeline import check
from data_pipeline.cache import build_cache
from data_pipeline.datasets import labelme
from data_pipeline.preprocess import Preprocessing
from data_pipeline.readers.labelme import read_labelme
from data_pipeline.sample import Phase, Sample, Structure, View
from data_pipeline.spec import Dataset, open_dataset
from data_pipeline.splits import split_patients
from postprocessing.measurement import measure_labels
from shell.command import run_command
from shell.errors import UsageError, UserError
from tests.data_pipeline.camus_files import speckle
from tests.data_pipeline.labelme_files import LA, LEAFLET, LV, SIZE, heart, png, shape, write_labelme

FILE = "patient01_4CH_ED.json"


def opened(root: Path, **options: object) -> Dataset:
    return open_dataset(f"labelme:{root}", **options)


def only_sample(root: Path) -> Sample:
    dataset = opened(root)
    assert len(dataset.cases) == 1
    return dataset.load(dataset.cases[0])


def labels_of(root: Path, *shapes: dict, **changes: object) -> np.ndarray:
    """The labels of a file with these shapes."""
    write_labelme(root / FILE, shapes, **changes)
    labels = only_sample(root).labels
    assert labels is not None
    return labels


def block(rows: slice, cols: slice, code: int = Structure.LV, size: tuple[int, int] = SIZE) -> np.ndarray:
    expected = np.zeros(size, np.uint8)
    expected[rows, cols] = code
    return expected


# --- shapes -------------------------------------------------------------------------------------------------------


def test_pixels_whose_centres_lie_in_a_polygon(tmp_path: Path):
    """Pixel edges are at integers: from x = 4 to 8 are the columns 4..7, from 4.6 to 8.4 the columns 5..7."""
    np.testing.assert_array_equal(labels_of(tmp_path, shape("LV", LV)), block(slice(4, 10), slice(4, 8)))
    inner = [[4.6, 4.4], [8.4, 4.4], [8.4, 9.6], [4.6, 9.6]]
    np.testing.assert_array_equal(labels_of(tmp_path, shape("LV", inner)), block(slice(4, 10), slice(5, 8)))
    triangle = labels_of(tmp_path, shape("LV", [[2, 2], [6, 2], [2, 6]]))
    assert triangle[2:6, 2:6].tolist() == [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_neighbours_share_no_pixel_and_leave_none_between(tmp_path: Path):
    """Two polygons with one border in common, at any slope; an outline painted as well would overlap by a pixel."""
    border = [[0.3, 3.7], [13.9, 12.2]]
    upper, lower = [[0, 0], [14, 0], border[1], border[0]], [[0, 20], [14, 20], border[1], border[0]]
    one, other = labels_of(tmp_path, shape("LV", upper)), labels_of(tmp_path, shape("LV", lower))
    assert not (one & other)[:, 1:13].any()
    assert (one | other)[:, 1:13].all()


@pytest.mark.parametrize("points", [[[4, 4], [8, 10]], [[8, 10], [4, 4]], [[4, 10], [8, 4]], LV])
def test_rectangle_by_any_two_corners_or_all_four(tmp_path: Path, points: list):
    np.testing.assert_array_equal(
        labels_of(tmp_path, shape("LV", points, "rectangle")), block(slice(4, 10), slice(4, 8))
    )


def test_oriented_rectangle(tmp_path: Path):
    labels = labels_of(tmp_path, shape("LV", [[7, 4], [10, 7], [7, 10], [4, 7]], "oriented_rectangle"))
    assert labels.sum() == pytest.approx(18, abs=6)  # half of 6 × 6
    assert labels[7, 7] == 1
    assert labels[4, 4] == 0


def test_circle_by_centre_and_rim(tmp_path: Path):
    labels = labels_of(tmp_path, shape("LV", [[7, 9], [7, 11.2]], "circle"))
    rows, cols = np.nonzero(labels)
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (7, 10, 5, 8)
    expected = (np.arange(20)[:, None] + 0.5 - 9) ** 2 + (np.arange(14)[None, :] + 0.5 - 7) ** 2 <= 2.2**2
    np.testing.assert_array_equal(labels == 1, expected)


@pytest.mark.parametrize("beyond", [0, 1])
@pytest.mark.parametrize("value", [1, 255])
def test_mask_lies_at_its_first_corner(tmp_path: Path, beyond: int, value: int):
    """The second corner is the last pixel, or the one behind it, by LabelMe's version."""
    patch = np.array([[1, 1, 0], [0, 1, 1]], np.uint8) * value
    corners = [[5, 7], [7 + beyond, 8 + beyond]]
    labels = labels_of(tmp_path, shape("MV", corners, "mask", mask=png(patch)))
    expected = np.zeros(SIZE, np.uint8)
    expected[7, 5:7] = expected[8, 6:8] = Structure.MV
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize(
    ("corner", "rows", "cols"),
    [((-1, -2), slice(0, 2), slice(0, 2)), ((12, 17), slice(17, 20), slice(12, 14)), ((30, 30), slice(0), slice(0))],
)
def test_mask_beyond_the_picture_is_cut_off(tmp_path: Path, corner: tuple[int, int], rows: slice, cols: slice):
    x, y = corner
    patch = np.ones((4, 3), np.uint8)
    labels = labels_of(tmp_path, shape("LV", [[x, y], [x + 2, y + 3]], "mask", mask=png(patch)))
    np.testing.assert_array_equal(labels, block(rows, cols))


def test_shapes_beyond_the_picture_are_cut_off(tmp_path: Path):
    np.testing.assert_array_equal(
        labels_of(tmp_path, shape("LV", [[-50, -3], [3, -3], [3, 400], [-50, 400]])), block(slice(0, 20), slice(0, 3))
    )
    assert not labels_of(tmp_path, shape("LV", [[50, 50], [60, 50], [60, 60]])).any()
    assert labels_of(tmp_path, shape("LV", [[-5, -5], [60, 90]], "rectangle")).all()
    assert labels_of(tmp_path, shape("LV", [[0, 0], [90, 90]], "circle")).all()


def test_the_file_s_order_decides_but_for_myocardium_and_leaflets(tmp_path: Path):
    heart_wall = shape("MYO", [[2, 2], [10, 2], [10, 12], [2, 12]])
    expected = block(slice(2, 12), slice(2, 10), Structure.MYO)
    expected[4:10, 4:8], expected[10:15, 4:8], expected[9:11, 4:8] = Structure.LV, Structure.LA, Structure.MV
    order = [shape("MV", LEAFLET), shape("LV", LV), shape("LA", LA), heart_wall]
    np.testing.assert_array_equal(labels_of(tmp_path, *order), expected)
    np.testing.assert_array_equal(labels_of(tmp_path, *order[::-1]), expected)
    over = [shape("LA", LV), shape("LV", [[4, 4], [8, 4], [8, 6], [4, 6]])]
    assert labels_of(tmp_path, *over)[4:10, 5].tolist() == [1, 1, 3, 3, 3, 3]
    assert labels_of(tmp_path, *over[::-1])[4:10, 5].tolist() == [3] * 6


def test_holes(tmp_path: Path):
    """By a shape of background, and by an outline that goes round twice."""
    hole = [[5, 6], [7, 6], [7, 8], [5, 8]]
    expected = block(slice(4, 10), slice(4, 8))
    expected[6:8, 5:7] = 0
    np.testing.assert_array_equal(labels_of(tmp_path, shape("LV", LV), shape("_background_", hole)), expected)
    keyhole = [*LV, LV[0], *hole, hole[0], LV[0]]
    np.testing.assert_array_equal(labels_of(tmp_path, shape("LV", keyhole)), expected)


def test_shapes_of_a_group_are_one_structure(tmp_path: Path):
    left, right = [[4, 4], [6, 4], [6, 10], [4, 10]], [[6, 4], [8, 4], [8, 10], [6, 10]]
    labels = labels_of(tmp_path, shape("LV", left, group_id=1), shape("LV", right, group_id=1))
    np.testing.assert_array_equal(labels, block(slice(4, 10), slice(4, 8)))


def test_a_file_without_shape_types_is_of_polygons(tmp_path: Path):
    old = {"label": "LV", "points": LV}
    np.testing.assert_array_equal(labels_of(tmp_path, old), block(slice(4, 10), slice(4, 8)))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            shape("MV", LV, "linestrip"),
            r"shape 1 \(MV, linestrip\) has no area.*Received: a linestrip\. Draw it as a pol",
        ),
        (shape("MV", LV[:1], "point"), r"shape 1 \(MV, point\) has no area"),
        (shape("MV", LV[:2], "line"), r"shape 1 \(MV, line\) has no area"),
        (shape("LV", LV, "cuboid"), r"unknown kind of shape\. Received: cuboid\. Known: polygon, rectangle"),
        (shape("LV", LV[:2]), r"shape 1 \(LV, polygon\) needs at least 3 points\. Received: 2"),
        (shape("LV", LV[:3], "rectangle"), r"needs 2 points\. Received: 3"),
        (shape("LV", LV[:1], "circle"), r"needs 2 points\. Received: 1"),
        (shape("LV", LV[:1], "mask", mask=png(np.ones((2, 2), np.uint8))), r"needs 2 points"),
        (shape("LV", [[4, 4], [5, 5]], "mask"), r"shape 1 \(LV, mask\) needs its `mask`\. Received: none"),
        (shape("LV", [[4, 4], [5, 5]], "mask", mask="%%%"), r"the mask of shape 1 \(LV, mask\) is base64 text"),
        (shape("LV", [[4, 4], [5, 5]], "mask", mask="abcd"), r"truncated or of another format"),
        (
            shape("LV", [[4, 4], [9, 9]], "mask", mask=png(np.ones((2, 2), np.uint8))),
            r"a mask fills its bounding box, 6 × 6 pixels\. Received: 2 × 2",
        ),
        (shape("LV", []), r"shape 1 \(LV\) has points \[x, y\], finite numbers\. Received: \[\]"),
        (shape("LV", [[4, 4], [5, float("nan")], [6, 6]]), r"finite numbers"),
        (shape("LV", [[4, 4], [5, 10**400], [6, 6]]), r"finite numbers"),
        (shape("LV", [[4, 4], [5, 5, 5], [6, 6]]), r"points \[x, y\]"),
        (shape("LV", LV) | {"points": "here"}, r"points \[x, y\]"),
        (shape("LV", LV) | {"points": [["4", 4], [5, 5], [6, 6]]}, r"points \[x, y\]"),
        (shape(" ", LV), r"shape 1 has a label\. Received: ' '"),
        ({"points": LV}, r"shape 1 has a label\. Received: None"),
        ("LV", r"shape 1 has a label and points\. Received: str"),
        (shape("LV", LV, "polygon", mask=3), r"`shape_type` and `mask` are text"),
    ],
)
def test_broken_shapes_are_named(tmp_path: Path, broken: dict, message: str):
    write_labelme(tmp_path / FILE, [broken])
    with pytest.raises(UserError, match=rf"{FILE}: .*{message}"):
        only_sample(tmp_path)


def test_a_line_that_is_to_be_ignored_harms_nobody(tmp_path: Path):
    (tmp_path / "labels.json").write_text('{"LV": "LV", "axis": "ignore"}')
    labels = labels_of(tmp_path, shape("LV", LV), shape("axis", [[6, 0], [6, 20]], "line"))
    np.testing.assert_array_equal(labels, block(slice(4, 10), slice(4, 8)))


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_the_picture_beside_the_file_or_inside_it(tmp_path: Path, embedded: bool, suffix: str):
    image = speckle("picture", shape=SIZE)
    changes = {}
    if embedded:
        changes["imageData"] = base64.b64encode(cv2.imencode(suffix, image)[1].tobytes()).decode()
    write_labelme(tmp_path / FILE, image=image, suffix=suffix, embedded=embedded, **changes)
    sample = only_sample(tmp_path)
    np.testing.assert_array_equal(sample.image, image)
    assert (sample.image.dtype, sample.spacing_mm) == (np.float32, None)
    assert sample.source == str(tmp_path / FILE)


def test_jpeg_and_colour_become_grey(tmp_path: Path):
    ramp = np.repeat(np.arange(0, 160, 8, dtype=np.uint8)[:, None], 14, axis=1)
    write_labelme(tmp_path / "patient01_2CH.json", image=ramp, suffix=".jpg")
    red = np.zeros((*SIZE, 3), np.uint8)
    red[..., 2] = 100  # OpenCV writes blue, green, red
    write_labelme(tmp_path / "patient01_4CH.json", image=red)
    dataset = opened(tmp_path)
    grey_ramp, grey_red = (dataset.load(case).image for case in dataset.cases)
    np.testing.assert_allclose(grey_ramp, ramp, atol=6)
    np.testing.assert_allclose(grey_red, 29.9, atol=1e-3)


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF segment that states only this."""
    tiff = b"II*\x00\x08\x00\x00\x00" + b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00"
    tiff += orientation.to_bytes(2, "little") + b"\x00\x00" + b"\x00\x00\x00\x00"
    content = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content + jpeg[2:]


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, lambda a: a), (3, lambda a: a[::-1, ::-1]), (6, lambda a: np.rot90(a, -1)), (8, lambda a: np.rot90(a))],
)
@pytest.mark.parametrize("embedded", [False, True])
def test_a_jpeg_is_turned_as_its_exif_data_say(tmp_path: Path, orientation: int, turned, embedded: bool):
    """LabelMe shows it turned, and its points are on the picture as shown."""
    stored = np.zeros((20, 14), np.uint8)
    stored[:10, :7] = 200
    shown = np.ascontiguousarray(turned(stored))
    jpeg = with_exif(cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes(), orientation)
    write_labelme(tmp_path / FILE, image=shown, suffix=".jpg")
    if embedded:
        write_labelme(
            tmp_path / FILE, image=shown, suffix=".jpg", embedded=True, imageData=base64.b64encode(jpeg).decode()
        )
    else:
        (tmp_path / FILE).with_suffix(".jpg").write_bytes(jpeg)
    sample = only_sample(tmp_path)
    assert sample.image.shape == shown.shape
    np.testing.assert_allclose(sample.image, shown, atol=30)


def test_a_picture_elsewhere(tmp_path: Path):
    """Relative, with Windows' separators; and one whose absolute path was another machine's, found beside the file."""
    root = tmp_path / "labels"
    write_labelme(root / "p1" / "4CH_1.json", imagePath="..\\..\\images\\one.png")
    (root / "p1" / "4CH_1.png").rename((tmp_path / "images").mkdir() or tmp_path / "images" / "one.png")
    write_labelme(root / "p1" / "4CH_2.json", imagePath="C:\\Users\\me\\4CH_2.png")
    dataset = opened(root)
    assert [case.image_path.name for case in dataset.cases] == ["one.png", "4CH_2.png"]
    for case in dataset.cases:
        assert dataset.load(case).image.shape == SIZE
    assert len(dataset.digest()) == 64


def test_a_missing_picture_is_named(tmp_path: Path):
    write_labelme(tmp_path / FILE)
    (tmp_path / FILE).with_suffix(".png").unlink()
    with pytest.raises(UserError, match=r"Missing: .*patient01_4CH_ED\.png"):
        opened(tmp_path)
    dataset = opened(tmp_path, complete=False)
    with pytest.raises(UserError, match=r"patient01_4CH_ED\.png: no such file"):
        dataset.load(dataset.cases[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imageHeight": 40}, r"the picture is 40 × 14 pixels.*Received: 20 × 14 in patient01_4CH_ED\.png.*restore"),
        ({"imageWidth": 20, "imageHeight": 14}, r"the picture is 14 × 20 pixels"),
        ({"imageHeight": "20"}, r"`imageHeight` and `imageWidth` are whole numbers"),
        ({"imageHeight": 0}, r"`imageHeight` and `imageWidth` are whole numbers"),
        ({"imageData": "no base64!"}, r"imageData is base64 text"),
        ({"imageData": 7}, r"`imageData` is base64 text or null\. Received: int"),
        ({"imageData": png(np.zeros(SIZE, np.uint8))[:60]}, r"truncated or of another format"),
        ({"imageData": base64.b64encode(b"hello, world").decode()}, r"not a readable picture\. Received: 12 bytes"),
        ({"imagePath": None}, r"`imagePath` names the picture\. Received: None"),
        ({"flags": ["ED"]}, r"`flags` are names that are true or false\. Received: list"),
        ({"shapes": "none"}, r"a LabelMe file has a list of `shapes`\. Received: dict with \['flags'"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, changes: dict, message: str):
    write_labelme(tmp_path / FILE, **changes)
    with pytest.raises(UserError, match=rf"{FILE}: .*{message}"):
        only_sample(tmp_path)


def test_sizes_that_are_not_stated_are_not_missed(tmp_path: Path):
    write_labelme(tmp_path / FILE, imageHeight=None, imageWidth=None)
    assert only_sample(tmp_path).image.shape == SIZE


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"images": [], "annotations": []}'])
def test_other_json_files_are_refused(tmp_path: Path, text: str):
    write_labelme(tmp_path / FILE)
    (tmp_path / "coco.json").write_text(text)
    with pytest.raises(UserError, match=r"coco\.json: (a LabelMe file has|not valid JSON)"):
        opened(tmp_path)
    (tmp_path / "coco.json").unlink()
    (tmp_path / "patient02_4CH.json").write_text(text)
    with pytest.raises(UserError, match=r"patient02_4CH\.json: "):
        opened(tmp_path)
    assert len(opened(tmp_path, complete=False).cases) == 2


# --- whose frame --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "patient", "view", "phase", "frame", "case_id"),
    [
        ("patient0001_4CH_ED", "patient0001", "A4C", "ED", None, "patient0001_4CH_ED"),
        ("patient0001_4CH_0012", "patient0001", "A4C", None, "0012", "patient0001_4CH_0012"),
        ("patient01/4CH/0012", "patient01", "A4C", None, "0012", "patient01_4CH_0012"),
        ("patient01/4CH_ED", "patient01", "A4C", "ED", None, "patient01_4CH_ED"),
        ("patient01/a3c/ES/frame_7", "patient01", "A3C", "ES", "frame-7", "patient01_3CH_ES_frame-7"),
        ("patient01_A2C/frame.003", "patient01", "A2C", None, "frame-003", "patient01_2CH_frame-003"),
        ("p1/p1_A2CH_3", "p1", "A2C", None, "3", "p1_2CH_3"),
        ("p1/4CH/p10_3", "p1", "A4C", None, "p10-3", "p1_4CH_p10-3"),
        ("p1/clip2/4CH-3", "p1", "A4C", None, "clip2-3", "p1_4CH_clip2-3"),
        ("p1/0003", "p1", None, None, "0003", "p1_0003"),
        ("p1/still", "p1", None, None, "still", "p1_still"),
        ("site 2 - 07_4CH", "site 2 - 07", "A4C", None, None, "site 2 - 07_4CH"),
        ("p1_ED", "p1", None, "ED", None, "p1_ED"),
        ("Edith/SEDES_1", "Edith", None, None, "SEDES-1", "Edith_SEDES-1"),
        ("患者01/四腔心_4CH_第3帧", "患者01", "A4C", None, "四腔心-第3帧", "患者01_4CH_四腔心-第3帧"),
        ("José/4CH/ö 1", "José", "A4C", None, "ö-1", "José_4CH_ö-1"),
    ],
)
def test_what_a_path_says(
    tmp_path: Path, path: str, patient: str, view: str | None, phase: str | None, frame: str | None, case_id: str
):
    write_labelme(tmp_path / f"{path}.json")
    case = opened(tmp_path).cases[0]
    assert (case.patient_id, case.view, case.phase, case.frame) == (patient, view, phase, frame)
    assert case.case_id == case_id
    assert opened(tmp_path).load(case).case_id == case_id


@pytest.mark.parametrize("path", ["0012", "patient01", "4CH_patient01", "4CH/0012", "_/0012"])
def test_a_frame_without_a_patient_is_refused(tmp_path: Path, path: str):
    write_labelme(tmp_path / f"{path}.json")
    with pytest.raises(UserError, match=r"a frame is somebody's.*no patient in its path\. Put it into.*cases\.csv"):
        opened(tmp_path)


def test_unicode_is_one_patient_however_it_is_written(tmp_path: Path):
    for number, form in enumerate(("NFC", "NFD")):
        write_labelme(tmp_path / unicodedata.normalize(form, f"Zoë_4CH_{number}.json"))
    assert {case.patient_id for case in opened(tmp_path).cases} == {"Zoë"}


def test_flags_say_what_the_path_does_not(tmp_path: Path):
    flags = {"4ch": True, "ED": True, "ES": False, "good": True, "nice": True}
    write_labelme(tmp_path / "p1" / "7.json", flags=flags)
    case = opened(tmp_path).cases[0]
    assert (case.view, case.phase, case.quality, case.frame) == (View.A4C, Phase.ED, "Good", "7")


@pytest.mark.parametrize(
    ("path", "flags", "message"),
    [
        ("p1/4CH/2CH_1", {}, r"one view, in its path and its flags\. Received: A4C and A2C"),
        ("p1/4CH_1", {"2CH": True}, r"one view, .*Received: A4C and A2C"),
        ("p1/ED/1", {"ES": True}, r"one phase, .*Received: ED and ES"),
        ("p1/1", {"Good": True, "Poor": True}, r"one quality, .*Received: Good and Poor"),
    ],
)
def test_contradictions_are_refused(tmp_path: Path, path: str, flags: dict, message: str):
    write_labelme(tmp_path / f"{path}.json", flags=flags)
    with pytest.raises(UserError, match=message):
        opened(tmp_path)


def test_two_frames_of_one_name_are_refused(tmp_path: Path):
    write_labelme(tmp_path / "p1" / "4CH" / "1.json")
    write_labelme(tmp_path / "p1" / "4CH_1.json")
    with pytest.raises(UserError, match=r"names of their own\. Received: p1_4CH_1, as .*Rename it"):
        opened(tmp_path)


def test_frames_of_a_patient_stay_together(tmp_path: Path):
    for patient in range(1, 7):
        for view in ("2CH", "3CH", "4CH"):
            for frame in range(3):
                write_labelme(tmp_path / f"p{patient}" / view / f"{frame}.json")
    dataset = opened(tmp_path)
    assert len({case.case_id for case in dataset.cases}) == len(dataset.cases) == 54
    split = split_patients(dataset.cases, train_share=0.5, val_share=0.25, seed=1)
    parts = [{case.case_id.partition("_")[0] for case in dataset.labelled(split.of(name))} for name in ("train", "val")]
    assert parts[0].isdisjoint(parts[1])
    assert len(dataset.labelled(split.of("all"))) == 54
    assert dataset.official_split(1) is None


# --- cases.csv ----------------------------------------------------------------------------------------------------


def write_cases(root: Path, *lines: str, encoding: str = "utf-8") -> None:
    (root / "cases.csv").write_text("\n".join(lines) + "\n", encoding=encoding)


def test_cases_csv_overrules_the_path(tmp_path: Path):
    write_labelme(tmp_path / "IMG_1.json")
    write_labelme(tmp_path / "p2" / "4CH_ED.json")
    write_labelme(tmp_path / "p3" / "4CH_ED.json")
    write_cases(
        tmp_path,
        "file,patient,view,phase,frame,quality,ef_percent,row_mm,col_mm",
        "IMG_1.json,p1,a3c,ES,beat 2,poor,55.5,0.3,0.15",
        "p2\\4CH_ED.json,,2CH,,,,,,",
    )
    dataset = opened(tmp_path)
    one, two, three = dataset.cases
    assert (one.case_id, one.quality, one.ef_percent) == ("p1_3CH_ES_beat 2", "Poor", 55.5)
    assert dataset.load(one).spacing_mm == (0.3, 0.15)
    assert (two.case_id, three.case_id) == ("p2_2CH_ED", "p3_4CH_ED")
    assert dataset.load(two).spacing_mm is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_cases_csv_of_a_spreadsheet(tmp_path: Path, encoding: str):
    """Semicolons, a byte order mark, decomposed letters, blank lines."""
    write_labelme(tmp_path / "ö.json")
    write_cases(tmp_path, "file;patient", "", unicodedata.normalize("NFD", "ö.json;Jürgen"), encoding=encoding)
    assert opened(tmp_path).cases[0].case_id == "Jürgen_ö"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], r"its first line names its columns, once each\. Received: nothing"),
        (["file,pateint", "a.json,p1"], r"Received: file,pateint\. Did you mean patient\?"),
        (["patient", "p1"], r"only `file` is needed"),
        (["file,file", "p1/1.json,p1/1.json"], r"once each"),
        (["file,patient", "p1/1.json"], r"every line has 2 columns\. Received: line 2"),
        (["file,patient", "p1/1.json,p1,p2"], r"every line has 2 columns"),
        (["file,patient", "p1/1.json,p1", "p1/1.json,p2"], r"a file has one row\. Received: p1/1\.json twice"),
        (["file,patient", "p1/2.json,p1"], r"`file` names a LabelMe file\. Received: p1/2\.json"),
        (["file,view", "p1/1.json,PLAX"], r"`view` is A2C, A3C.*Received: PLAX for p1/1\.json"),
        (["file,phase", "p1/1.json,diastole"], r"`phase` is ED or ES"),
        (["file,quality", "p1/1.json,fine"], r"`quality` is Good, Medium or Poor"),
        (["file,ef_percent", "p1/1.json,high"], r"`ef_percent` is an ejection fraction in 0\.\.100\. Received: high"),
        (["file,ef_percent", "p1/1.json,101"], r"`ef_percent` is"),
        (["file,row_mm,col_mm", "p1/1.json,0.3,0"], r"`col_mm` is a pixel pitch in mm\. Received: 0 "),
        (["file,row_mm,col_mm", "p1/1.json,nan,0.3"], r"`row_mm` is a pixel pitch in mm"),
        (["file,row_mm,col_mm", "p1/1.json,0.3,"], r"`row_mm` and `col_mm` go together"),
        (["file,patient", "p1/1.json,../../p1"], r"names of patients and frames begin with a letter or digit"),
        (["file,frame", "p1/1.json,a/b"], r"names of patients and frames"),
    ],
)
def test_wrong_cases_csv(tmp_path: Path, lines: list[str], message: str):
    write_labelme(tmp_path / "p1" / "1.json")
    write_cases(tmp_path, *lines)
    with pytest.raises(UserError, match=message):
        opened(tmp_path)


def test_cases_csv_that_is_no_utf_8(tmp_path: Path):
    write_labelme(tmp_path / "p1" / "1.json")
    write_cases(tmp_path, "file,patient", "p1/1.json,Zoë", encoding="latin-1")
    with pytest.raises(UserError, match=r"cases\.csv: a list of cases is UTF-8 text"):
        opened(tmp_path)


# --- what names mean ----------------------------------------------------------------------------------------------


def test_names_are_mapped_by_a_file(tmp_path: Path):
    names = {"Left Ventricle": "lv", "左心房": "LA", "leaflet": "MV", "papillary muscle": "LV", "ECG": "ignore"}
    (tmp_path / "labels.json").write_text(json.dumps(names, ensure_ascii=False), encoding="utf-8-sig")
    drawn = [
        shape(" left ventricle", LV),
        shape("左心房", LA),
        shape("LEAFLET", LEAFLET),
        shape("Papillary Muscle", [[0, 0], [2, 0], [2, 2], [0, 2]]),
        shape("ecg", [[0, 15], [14, 20]], "rectangle"),
    ]
    expected = block(slice(4, 9), slice(4, 8))
    expected[9:11, 4:8], expected[11:15, 4:8], expected[:2, :2] = Structure.MV, Structure.LA, Structure.LV
    np.testing.assert_array_equal(labels_of(tmp_path, *drawn), expected)
    assert opened(tmp_path).structures == (Structure.LV, Structure.LA, Structure.MV)


def test_the_mapping_may_lie_elsewhere(tmp_path: Path):
    root = tmp_path / "set"
    write_labelme(root / "p1" / "1.json", [shape("ventricle", LV)])
    (root / "mine.json").write_text('{"ventricle": "LV"}')
    dataset = open_dataset(f"labelme:{root}?labels={root}/mine.json")
    labels = dataset.load(dataset.cases[0]).labels
    assert labels is not None
    assert labels.any()
    with pytest.raises(UserError, match=r"nowhere\.json: no such file"):
        open_dataset(f"labelme:{root}?labels={tmp_path}/nowhere.json")
    with pytest.raises(UsageError, match=r"labelme takes `\?labels=FILE`"):
        open_dataset(f"labelme:{root}?names=x")


def test_unknown_names_are_all_named_before_anything_is_decoded(tmp_path: Path):
    write_labelme(tmp_path / "p1" / "1.json", [shape("LV", LV), shape("aorta", LA)])
    write_labelme(tmp_path / "p1" / "2.json", [shape("aorta", LV), shape("Leaflets", LA)])
    with pytest.raises(UserError) as caught:
        opened(tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path}/p1/1.json: names of shapes are those of the structures")
    assert "'aorta' (2 ×), 'Leaflets' (1 ×)" in text
    assert """Add them to labels.json, e.g. {"aorta": "LV", "Leaflets": "LV"}""" in text
    assert "'ignore'" in text
    dataset = opened(tmp_path, complete=False)
    with pytest.raises(UserError, match=r"2\.json: .*Received: 'aorta' \(1 ×\), 'Leaflets' \(1 ×\)"):
        dataset.load(dataset.cases[1])


def test_a_near_miss_is_named(tmp_path: Path):
    (tmp_path / "labels.json").write_text('{"left ventricle": "LV"}')
    write_labelme(tmp_path / "p1" / "1.json", [shape("left ventrical", LV)])
    with pytest.raises(
        UserError, match=r"those of .*labels\.json\. Received: 'left ventrical' .*near: 'left ventricle'"
    ):
        opened(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", r"it maps names of shapes to structures\. Received: list\. Example:"),
        ("{}", r"it maps names"),
        ('{"a": "LVV"}', r"'a' means BACKGROUND, LV, MYO, LA, RV, MV or ignore\. Received: 'LVV'\. Did you mean LV\?"),
        ('{"a": 1}', r"Received: 1\. Correct it"),
        ('{"a": null}', r"Received: None"),
        ('{"LV": "LV", "lv ": "LA"}', r"a name has one meaning\. Received: 'lv ' twice"),
        ('{"a": "LV"', r"not valid JSON"),
    ],
)
def test_wrong_mappings(tmp_path: Path, text: str, message: str):
    write_labelme(tmp_path / "p1" / "1.json")
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(UserError, match=rf"labels\.json: .*{message}"):
        opened(tmp_path)


def test_structures_are_those_that_occur(tmp_path: Path):
    write_labelme(tmp_path / "p1" / "1.json", [shape("LV", LV)])
    write_labelme(tmp_path / "p1" / "2.json", [shape("LA", LV)])
    wanted = (Structure.BACKGROUND, Structure.LV, Structure.LA)
    assert opened(tmp_path, structures=wanted).structures == wanted[1:]
    with pytest.raises(UserError) as caught:
        opened(tmp_path, structures=(*wanted, Structure.MYO))
    assert "its labels have LV, LA. Received: classes with MYO. Map the name that its shapes have" in str(caught.value)
    assert "--data camus or phantom" in str(caught.value)
    assert "--set classes=BACKGROUND,LV,LA" in str(caught.value)


def test_leaflets_are_blood_for_networks_without_a_class_for_them(tmp_path: Path):
    write_labelme(tmp_path / FILE)
    cavities = block(slice(4, 10), slice(4, 8))
    cavities[10:15, 4:8] = Structure.LA
    with_leaflet = cavities.copy()
    with_leaflet[9:11, 4:8] = Structure.MV
    two, three = (Structure.LV, Structure.LA), (Structure.LV, Structure.LA, Structure.MV)
    loaders = []
    for asked, found, labels in ((None, three, with_leaflet), (three, three, with_leaflet), (two, two, cavities)):
        dataset = opened(tmp_path, structures=asked)
        assert dataset.structures == found
        np.testing.assert_array_equal(dataset.load(dataset.cases[0]).labels, labels)
        loaders.append(dataset.load.__qualname__)
    assert loaders[0] == loaders[1] != loaders[2]  # not one entry of the cache


# --- the whole way ------------------------------------------------------------------------------------------------


def test_another_mapping_is_another_entry_of_the_cache(tmp_path: Path):
    write_labelme(tmp_path / "set" / "p1" / "1.json")
    structures = (Structure.BACKGROUND, Structure.LV, Structure.LA, Structure.MV)
    seen = []
    for mapping in (None, {"LV": "LV", "LA": "LA", "MV": "ignore"}, {"lv": "LV", "la": "LA", "mv": "ignore"}):
        if mapping:
            (tmp_path / "set" / "labels.json").write_text(json.dumps(mapping))
        dataset = opened(tmp_path / "set")
        cache = build_cache(dataset.cases, dataset.load, Preprocessing(20, 14), structures, tmp_path / "cache")
        seen.append((len(list((tmp_path / "cache").glob("*/images.npy"))), 3 in cache.labels, dataset.digest()))
    assert [(entries, valve) for entries, valve, _ in seen] == [(1, True), (2, False), (2, False)]
    assert len({digest for _, _, digest in seen}) == 3  # the data set's files did change each time


def test_the_digest_is_of_everything_that_matters(tmp_path: Path):
    write_labelme(tmp_path / "p1" / "4CH" / "1.json")
    write_labelme(tmp_path / "p2_4CH_1.json", embedded=True)
    found = [opened(tmp_path).digest()]
    write_cases(tmp_path, "file,row_mm,col_mm", "p1/4CH/1.json,0.3,0.3")
    found.append(opened(tmp_path).digest())
    write_labelme(tmp_path / "p1" / "4CH" / "1.json", [*heart(), shape("RV", LV)])
    found.append(opened(tmp_path).digest())
    assert len(set(found)) == 3
    (tmp_path / "moved").mkdir()
    for path in [path for path in tmp_path.iterdir() if path.name != "moved"]:
        path.rename(tmp_path / "moved" / path.name)
    assert opened(tmp_path / "moved").digest() == found[-1]


def test_labels_are_measured(tmp_path: Path):
    """The leaflet parts the cavities; the hinge points are at its ends all the same."""
    labels = labels_of(tmp_path, *heart())
    measurement = measure_labels(labels, spacing_mm=None, anterior_side="left")
    assert (measurement.status, measurement.annulus_diameter) == ("ok", pytest.approx(4))
    assert measurement.hinge_points is not None
    assert measurement.hinge_points.amvl == pytest.approx((9.5, 3.5))


def test_iterating_and_listing(tmp_path: Path):
    for name in ("p1/4CH_2", "p1/4CH_1"):
        write_labelme(tmp_path / f"{name}.json")
    assert [case.case_id for case in labelme.list_cases(tmp_path)] == ["p1_4CH_1", "p1_4CH_2"]
    assert [sample.case_id for sample in labelme.iter_samples(tmp_path)] == ["p1_4CH_1", "p1_4CH_2"]
    file = read_labelme(tmp_path / "p1" / "4CH_1.json")
    assert [str(one) for one in file.shapes][:1] == ["shape 1 (LV, polygon)"]


def test_nothing_there(tmp_path: Path):
    with pytest.raises(UserError, match=r"nowhere: no such folder"):
        opened(tmp_path / "nowhere")
    (tmp_path / ".hidden").mkdir()
    write_labelme(tmp_path / ".hidden" / FILE)
    with pytest.raises(UserError, match=r"no LabelMe files\. Expected files like patient01/4CH/0012\.json"):
        opened(tmp_path)


def checked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], str]:
    with pytest.raises(SystemExit) as exit_of:
        run_command(check.main, [str(argument) for argument in arguments])
    *findings, summary = capsys.readouterr().out.splitlines() or [""]
    return int(exit_of.value.code or 0), findings, summary


def test_the_check_reports(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pitch = ["file,row_mm,col_mm"]
    for number in range(1, 4):
        write_labelme(tmp_path / f"p{number}" / "4CH.json")
        pitch.append(f"p{number}/4CH.json,0.3,0.3")
    write_cases(tmp_path, *pitch)
    assert checked(capsys, f"labelme:{tmp_path}", "--structures", "LV", "LA", "MV")[:2] == (0, [])
    code, _, _ = checked(capsys, f"labelme:{tmp_path}", "--structures", "MYO")
    assert code == 1

    write_labelme(tmp_path / "p1" / "2CH_1.json", [shape("LV", LV), shape("aorta", LA)])
    write_labelme(tmp_path / "p1" / "2CH_2.json", [shape("LV", LV), shape("MV", LA, "linestrip")])
    write_labelme(tmp_path / "p1" / "2CH_3.json", [shape("LV", LV)])
    write_labelme(tmp_path / "p1" / "2CH_4.json", [shape("LV", LV), shape("LA", [[4, 12], [8, 12], [8, 15]])])
    write_labelme(tmp_path / "p1" / "2CH_5.json", shapes=None, image=speckle(tmp_path / "p2" / "4CH.json", shape=SIZE))
    (tmp_path / "p1" / "2CH_6.json").write_text("{")
    cv2.imwrite(str(tmp_path / "p1" / "2CH_7.png"), speckle("nobody"))
    code, findings, summary = checked(capsys, f"labelme:{tmp_path}")
    assert code == 1
    expected = {
        "error p1_2CH_1": "'aorta' (1 ×)",
        "error p1_2CH_2": "shape 2 (MV, linestrip) has no area",
        "warning p1_2CH_3": "an apical mask holds LV and LA. Received: no LA",
        "warning p1_2CH_4": "Received: no contact",
        "error p1_2CH_6": "2CH_6.json: not valid JSON",
        "error p1_2CH_5": "the same pixels as p2_4CH",
        "warning dataset": "a LabelMe file belongs to every picture. Received: 1 without. They are left out",
    }
    for line, (start, part) in zip(findings, expected.items(), strict=False):
        assert line.split()[:2] == start.split()
        assert part in line
    assert "frames have a pixel pitch" in findings[-1]
    assert len(findings) == len(expected) + 1
    assert "9 frames of 3 patients, 4 error(s), 4 warning(s)" in summary


def test_the_mapping_is_compared_by_content():
    one, two = (labelme.Loader(labelme.Meanings({"a": Structure.LV, "b": None}, source)) for source in ("x", "y"))
    other = labelme.Loader(labelme.Meanings({"a": Structure.LA, "b": None}, "x"))
    assert one.__qualname__ == two.__qualname__ != other.__qualname__
    assert one.__module__ == "data_pipeline.datasets.labelme"
    assert labelme._named(Path("x"), PurePath("p1/4CH.json"), ()).frame is None
