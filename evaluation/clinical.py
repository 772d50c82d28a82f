"""CLINICAL of summary.json: how what is measured of patients (volumes, ejection fraction) agrees with the reference."""

from collections.abc import Iterable, Sequence

from evaluation.patients import VOLUME_UNITS
from evaluation.summary_blocks import Json, Rows, pair, unzipped
from metrics import agreement


def clinical_block(
    patients: Sequence[Rows],
    reference: str,
    prediction: str,
    *,
    structure: str = "LV",
    quantities: Iterable[str] = VOLUME_UNITS,
) -> Json:
    """CLINICAL, by quantity; only patients with both rows, measured or failed, are counted.

    Args:
        patients: the rows of each patient.
        reference: ending of the rows compared with, e.g. `_reference`.
        prediction: ending of the rows compared, e.g. `_predicted`.
        structure: whose rows.
        quantities: what the rows are called without their ending.

    Returns:
        {quantity: CLINICAL}, as `summary.py` describes it.

    Source: lu_net paper, Table III (r, bias, limits of agreement, MAE); cmr_dense_unet paper, Table 3 (r2: it heads the
    column "Correlation (R2)", so it is Pearson's squared). Deviation: limits of 1.96 sd, where the latter has 2.
    """
    return {name: _agreement(patients, structure, name + reference, name + prediction) for name in quantities}


def _agreement(patients: Sequence[Rows], structure: str, reference: str, prediction: str) -> Json:
    asked = [found for found in patients if (structure, reference) in found and (structure, prediction) in found]
    target, measured = unzipped([pair(found, structure, reference, prediction) for found in asked])
    bland_altman = agreement.bland_altman(target, measured)
    r = agreement.pearson_r(target, measured)
    return {
        "n": len(target),
        "failed": len(asked) - len(target),
        "r": r,
        "r2": r**2,
        "determination": agreement.r_squared(target, measured),
        "bias": bland_altman.bias,
        "loa": bland_altman.limits_of_agreement,
        "loa_lower": bland_altman.lower,
        "loa_upper": bland_altman.upper,
        "sd": bland_altman.limits_of_agreement / agreement.LIMITS_OF_AGREEMENT_SD,
        "mae": agreement.mean_absolute_error(target, measured),
        "mean_reference": agreement.mean(target),
        "mean_predicted": agreement.mean(measured),
    }
