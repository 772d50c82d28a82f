"""The tables of the cart's benchmarks and their limits; the measuring itself is for a quiet machine."""

from benchmarks.cart import missed, table
from benchmarks.engines import CONTESTANTS
from benchmarks.engines import table as table_of_engines
from cart.bench import BenchReport, StageTimes, StartUp
from cart.delegation import Delegation

FAST = StageTimes(7.0, 8.0, 9.0)


def report(model: str, format_name: str, **values: object) -> BenchReport:
    kept: dict[str, object] = {
        "frames_per_second": 120.0,
        "overhead_share": 0.25,
        "start_up": StartUp(0.4, 0.2, 0.1),
        "peak_memory_mb": 130.0,
        "delegation": Delegation(40, 39, 2, {"SOFTMAX": 1}),
    }
    return BenchReport(
        bundle="bundles/x",
        model=model,
        format=format_name,
        engine=None,
        threads=2,
        cores=2,
        frames=1,
        frame_shape=(549, 389),
        frame_source="drawn",
        statuses={"ok": 1},
        stages=dict.fromkeys(("preprocess", "infer", "postprocess", "end to end"), FAST),
        **{**kept, **values},  # type: ignore[arg-type]
    )


def test_limits_that_are_kept_are_not_complained_of() -> None:
    assert missed(report("unet1", "tflite-int8")) == []
    assert missed(report("unet_vgg16", "tflite-int8", frames_per_second=31.0)) == []
    assert missed(report("unet1", "tflite-float32", frames_per_second=20.0)) == []  # no promise for it


def test_each_limit_is_complained_of_by_name() -> None:
    slow = report(
        "unet1",
        "tflite-int8",
        frames_per_second=90.0,
        overhead_share=0.4,
        start_up=StartUp(1.0, 0.2, 0.1),
        peak_memory_mb=251.0,
    )
    assert [words.split(",")[0] for words in missed(slow)] == [
        "90 frames/s",
        "pre- and post-processing 40 %",
        "start-up 1.30 s",
        "251 MB",
    ]


def test_a_row_for_each_bundle() -> None:
    rows = table([report("unet1", "tflite-int8"), report("unet1", "onnx", delegation=None)]).splitlines()
    assert len(rows) == 4
    assert len({row.count("|") for row in rows}) == 1
    assert "| unet1 tflite-int8 | 7.00 |" in rows[2]
    assert rows[2].endswith("| 130 MB | 1 SOFTMAX |")
    assert rows[3].endswith("| other engine |")


def test_ratios_are_against_our_engine_in_the_same_number_format() -> None:
    results = {
        "LiteRT int8": ([5.0, 5.0], 100.0),
        "ONNX Runtime int8": ([15.0, 15.0], 120.0),
        "LiteRT float32": ([20.0, 20.0], 110.0),
        "OpenVINO float32": ([10.0, 10.0], 300.0),
    }
    assert set(results) <= set(CONTESTANTS)
    rows = table_of_engines(results).splitlines()[2:]
    assert [row.split("|")[4].strip() for row in rows] == ["1.00", "3.00", "1.00", "0.50"]


def test_without_ours_there_is_no_ratio() -> None:
    assert "| – |" in table_of_engines({"OpenVINO int8": ([10.0], 300.0)})
