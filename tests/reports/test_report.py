import dataclasses
import json
import re
from html.parser import HTMLParser

import pytest

from reports.report import write_report
from shell.errors import UserError
from tests.reports.synthetic import Frame, calibration_of, many_frames, volume_rows, write_evaluation

FIGURES = (
    "fig-03-dice-by-epoch",
    "fig-06-sorted-errors",
    "fig-07-sorted-diameters",
    "fig-08-box-plots",
    "fig-09-bias",
    "fig-10-x-correlation",
    "diameter-agreement",
    "volume-agreement",
)
VOID = {"meta", "link", "img", "br", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and text; checks that every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self):
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def read(report):
    return Reader(report.read_text(encoding="utf-8"))


def test_report_is_one_self_contained_file(full_report):
    html = full_report.read_text(encoding="utf-8")
    page = Reader(html)
    # One script, in the page itself; the others are data.
    assert [a for a in page.all("script") if a.get("type") != "application/json"] == [{}]
    assert all(a["src"].startswith("data:image/") for a in page.all("img"))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert "url(" not in html
    assert "@import" not in html


def test_figures_lie_beside_the_report(full_report):
    names = sorted(path.name for path in (full_report.parent / "figures").iterdir())
    assert names == sorted(f"{key}.png" for key in FIGURES)


def test_page_is_accessible(full_report):
    page = read(full_report)
    assert page.all("html")[0]["lang"] == "en"
    assert all(len(a["alt"]) > 20 for a in page.all("img"))
    assert all("scope" in a for a in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) >= 12
    assert len(page.all("figcaption")) == len(page.all("figure")) == len(page.all("img"))
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for a in page.all("a")} <= set(ids)
    assert any(a.get("name") == "viewport" for a in page.all("meta"))


def test_paper_stands_beside_ours(full_report):
    text = read(full_report).text
    for table in ("Table 1.", "Table 2.", "Table 3."):
        assert table in text
    for figure in ("Fig. 3.", "Fig. 6.", "Fig. 7.", "Fig. 8.", "Fig. 9.", "Fig. 10."):
        assert figure in text
    for stated in ("0.931", "0.915", "0.939", "0.916", "27.9", "28.8", "24.4", "28.3", "31.3", "31.7", "26.3", "26.1"):
        assert stated in text
    assert "1.35 [0.30; 3.15]" in text
    assert "0.75 [0.15; 1.88]" in text


@pytest.mark.usefixtures("without_figures")
def test_headline_and_limits(tmp_path):
    frames = [
        Frame("patient0001", "A4C", "ED", (10, 10, 10, 40), (10, 11, 10, 41)),
        Frame("patient0002", "A4C", "ED", (10, 10, 10, 40), (10, 13, 10, 41)),
        Frame("patient0002", "A4C", "ES", (10, 10, 10, 40), None),
    ]
    text = read(write_report(write_evaluation(tmp_path, frames, data="camus:../shared/data/camus_subset"))).text
    # Distances 1, 1, 3, 1: median 1. Diameters 30, 28 for 30: MAE 1.
    # Draws: the first patient twice (distances 1, 1), both, or the second twice (3, 1): medians 1, 1, 2.
    assert (
        "On 3 frames of 2 patients, half of the hinge points found by the network lie within 1.0 mm "
        "(95 % CI 1.0 to 2.0) of the reference, and the annulus diameter is off by 1.0 mm (0.0 to 2.0) on average; "
        "1 of 3 frames could not be measured"
    ) in text
    assert "1 of 3 95 % CI 0 % to 50 % 1: predicted LV and LA do not touch" in text
    assert "drawn with replacement 2000 times" in text
    assert "percentile bootstrap, seed 0" in text
    assert "Research use only. Not a medical device" in text
    assert "derived from the reference masks" in text
    assert "not the size of the full annulus" in text
    assert "Nominal mm" in text
    assert "Millimetres are nominal here" in text
    assert "not an official CAMUS score" in text
    assert "n = 3: medians and percentiles of so few frames are uncertain" in text
    assert "Simulated data" not in text
    assert "constructed" not in text.replace("constructed truth is", "")


@pytest.mark.usefixtures("without_figures")
def test_ejection_fraction_is_a_headline_where_it_is_measured(tmp_path):
    # EF 50 and 54.5 %, 50 and 60 %: errors 4.5 and 10 points, mean 7.3; each patient alone comes in a quarter of draws.
    volumes = volume_rows("patient0001", (100, 110), (50, 50)) + volume_rows("patient0002", (120, 120), (60, 48))
    text = read(write_report(write_evaluation(tmp_path, many_frames(2), volumes=volumes))).text
    assert (
        "Ejection fraction: mean absolute error 7.3 % 95 % CI 4.5 to 10.0 % bias (mean) +7.3 % (+4.5 to +10.0) "
        "EDV 5.0 ml (0.0 to 10.0) ESV 6.0 ml (0.0 to 12.0) 2 patients with both views and phases"
    ) in text


def test_simulated_data_is_called_so(full_report):
    text = read(full_report).text
    assert "The frames are simulated: this says nothing about patients." in text
    assert "a simulated heart under simulated ultrasound" in text
    assert "Mask-derived reference against the constructed truth" in text
    assert "Nominal mm" not in text


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(
    ("split", "warning"),
    [
        ("train", "may have been trained on"),
        ("all", "may have been trained on"),
        ("val", "chosen on these validation frames"),
        ("test", None),
    ],
)
def test_seen_data_is_warned_of(tmp_path, split, warning):
    text = read(write_report(write_evaluation(tmp_path, many_frames(1), split=split))).text
    assert ("these figures flatter" in text) == (warning is not None)
    assert warning is None or warning in text


@pytest.mark.usefixtures("without_figures")
def test_other_data_than_trained_on_is_not_warned_of(tmp_path):
    folder = write_evaluation(tmp_path, many_frames(1), split="all")
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "trained_on": "camus:elsewhere"}))
    assert "these figures flatter" not in read(write_report(folder)).text


EDGES = {
    "no frame": ([], {}, "No frame was evaluated"),
    "no frame, no extras": ([], {"extras": False}, "The evaluation folder has no training history"),
    "one frame": (many_frames(1)[:1], {"extras": False}, "On 1 frame of 1 patient,"),
    "all failed": (
        [dataclasses.replace(f, predicted=None, constructed=None) for f in many_frames(2)],
        {},
        "No hinge point could be measured on any of the 8 frames",
    ),
    "no spacing": (
        [dataclasses.replace(f, unit="px", constructed=None) for f in many_frames(2)],
        {"calibration": calibration_of((0, 1, 0, 1), "px")},
        "Pixels, not mm",
    ),
    "some without spacing": (
        [dataclasses.replace(f, unit="px" if f.phase == "ES" else "mm") for f in many_frames(2)],
        {},
        "4 of 8 frames have no known pixel pitch",
    ),
    "no view": (
        [dataclasses.replace(f, patient=f"p{i}", view="", phase="") for i, f in enumerate(many_frames(2))],
        {},
        "No frame of known view and phase",
    ),
    "no phase": (
        [dataclasses.replace(f, patient=f"p{i}", phase="") for i, f in enumerate(many_frames(2))],
        {},
        "On 8 frames of 8 patients",
    ),
    "nothing segmented": (
        [dataclasses.replace(f, dice={"LV": None}, predicted=None) for f in many_frames(2)],
        {},
        "The figure is not defined",
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges_give_a_report_that_says_so(tmp_path, edge):
    frames, options, words = EDGES[edge]
    text = read(write_report(write_evaluation(tmp_path, frames, **options))).text
    assert words in text
    assert "nan" not in text.lower().replace("nantes", "").split()
    assert "None" not in text.split()


@pytest.mark.usefixtures("without_figures")
def test_names_cannot_inject_markup(tmp_path):
    frame = Frame("<script>alert(1)</script>", "A4C", "ED", (10, 10, 10, 40), None)
    report = write_report(write_evaluation(tmp_path, [frame], extras=False))
    page = read(report)
    assert len(page.all("script")) == 2  # its data, and cases.js
    assert "<script>alert" not in report.read_text(encoding="utf-8")
    assert "<script>alert(1)</script>_4CH_ED" in read(report).text


@pytest.mark.usefixtures("without_figures")
def test_missing_overlay_picture_is_said(tmp_path):
    folder = write_evaluation(tmp_path, many_frames(1))
    (folder / "overlays" / "patient0001_4CH_ED.png").unlink()
    (folder / "overlays" / "patient0001_4CH_ES.png").write_bytes(b"not a picture")
    text = read(write_report(folder)).text
    assert "overlays/patient0001_4CH_ED.png is missing or damaged" in text
    assert "overlays/patient0001_4CH_ES.png is missing or damaged" in text


def test_writing_again_replaces_figures_that_no_longer_apply(tmp_path):
    folder = write_evaluation(tmp_path, many_frames(2))
    first = write_report(folder).read_bytes()
    assert (folder / "figures" / "fig-03-dice-by-epoch.png").is_file()
    assert write_report(folder).read_bytes() == first
    (folder / "history.csv").unlink()
    write_report(folder)
    assert not (folder / "figures" / "fig-03-dice-by-epoch.png").exists()


def test_a_folder_that_is_no_evaluation_is_refused_and_left_alone(tmp_path):
    with pytest.raises(UserError, match="is this an evaluation folder"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


def of_network(not_found, **changes):
    """Four frames of a network that finds no hinge points."""
    return [
        dataclasses.replace(f, reference=None, predicted=None, constructed=None, not_found=not_found, **changes)
        for f in many_frames(1)
    ]


BOX = (0.9, 1.0, -1.0, 2.0, 2.0, True)


def test_a_network_without_an_atrium_says_so_once_and_leaves_its_sections_out(tmp_path):
    recipe = {"name": "improved_resunet", "model": "improved_resunet", "paper": "Improved ResUNet"}
    frames = of_network("no_la_class", dice={"LV": 0.9})
    page = read(write_report(write_evaluation(tmp_path, frames, recipe=recipe)))
    assert "Segmentation of the left ventricle: evaluation report" in page.text
    assert "this network outlines no left atrium, and they lie where it meets the left ventricle" in page.text
    assert "4 frames of 1 patient. Mean Dice: LV 0.900." in page.text
    assert "improved ResUNet paper, Table 2" in page.text
    assert "Without an annulus, the axis of the predicted ventricle starts where" in page.text
    assert "Paper: Improved ResUNet." in page.text
    for gone in ("Annulus diameter", "Table 1.", "Table 3.", "Fig. 6.", "calibration", "could not be measured", "aMVL"):
        assert gone not in page.text.replace("Hinge points and the annulus diameter are not measured", ""), gone
    assert "None: every figure is defined." in page.text


def test_a_localiser_reports_its_boxes_and_nothing_else(tmp_path):
    recipe = {"name": "lu_net_mo", "model": "vgg19_box", "box_margin": 0.05, "paper": "Leclerc et al.: LU-Net"}
    frames = of_network("no_segmentation", dice={}, box=BOX)
    report = write_report(write_evaluation(tmp_path, frames, recipe=recipe))
    page = read(report)
    assert "Localisation of the left ventricle: evaluation report" in page.text
    assert "The located box overlaps the reference's by 0.900 (IOU) on average and does not wholly enclose" in page.text
    assert "Localisation (LU-Net paper, Table I)" in page.text
    assert "does not wholly enclose the reference: 4 of 4 frames" in page.text
    for gone in ("Dice", "Chamber segmentation", "Volumes and ejection fraction", "aMVL", "could not be measured"):
        assert gone not in page.text, gone
    assert [path.name for path in (report.parent / "figures").iterdir()] == ["box-iou-by-epoch.png"]


@pytest.mark.usefixtures("without_figures")
def test_lu_net_has_everything(tmp_path):
    recipe = {"name": "lu_net", "model": "lu_net", "box_margin": 0.05, "paper": "Leclerc et al.: LU-Net"}
    frames = [dataclasses.replace(f, box=BOX, first={"LV": 0.8, "EPI": 0.9}) for f in many_frames(2)]
    text = read(write_report(write_evaluation(tmp_path, frames, recipe=recipe))).text
    for table in ("Table I)", "Table II)", "Table IV)", "Table 1.", "Table 2.", "Table 3."):
        assert table in text
    assert "Mitral hinge points and annulus diameter: evaluation report" in text
    assert "THE REFERENCE WAS USED" not in text


@pytest.mark.usefixtures("without_figures")
def test_a_reference_that_helped_is_said_loudly(tmp_path):
    frames = [dataclasses.replace(f, oracle_margin=0.15) for f in many_frames(1)]
    page = read(write_report(write_evaluation(tmp_path, frames)))
    assert "THE REFERENCE WAS USED. Every frame was cropped to the box of its own reference, with a margin of 15 %" in (
        page.text
    )
    assert ("p", {"class": "warning"}) in page.tags


@pytest.mark.usefixtures("without_figures")
def test_boxes_without_a_reference_give_a_report_that_says_so(tmp_path):
    folder = write_evaluation(tmp_path, of_network("no_segmentation", dice={}, box=BOX), extras=False)
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    empty = {key: None if not isinstance(value, dict) else {} for key, value in summary["localisation"]["all"].items()}
    path.write_text(json.dumps({**summary, "localisation": dict.fromkeys(summary["localisation"], empty)}))
    text = read(write_report(folder)).text
    assert "No box could be compared with a reference." in text
    assert "No frame has both a located box and a reference to compare it with." in text
