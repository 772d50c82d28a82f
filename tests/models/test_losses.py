import numpy as np
import pytest

from models.losses import (
    LOSSES,
    categorical_crossentropy,
    dice_crossentropy,
    distillation,
    foreground_dice,
    loss_by_name,
    multiclass_dice,
    weighted_crossentropy,
    weighted_crossentropy_dice,
)

# one frame of 2×2 pixels, classes background, LV, LA; the reference is background, LV / LV, LA
REFERENCE = np.eye(3, dtype=np.float32)[np.array([[[0, 1], [1, 2]]])]
PREDICTION = np.array([[[[0.5, 0.25, 0.25], [0.5, 0.5, 0.0]], [[0.0, 0.75, 0.25], [0.0, 0.5, 0.5]]]], np.float32)


def test_crossentropy_by_hand():
    expected = -np.mean(np.log([0.5, 0.5, 0.75, 0.5]))
    np.testing.assert_allclose(categorical_crossentropy(REFERENCE, PREDICTION), [expected], rtol=1e-5)


def test_dice_by_hand():
    lv = (2 * (0.5 + 0.75) + 1) / (2 + (0.25 + 0.5 + 0.75 + 0.5) + 1)
    la = (2 * 0.5 + 1) / (1 + (0.25 + 0.25 + 0.5) + 1)
    np.testing.assert_allclose(multiclass_dice(REFERENCE, PREDICTION), [1 - (lv + la) / 2], rtol=1e-5)


def test_dice_of_a_perfect_and_of_an_absent_structure_is_no_loss():
    np.testing.assert_allclose(multiclass_dice(REFERENCE, REFERENCE), [0.0], atol=1e-6)
    background = np.eye(3, dtype=np.float32)[np.zeros((1, 4, 4), int)]
    np.testing.assert_allclose(multiclass_dice(background, background), [0.0], atol=1e-6)


def test_dice_of_a_missed_structure_is_near_one():
    reference = np.eye(2, dtype=np.float32)[np.ones((1, 40, 40), int)]
    np.testing.assert_allclose(multiclass_dice(reference, reference[..., ::-1]), [1.0], atol=1e-3)


def test_the_sum_is_the_sum():
    np.testing.assert_allclose(
        dice_crossentropy(REFERENCE, PREDICTION),
        np.asarray(multiclass_dice(REFERENCE, PREDICTION))
        + np.asarray(categorical_crossentropy(REFERENCE, PREDICTION)),
        rtol=1e-6,
    )


def test_unknown_loss_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"multiclass_dice.*Received: multiclas_dice\. Did you mean multiclass_dice\?"):
        loss_by_name("multiclas_dice")
    assert all(loss_by_name(name) is loss for name, loss in LOSSES.items())


def test_weighted_crossentropy_by_hand():
    # true classes: background, LV, LV, LA with p = 0.5, 0.5, 0.75, 0.5
    loss = weighted_crossentropy((1.0, 2.0, 4.0))
    expected = -np.mean(np.array([1, 2, 2, 4]) * np.log([0.5, 0.5, 0.75, 0.5]))
    np.testing.assert_allclose(loss(REFERENCE, PREDICTION), [expected], rtol=1e-5)


def test_equal_weights_are_the_plain_crossentropy():
    plain = np.asarray(categorical_crossentropy(REFERENCE, PREDICTION))
    np.testing.assert_allclose(weighted_crossentropy((1, 1, 1))(REFERENCE, PREDICTION), plain, rtol=1e-6)
    np.testing.assert_allclose(weighted_crossentropy((3, 3, 3))(REFERENCE, PREDICTION), 3 * plain, rtol=1e-6)


def test_weights_that_cannot_be_meant_are_refused():
    for weights in [(1.0,), (1.0, 0.0, 1.0), (1.0, -1.0, 1.0), (1.0, float("nan"), 1.0)]:
        with pytest.raises(ValueError, match="`weights` must be positive numbers, one per channel"):
            weighted_crossentropy(weights)
    with pytest.raises(ValueError, match="Received: 2 for 3 channels"):
        weighted_crossentropy((1.0, 4.0))(REFERENCE, PREDICTION)


def test_foreground_dice_by_hand():
    # LV and LA together: overlap 0.5 + 0.75 + 0.5, reference 3 pixels, prediction 2 + 1
    expected = 1 - (2 * 1.75 + 1) / (3 + 3 + 1)
    np.testing.assert_allclose(foreground_dice(REFERENCE, PREDICTION), [expected], rtol=1e-5)


def test_foreground_dice_counts_pixels_and_not_structures():
    reference = np.eye(3, dtype=np.float32)[np.array([[[1] * 99 + [2]]])]
    missed = np.eye(3, dtype=np.float32)[np.array([[[1] * 99 + [0]]])]
    assert float(np.asarray(foreground_dice(reference, missed))[0]) < 0.01
    assert float(np.asarray(multiclass_dice(reference, missed))[0]) > 0.2
    background = np.eye(3, dtype=np.float32)[np.zeros((1, 4, 4), int)]
    np.testing.assert_allclose(foreground_dice(background, background), [0.0], atol=1e-6)


def test_the_weighted_sum_has_a_fifth_of_the_dice():
    weights = (1.0, 2.0, 4.0)
    np.testing.assert_allclose(
        weighted_crossentropy_dice(weights)(REFERENCE, PREDICTION),
        np.asarray(weighted_crossentropy(weights)(REFERENCE, PREDICTION))
        + 0.2 * np.asarray(foreground_dice(REFERENCE, PREDICTION)),
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match="`weights` must be positive numbers, one per channel"):
        weighted_crossentropy_dice((1.0, 0.0, 1.0))


def test_a_student_that_says_what_its_teacher_says_has_nothing_to_learn():
    for temperature in (0.5, 1.0, 4.0):
        np.testing.assert_allclose(distillation(PREDICTION, PREDICTION, temperature=temperature), [0.0], atol=1e-6)


TEACHER = np.array([[[[0.8, 0.2]], [[0.5, 0.5]]]], np.float32)
STUDENT = np.array([[[[0.5, 0.5]], [[0.9, 0.1]]]], np.float32)


def test_distillation_by_hand():
    first = 0.8 * np.log(0.8 / 0.5) + 0.2 * np.log(0.2 / 0.5)
    second = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    np.testing.assert_allclose(distillation(TEACHER, STUDENT, temperature=1.0), [(first + second) / 2], rtol=1e-5)


def test_a_temperature_of_two_takes_the_square_roots_of_the_odds():
    """At T = 2 the odds 4 : 1 are 2 : 1, 9 : 1 are 3 : 1; and the loss is four times what it then is."""
    first = 2 / 3 * np.log((2 / 3) / 0.5) + 1 / 3 * np.log((1 / 3) / 0.5)
    second = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
    np.testing.assert_allclose(distillation(TEACHER, STUDENT, temperature=2.0), [2 * (first + second)], rtol=1e-5)


def test_a_certain_teacher_is_learnt_from_without_infinities():
    certain = np.array([[[[1.0, 0.0]]]], np.float32)
    for student in (certain, certain[..., ::-1]):
        assert np.isfinite(np.asarray(distillation(certain, student, temperature=1.0))).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf")])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(ValueError, match=rf"`temperature` must be positive\. Received: {temperature}"):
        distillation(TEACHER, STUDENT, temperature=temperature)
