import dataclasses
import re

import pytest

from evaluation.comparison import compare
from reports.comparison import text_table, write_comparison
from shell.errors import UserError
from tests.reports.synthetic import Frame, many_frames, many_volumes, write_evaluation
from tests.reports.test_report import read

HERE = (10.0, 10.0, 10.0, 40.0)
BOX = (0.9, 1.0, -1.0, 2.0, 2.0, True)


def recipe(model, name="lu_net_segmentation", **more):
    return {"name": name, "model": model, "seed": 0, **more}


def better(frames, share=0.5):
    """The same frames with hinge points nearer to the reference's and larger Dice."""
    return [
        dataclasses.replace(
            frame,
            predicted=None
            if frame.predicted is None or frame.reference is None
            else tuple(r + share * (p - r) for r, p in zip(frame.reference, frame.predicted, strict=True)),
            dice={s: None if d is None else d + share * (1 - d) for s, d in frame.dice.items()},
        )
        for frame in frames
    ]


def page_of(folder, evaluations, **options):
    """The page of evaluations given as (run, frames, recipe)."""
    folders = [
        write_evaluation(folder / run / "evaluation" / "phantom-test", frames, recipe=of, **options)
        for run, frames, of in evaluations
    ]
    compare(folders, folder / "out", command="python evaluate.py --compare a b")
    return write_comparison(folder / "out")


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    frames = many_frames(12)
    boxed = [dataclasses.replace(f, box=BOX, first={"LV": 0.8, "EPI": 0.9}) for f in frames]
    evaluations = [
        ("plain", frames, recipe("unet1")),
        ("better", better(frames), recipe("ag_unet")),
        ("same", boxed, recipe("lu_net")),
    ]
    return page_of(tmp_path_factory.mktemp("three"), evaluations, volumes=many_volumes(12))


def test_the_page_is_one_self_contained_file(three):
    html = three.read_text(encoding="utf-8")
    page = read(three)
    assert all(a["src"].startswith("data:image/") for a in page.all("img"))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert all(len(a["alt"]) > 20 for a in page.all("img"))
    assert len(page.all("img")) == 1 + 2
    assert sorted(path.name for path in (three.parent / "figures").iterdir()) == [
        "forest.png",
        "paired-1.png",
        "paired-2.png",
    ]


def test_the_lead_says_who_is_better_and_where_nothing_is_shown(three):
    text = read(three).text
    assert "Comparison of 3 runs" in text
    assert "On the 48 frames of 12 patients that all runs have, each is compared with plain" in text
    assert re.search(r"better: better in \d+ \(hinge distance, ", text)
    assert re.search(r"same: no difference shown in any of \d+ metrics\.", text)
    assert "Hinge distance: better − plain" in text
    assert "Not compared: box IOU (the baseline does not have it)." in text
    assert "few patients" in text.lower()
    assert "python evaluate.py --compare a b" in text
    assert "0123456789abcdef" in text
    assert "nan" not in text.lower().split()
    assert "None" not in text.split()


def test_each_run_stands_beside_the_papers_row_of_its_network(three):
    text = read(three).text
    assert re.search(r"paper: U-Net1 0\.920 ± 0\.056 [^a-z]{40,120}ours: plain \(unet1\)", text)
    assert re.search(r"paper: AG-U-Net 0\.930 ± 0\.049 [^a-z]{40,120}ours: better \(ag_unet\)", text)
    assert "Clinical indices (LU-Net paper, Table III)" in text
    assert "ours: same (lu_net), o1" in text
    assert "VDS-UNet paper" not in text
    assert "improved ResUNet paper" not in text


def test_other_papers_tables(tmp_path):
    frames = [dataclasses.replace(f, dice={**f.dice, "MV": 0.7}) for f in many_frames(2)]
    evaluations = [("a", frames, recipe("unet", "vds_unet")), ("b", better(frames), recipe("vds_unet", "vds_unet"))]
    text = read(page_of(tmp_path, evaluations)).text
    assert "VDS-UNet paper, Table 4" in text
    assert re.search(r"paper: VDS-UNet 0\.935 0\.915 0\.757 – ours: b \(vds_unet\)", text)
    assert "improved ResUNet paper, Table 2" in text  # its rows have a U-Net too


def test_networks_without_hinge_points_are_compared_by_their_outlines(tmp_path):
    frames = [
        dataclasses.replace(f, reference=None, predicted=None, constructed=None, not_found="no_la_class")
        for f in many_frames(4)
    ]
    report = page_of(tmp_path, [("a", frames, recipe("unet1")), ("b", better(frames), recipe("unet1"))])
    text = read(report).text
    for gone in ("hinge distance", "diameter", "hinge points"):
        assert gone not in text.replace("frames without hinge points", ""), gone
    assert "Dice LV: b − a" in text
    assert "mean of its frames' Dice LV by both runs" in text


def test_lost_frames_are_counted_on_the_page_and_in_the_terminal(tmp_path):
    frames = [Frame(f"p{i}", "A4C", "ED", HERE, (10, 10 + i, 10, 40), dice={"LV": 0.9}) for i in range(1, 5)]
    lost = [dataclasses.replace(frames[0], predicted=None), *frames[1:]]
    report = page_of(tmp_path, [("a", frames, recipe("unet1")), ("b", lost, recipe("unet1"))])
    text = read(report).text
    assert "frames not measured by both: 1" in text
    assert "hinge distance, mm 3 / 3 0 / 1 / 0" in text
    table = text_table(report.parent)
    assert table.splitlines()[0] == "4 frames of 4 patients; p by Wilcoxon, Holm-corrected"
    assert "b against a" in table
    assert re.search(r"^Dice LV +0\.900  0\.900 +0\.000 \(0\.000 to 0\.000\)  –  +0 %$", table, re.MULTILINE)


EDGES = {
    "one patient": (many_frames(1)[:1], {}, "n = 1: only large differences"),
    "px only": (
        [dataclasses.replace(f, unit="px", constructed=None) for f in many_frames(3)],
        {},
        "hinge distance, px",
    ),
    "all failed": (
        [dataclasses.replace(f, predicted=None, constructed=None) for f in many_frames(2)],
        {},
        "Not compared: hinge distance (no frame that both could measure).",
    ),
    "nothing at all": (
        [dataclasses.replace(f, predicted=None, constructed=None, dice={}) for f in many_frames(2)],
        {"extras": False},
        "b: nothing was measured by both.",
    ),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges_give_a_page_that_says_so(tmp_path, edge):
    frames, options, words = EDGES[edge]
    report = page_of(tmp_path, [("a", frames, recipe("unet1")), ("b", frames, recipe("unet1"))], **options)
    text = read(report).text
    assert words in text
    assert "nan" not in text.lower().split()
    assert "None" not in text.split()
    assert text_table(report.parent)


def test_a_reference_that_helped_is_said_loudly(tmp_path):
    frames = many_frames(2)
    helped = [dataclasses.replace(f, oracle_margin=0.15) for f in frames]
    report = page_of(tmp_path, [("a", frames, recipe("unet1")), ("b", helped, recipe("unet1"))])
    assert "THE REFERENCE WAS USED by b" in read(report).text


def test_what_is_no_comparison_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"comparison.json: no such file; run `python evaluate.py --compare` first"):
        write_comparison(tmp_path)
    (tmp_path / "comparison.json").write_text('{"runs": []}')
    with pytest.raises(UserError, match="not a comparison"):
        write_comparison(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["comparison.json"]
