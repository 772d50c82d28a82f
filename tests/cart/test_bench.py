"""The speed report: its figures worked by hand, its process a fresh one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cart import bench
from cart.bench import StartUp, drawn_frame, peak_memory_mb, run_bench
from cart.delegation import Delegation, count_delegated
from shell.errors import UserError

LAZY = ("nibabel", "SimpleITK", "pydicom", "gdcm", "tqdm", "ai_edge_litert", "onnxruntime", "openvino", "scipy")


def node(name: str, inputs: list[int], outputs: list[int]) -> dict[str, object]:
    return {"op_name": name, "inputs": np.array(inputs), "outputs": np.array(outputs)}


def test_what_lies_between_the_ends_of_a_delegates_node_is_delegated() -> None:
    # 0 → CONV → 1 → RELU → 2 → TILE → 3 → CONV → 4 → ADD (of 2 and 4) → 5 → SOFTMAX → 6; 9 are weights, -1 is no bias
    nodes = [
        node("CONV_2D", [0, 9, -1], [1]),
        node("RELU", [1], [2]),
        node("TILE", [2], [3]),
        node("CONV_2D", [3, 9, -1], [4]),
        node("ADD", [2, 4], [5]),
        node("SOFTMAX", [5], [6]),
        node("DELEGATE", [0, 9], [2]),
        node("DELEGATE", [2, 3, 9], [5]),
    ]
    assert count_delegated(nodes) == Delegation(6, 4, 2, {"TILE": 1, "SOFTMAX": 1})


def test_nothing_is_delegated_without_a_delegate() -> None:
    nodes = [node("TILE", [0], [1]), node("TILE", [1], [2]), node("SOFTMAX", [2], [3])]
    assert count_delegated(nodes) == Delegation(3, 0, 0, {"TILE": 2, "SOFTMAX": 1})


def test_percentiles_and_frames_per_second_by_hand() -> None:
    summary = bench._summary(
        {
            "decode": [90.0, 90.0, 90.0],
            "preprocess": [1.0, 1.0, 1.0],
            "infer": [6.0, 7.0, 8.0],
            "postprocess": [2.0] * 3,
        }
    )
    stages = summary["stages"]
    assert list(stages) == ["decode", "preprocess", "infer", "postprocess", "end to end"]
    assert stages["infer"].median_ms == 7.0
    assert stages["end to end"].p99_ms == pytest.approx(10.98)  # between 10 and 11, decoding left out
    assert summary["frames_per_second"] == pytest.approx(100.0)
    assert summary["overhead_share"] == pytest.approx(0.3)


def test_the_drawn_frame_is_a_sector_of_whole_grey_levels() -> None:
    frame = drawn_frame()
    assert frame.shape == (549, 389)
    np.testing.assert_array_equal(frame, drawn_frame())
    np.testing.assert_array_equal(frame, np.rint(frame))
    assert frame[0, 0] == frame[-1, 0] == 0
    assert 0 <= frame.min() < 100 < frame.max() <= 255


def test_memory_is_that_of_this_process() -> None:
    before = peak_memory_mb()
    block = np.ones(2**24)  # 128 MB
    assert peak_memory_mb() > before or before > 128 + block[0]


def test_a_bundle_is_measured_in_a_fresh_process(tflite_bundle: Path) -> None:
    report = json.loads(json.dumps(run_bench(tflite_bundle, threads=1, frames=3).to_dict(), allow_nan=False))
    assert list(report["stages"]) == ["preprocess", "infer", "postprocess", "end to end"]
    assert sum(report["statuses"].values()) == report["frames"] == 3
    assert report["frame_shape"] == [549, 389]
    assert report["frames_per_second"] > 0
    start_up = report["start_up"]
    assert start_up["total_s"] == pytest.approx(sum(start_up[key] for key in ("imports_s", "load_s", "first_frame_s")))
    assert 20 < report["peak_memory_mb"] < 250
    delegation = report["delegation"]
    assert delegation["delegated"] + sum(delegation["undelegated"].values()) == delegation["nodes"]


def test_the_report_for_people(tflite_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        "model": "unet1",
        "format": "tflite-int8",
        "frame_shape": (549, 389),
        "start_up": {"imports_s": 0.25, "load_s": 0.125, "first_frame_s": 0.125},
        "stages": {"preprocess": [1.0], "infer": [7.0], "postprocess": [2.0]},
        "statuses": {"ok": 1},
        "peak_memory_mb": 130.4,
        "delegation": {"nodes": 40, "delegated": 39, "parts": 2, "undelegated": {"SOFTMAX": 1}},
    }
    monkeypatch.setattr(bench, "_fresh_process", lambda options: found)
    report = run_bench(tflite_bundle, threads=2, frames=1)
    assert report.start_up == StartUp(0.25, 0.125, 0.125)
    text = report.text()
    assert "100.0 frames/s from decoded frames; pre- and post-processing 30 % of that time" in text
    assert "start-up 0.50 s (imports 0.25, bundle and network 0.12, first frame 0.12), peak memory 130 MB" in text
    assert "XNNPACK runs 39 of 40 operations, in 2 parts; not delegated: 1 SOFTMAX" in text


def test_what_is_wrong_in_the_fresh_process_is_said_here(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        run_bench(tmp_path / "none", frames=1)


def test_the_cart_starts_without_what_it_may_not_need() -> None:
    code = f"import sys, cart.__main__, cart.bench; print(sorted(set({LAZY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
