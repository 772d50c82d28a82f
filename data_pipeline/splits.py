"""Which patients train, validate and test: always whole patients, never frames."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_pipeline.sample import Case
from shell.errors import UsageError, UserError

FOLDS = 10
QUALITIES = ("Poor", "Medium", "Good")  # worst first


@dataclass(frozen=True)
class Split:
    """Patient ids of the three parts, each sorted, no patient in two.

    Attributes:
        train, val, test: patient ids.
        source: where the split comes from, for the record.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    source: str

    def __post_init__(self):
        doubled = sorted(
            set(self.train) & set(self.val) | set(self.train) & set(self.test) | set(self.val) & set(self.test)
        )
        if doubled:
            raise UserError(
                f"{self.source}: a patient belongs to one of train, val and test. "
                f"Received twice: {shorten(doubled)}. Leave each in one list."
            )

    def of(self, name: str) -> tuple[str, ...]:
        """Patients of `train`, `val`, `test` or `all`.

        Raises:
            UsageError: another name.
        """
        parts = {"train": self.train, "val": self.val, "test": self.test, "all": self.train + self.val + self.test}
        if name not in parts:
            raise UsageError(f"a split is one of {', '.join(parts)}. Received: {name}")
        return parts[name]

    def to_dict(self) -> dict[str, Any]:
        """For split.json."""
        return {"train": list(self.train), "val": list(self.val), "test": list(self.test), "source": self.source}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Split":
        """The inverse of `to_dict`.

        Raises:
            UserError: a part is missing or is no list of patient ids.
        """
        parts: dict[str, tuple[str, ...]] = {}
        for name in ("train", "val", "test"):
            ids = values.get(name)
            if not isinstance(ids, Sequence) or isinstance(ids, str) or not all(isinstance(one, str) for one in ids):
                raise UserError(f"split: `{name}` must be a list of patient ids. Received: {ids!r}. Write it again.")
            parts[name] = tuple(ids)
        return cls(**parts, source=str(values.get("source", "unknown")))


def split_patients(
    cases: Iterable[Case], *, train_share: float, val_share: float, seed: int, fold: int | None = None
) -> Split:
    """A seeded split by patient, balanced in diagnosis, image quality and EF class.

    Patients are ordered by stratum (diagnosis × worst image quality of the patient's frames × EF class ≤ 45, 45–55,
    ≥ 55 %; what a data set does not say is "unknown", a stratum of its own) and within it by a hash of seed and id; the
    parts are then taken evenly spaced along that order. So every stratum, however small, is shared out to within one
    patient, and the split depends on neither the order of `cases` nor any library's version.

    Args:
        cases: frames of the data set.
        train_share: share of the patients to train on. Not used with `fold`.
        val_share: share to validate on; the rest is for testing. Not used with `fold`.
        seed: another seed, another split.
        fold: 1..10: test on that tenth, validate on the next (fold 10: the first) and train on the other eight.

    Raises:
        UsageError: shares that are not positive or exceed 1, a fold outside 1..10.
        UserError: too few patients.

    Source: lu_net paper §III (ten folds balanced in image quality and EF class); CAMUS's official lists (validation
    of fold k is testing of fold k + 1); ACDC's training and testing parts, equal in each diagnosis. Deviation: none
    known; the authors' procedures are not published.
    """
    order = _ordered_by_stratum(cases, seed)
    if fold is not None:
        checked_fold(fold)
        if len(order) < FOLDS:
            raise UserError(f"ten folds need at least {FOLDS} patients. Received: {len(order)}. Leave --fold out.")
        tenths = [order[start::FOLDS] for start in range(FOLDS)]
        test, val = set(tenths[fold - 1]), set(tenths[fold % FOLDS])
        source = f"fold {fold} of {FOLDS}, seed {seed}"
    else:
        if not (0 < train_share < 1 and 0 < val_share < 1 and train_share + val_share <= 1 + 1e-9):
            raise UsageError(
                "train and validation shares must be positive and sum to 1 at most. "
                f"Received: {train_share:g} and {val_share:g}"
            )
        test_share = max(0.0, 1 - train_share - val_share)
        parts = 3 if test_share > 1e-9 else 2
        if len(order) < parts:
            raise UserError(f"each of {parts} parts needs a patient. Received: {len(order)} patient(s). Add patients.")
        n_val = min(max(1, round(len(order) * val_share)), len(order) - parts + 1)
        n_test = min(max(1, round(len(order) * test_share)), len(order) - n_val - 1) if parts == 3 else 0
        test = set(_evenly_spaced(order, n_test))
        val = set(_evenly_spaced([patient for patient in order if patient not in test], n_val))
        source = f"seeded: {train_share:g}/{val_share:g}/{test_share:.3g}, seed {seed}"
    train = set(order) - val - test
    return Split(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)), source)


def checked_fold(fold: int) -> int:
    """`fold` itself; a `UsageError` outside 1..10."""
    if not 1 <= fold <= FOLDS:
        raise UsageError(f"a fold is a number from 1 to {FOLDS}. Received: {fold}")
    return fold


def ef_class(ef_percent: float | None) -> str:
    """`<=45`, `45-55`, `>=55` or `unknown`: the classes of CAMUS."""
    if ef_percent is None:
        return "unknown"
    return "<=45" if ef_percent <= 45 else ">=55" if ef_percent >= 55 else "45-55"


def shorten(names: Sequence[str], most: int = 5) -> str:
    """At most `most` names and the number of the others, for a one-line message."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {others} more" if others > 0 else "")


def _ordered_by_stratum(cases: Iterable[Case], seed: int) -> list[str]:
    frames: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        frames[case.patient_id].append(case)
    keys: dict[str, tuple[str, ...]] = {}
    for patient, own in frames.items():
        known = [case.quality for case in own if case.quality in QUALITIES]
        quality = min(known, key=QUALITIES.index) if known else "unknown"
        ef_percent = next((case.ef_percent for case in own if case.ef_percent is not None), None)
        diagnosis = next((case.diagnosis for case in own if case.diagnosis is not None), "unknown")
        keys[patient] = (
            diagnosis,
            quality,
            ef_class(ef_percent),
            hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest(),
        )
    return sorted(keys, key=lambda patient: keys[patient])


def _evenly_spaced(order: Sequence[str], count: int) -> list[str]:
    return [order[(2 * i + 1) * len(order) // (2 * count)] for i in range(count)]
