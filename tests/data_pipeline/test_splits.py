import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.sample import Case, Phase, View
from data_pipeline.splits import Split, ef_class, split_patients
from shell.errors import UsageError, UserError


def frames(patient: str, quality: str | None = None, ef_percent: float | None = None) -> list[Case]:
    """Two frames of a patient, the second of good quality."""
    image = Path(f"{patient}.nii.gz")
    return [
        Case(patient, View.A4C, Phase.ED, image, image, quality, ef_percent),
        Case(patient, View.A2C, Phase.ED, image, image, "Good" if quality else None, ef_percent),
    ]


def patients(count: int) -> list[Case]:
    """Patients in nine strata of very different size (quality × EF class)."""
    cases = []
    for n in range(count):
        quality = ("Good", "Good", "Good", "Medium", "Medium", "Poor")[n % 6]
        ef_percent = (30.0, 35.0, 40.0, 50.0, 60.0)[n % 5]
        cases += frames(f"patient{n:04d}", quality, ef_percent)
    return cases


@given(
    count=st.integers(3, 80),
    train=st.floats(0.1, 0.8),
    val=st.floats(0.05, 0.2),
    seed=st.integers(0, 2**31),
)
def test_every_patient_is_in_one_part(count: int, train: float, val: float, seed: int):
    split = split_patients(patients(count), train_share=train, val_share=val, seed=seed)
    assert sorted(split.train + split.val + split.test) == [f"patient{n:04d}" for n in range(count)]
    assert split.train
    assert split.val
    assert split.test
    assert abs(len(split.val) - count * val) <= 1


def test_shares_by_hand():
    split = split_patients(patients(450), train_share=350 / 450, val_share=50 / 450, seed=3)
    assert [len(split.of(name)) for name in ("train", "val", "test", "all")] == [350, 50, 50, 450]
    assert split_patients(patients(20), train_share=0.8, val_share=0.2, seed=3).test == ()


def test_the_seed_decides_and_nothing_else():
    cases = patients(60)
    split = split_patients(cases, train_share=0.7, val_share=0.15, seed=1)
    assert split_patients(cases[::-1], train_share=0.7, val_share=0.15, seed=1) == split
    assert split_patients(cases, train_share=0.7, val_share=0.15, seed=2).test != split.test
    # Written down once: another result here means that old runs can no longer be repeated.
    small = split_patients(patients(6), train_share=0.5, val_share=0.25, seed=1)
    assert (small.val, small.test) == (("patient0002", "patient0005"), ("patient0001", "patient0004"))


def test_ten_folds_cover_everybody_once():
    cases = patients(57)
    splits = [split_patients(cases, train_share=0.8, val_share=0.1, seed=5, fold=k) for k in range(1, 11)]
    tested = [patient for split in splits for patient in split.test]
    assert sorted(tested) == sorted({case.patient_id for case in cases})
    assert {len(split.test) for split in splits} == {5, 6}
    for k, split in enumerate(splits):
        assert split.val == splits[(k + 1) % 10].test  # validation of fold k is testing of fold k + 1
        assert sorted(split.of("all")) == sorted(tested)


def test_folds_and_shares_are_balanced_in_every_stratum():
    cases = patients(300)
    stratum_of = {case.patient_id: (case.quality, case.ef_percent) for case in cases[::2]}
    stratum_of = {patient: (quality, ef_class(ef)) for patient, (quality, ef) in stratum_of.items()}
    totals = Counter(stratum_of.values())
    assert len(totals) == 9
    for fold in range(1, 11):
        split = split_patients(cases, train_share=0.8, val_share=0.1, seed=0, fold=fold)
        counts = Counter(stratum_of[patient] for patient in split.test)
        assert all(abs(counts[stratum] - total / 10) < 1 for stratum, total in totals.items())
    split = split_patients(cases, train_share=0.8, val_share=0.1, seed=0)
    counts = Counter(stratum_of[patient] for patient in split.test)
    assert all(abs(counts[stratum] - total / 10) < 1 for stratum, total in totals.items())


def test_what_is_known_of_a_patient_may_be_nothing():
    cases = [case for n in range(12) for case in frames(f"patient{n}")]
    split = split_patients(cases, train_share=0.8, val_share=0.1, seed=0, fold=10)
    assert (len(split.train), len(split.val), len(split.test)) == (9, 2, 1)


@pytest.mark.parametrize(
    ("ef_percent", "expected"),
    [(None, "unknown"), (45, "<=45"), (45.1, "45-55"), (54.9, "45-55"), (55, ">=55"), (0, "<=45")],
)
def test_ef_classes(ef_percent: float | None, expected: str):
    assert ef_class(ef_percent) == expected


@pytest.mark.parametrize(
    ("train", "val"), [(0, 0.5), (0.5, 0), (0.9, 0.2), (1.0, 0.1), (-0.1, 0.5), (float("nan"), 0.1)]
)
def test_bad_shares(train: float, val: float):
    with pytest.raises(UsageError, match="shares must be positive"):
        split_patients(patients(20), train_share=train, val_share=val, seed=0)


def test_too_few_patients():
    with pytest.raises(UserError, match=r"each of 3 parts needs a patient\. Received: 2"):
        split_patients(patients(2), train_share=0.6, val_share=0.2, seed=0)
    with pytest.raises(UserError, match=r"each of 3 parts needs a patient\. Received: 0"):
        split_patients([], train_share=0.6, val_share=0.2, seed=0)
    with pytest.raises(UserError, match=r"at least 10 patients\. Received: 9"):
        split_patients(patients(9), train_share=0.6, val_share=0.2, seed=0, fold=1)


@pytest.mark.parametrize("fold", [0, 11, -1])
def test_bad_fold(fold: int):
    with pytest.raises(UsageError, match=f"1 to 10. Received: {fold}"):
        split_patients(patients(20), train_share=0.6, val_share=0.2, seed=0, fold=fold)


def test_a_patient_in_two_parts_is_refused():
    with pytest.raises(UserError, match=r"mine: a patient belongs to one .* Received twice: b, c"):
        Split(("a", "b"), ("b", "c"), ("c",), "mine")


def test_json_round_trip_and_names():
    split = Split(("a", "b"), ("c",), (), "by hand")
    assert Split.from_dict(json.loads(json.dumps(split.to_dict()))) == split
    assert split.of("all") == ("a", "b", "c")
    with pytest.raises(UsageError, match=r"train, val, test, all\. Received: testing"):
        split.of("testing")


@pytest.mark.parametrize("values", [{}, {"train": "abc", "val": [], "test": []}, {"train": [1], "val": [], "test": []}])
def test_bad_split_file(values: dict):
    with pytest.raises(UserError, match="`train` must be a list of patient ids"):
        Split.from_dict(values)
