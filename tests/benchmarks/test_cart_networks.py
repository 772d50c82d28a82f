"""The table of the cart's candidates, and that a candidate becomes a model in 8-bit integers."""

from benchmarks.cart_networks import CANDIDATES, Cost, Timing, cost_of, table, time_in_turns


def test_the_table_by_hand():
    costs = {"unet1": Cost(1_981_924, 4.0056, 1990.6), "cart_unet": Cost(468_692, 0.672, 480.2)}
    timings = {
        "unet1": Timing((8.0, 6.0, 7.0), (12.0, 11.0, 14.0)),
        "cart_unet": Timing((1.5, 2.0, 9.0), (2.2, 2.0, 2.4)),
    }
    lines = table(costs, timings, threads=2, rounds=3).splitlines()
    assert lines[0].startswith("256 × 256, 8-bit integers, LiteRT on 2 threads, 3 rounds in turn.")
    assert lines[-2].endswith("| 1.98M | 4.01 | 1991 kB | 6.00 | 7.00 | 1.0 | 11.00 | 1.0 |")
    assert lines[-1].startswith(f"| `cart_unet` | {CANDIDATES['cart_unet']} |")
    assert lines[-1].endswith("| 0.47M | 0.67 | 480 kB | 1.50 | 2.00 | 4.0 | 2.00 | 5.5 |")


def test_the_chosen_network_is_converted_and_timed(tmp_path):
    cost = cost_of("cart_unet", tmp_path)
    assert 0 < cost.parameters <= 500_000
    assert cost.kilobytes < 600  # about a byte a parameter
    assert cost_of("cart_unet", tmp_path) == cost  # from the file
    (timing,) = time_in_turns([tmp_path / "cart_unet.tflite"], rounds=2, threads=1)
    assert len(timing.wall) == len(timing.processor) == 2
    assert min(timing.wall) > 0
