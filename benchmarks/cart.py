"""What bundles take on this machine, as `python -m cart --bench` measures it: one row each, against the limits.

    python -m benchmarks.cart --bundle bundles/unet1/tflite-int8 --bundle bundles/unet_vgg16/tflite-int8 [INPUT…]

Ends with exit code 1 where a limit is missed. The limits are those of a machine of two cores with nothing else to do.
"""

import argparse
import json
from pathlib import Path

from cart.bench import FRAMES, BenchReport, run_bench

START_UP_S, MEMORY_MB = 1.0, 250.0
FRAMES_PER_SECOND = {"unet1": 100.0, "unet_vgg16": 30.0}
"""Of int8 networks, at 256 × 256, end to end from a decoded frame of 549 × 389."""
OVERHEAD_SHARE = 1 / 3
"""Of pre- and post-processing in the frame's time, of those networks."""


def missed(report: BenchReport) -> list[str]:
    """The limits that a bundle does not keep, in words."""
    words: list[str] = []
    wanted = FRAMES_PER_SECOND.get(report.model, 0.0) if "int8" in report.format else 0.0
    if report.frames_per_second < wanted:
        words.append(f"{report.frames_per_second:.0f} frames/s, {wanted:.0f} wanted")
    if wanted and report.overhead_share > OVERHEAD_SHARE:
        words.append(f"pre- and post-processing {100 * report.overhead_share:.0f} %, at most 33 % wanted")
    if report.start_up.total_s > START_UP_S:
        words.append(f"start-up {report.start_up.total_s:.2f} s, at most {START_UP_S:g} s wanted")
    if report.peak_memory_mb > MEMORY_MB:
        words.append(f"{report.peak_memory_mb:.0f} MB, at most {MEMORY_MB:.0f} MB wanted")
    return words


def table(reports: list[BenchReport]) -> str:
    """Markdown: one row a bundle; milliseconds are medians, p99 that of the whole frame."""
    heads = ["bundle", "pre", "network", "post", "frame", "p99", "frames/s", "pre + post", "start-up", "memory"]
    rows = [[*heads, "not in XNNPACK"], ["---"] * (len(heads) + 1)]
    for report in reports:
        rest = report.delegation.undelegated if report.delegation else None
        times = [report.stages[stage].median_ms for stage in ("preprocess", "infer", "postprocess", "end to end")]
        rows.append(
            [
                f"{report.model} {report.format}",
                *(f"{ms:.2f}" for ms in (*times, report.stages["end to end"].p99_ms)),
                f"{report.frames_per_second:.0f}",
                f"{100 * report.overhead_share:.0f} %",
                f"{report.start_up.total_s:.2f} s",
                f"{report.peak_memory_mb:.0f} MB",
                "other engine" if rest is None else ", ".join(f"{n} {name}" for name, n in rest.items()) or "none",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: python -m benchmarks.cart --bundle bundles/unet1/tflite-int8 --threads 2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("inputs", nargs="*", type=Path, metavar="INPUT", help="frames and cines; default: a drawn one")
    parser.add_argument("--bundle", type=Path, action="append", required=True, metavar="DIR", help="as often as wanted")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default %(default)s)")
    parser.add_argument("--engine", metavar="NAME", help="default: each format's own")
    parser.add_argument("--frames", type=int, default=5 * FRAMES, help="to measure (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the reports there, too")
    arguments = parser.parse_args()
    reports: list[BenchReport] = []
    for bundle in arguments.bundle:
        report = run_bench(
            bundle,
            arguments.inputs,
            threads=arguments.threads,
            engine=arguments.engine,
            frames=arguments.frames,
        )
        reports.append(report)
        print(report.text(), end="\n\n", flush=True)
    print(table(reports))
    if arguments.json:
        arguments.json.write_text(json.dumps([report.to_dict() for report in reports], indent=2) + "\n")
    complaints = [f"{report.bundle}: {words}" for report in reports for words in missed(report)]
    if complaints:
        raise SystemExit("\n".join(complaints))


if __name__ == "__main__":
    main()
