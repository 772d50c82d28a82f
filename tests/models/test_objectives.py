import numpy as np
import pytest
from keras import ops

from models.boxes import crop_one_hot, reference_box
from models.losses import LOSSES, multiclass_dice, weighted_crossentropy
from models.objectives import CLIP, OBJECTIVES, coarse_reference, deeply_supervised, objective

STRUCTURES = ("BACKGROUND", "LV", "MYO", "LA")
WHOLE = (0.0, 1.0, 0.0, 1.0)


def make(name: str, **options):
    settings = {"class_weights": {}, "box_structures": ("LV", "MYO"), "box_margin": 0.0, "box_weight": 10.0}
    return objective(name, STRUCTURES, **(settings | options))


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(len(STRUCTURES), dtype=np.float32)[labels]


@pytest.fixture
def heart() -> np.ndarray:
    """LV in rows 2..6, columns 2..4 of 8 × 10, MYO right of it, LA below: box (0.25, 0.75, 0.2, 0.5) with MYO."""
    labels = np.zeros((1, 8, 10), int)
    labels[0, 2:6, 2:4] = 1
    labels[0, 2:6, 4] = 2
    labels[0, 6:, 2:4] = 3
    return one_hot(labels)


@pytest.fixture
def probabilities() -> np.ndarray:
    values = np.random.default_rng(0).random((1, 8, 10, 4), dtype=np.float32)
    return values / values.sum(-1, keepdims=True)


@pytest.mark.parametrize("name", LOSSES)
def test_a_segmentation_loss_judges_the_probabilities(name, heart, probabilities):
    outputs = {"probabilities": probabilities, "box": np.zeros((1, 4), np.float32)}
    np.testing.assert_array_equal(make(name)(heart, outputs), LOSSES[name](heart, probabilities))


def test_class_weights_go_to_their_channels_by_name(heart, probabilities):
    weighted = make("weighted_crossentropy", class_weights={"LA": 4, "BACKGROUND": 0.5})
    np.testing.assert_allclose(
        weighted(heart, {"probabilities": probabilities}),
        weighted_crossentropy((0.5, 1.0, 1.0, 4.0))(heart, probabilities),
    )


def test_box_loss_by_hand(heart):
    box = make("box")
    np.testing.assert_allclose(box(heart, {"box": np.array([[0.25, 0.75, 0.2, 0.5]])}), [0.0], atol=1e-6)
    off = np.array([[0.2, 0.85, 0.2, 0.4]])  # 0.05 + 0.1 + 0 + 0.1
    np.testing.assert_allclose(box(heart, {"box": off}), [0.25], atol=1e-6)
    wild = np.array([[0.25 - 5, 0.75, 0.2, 0.5 + 1.5]])  # two edges beyond the clip
    np.testing.assert_allclose(box(heart, {"box": wild}), [2 * CLIP], atol=1e-6)


def test_box_structures_and_margin_make_the_reference(heart):
    with_la = make("box", box_structures=("LV", "LA"))
    np.testing.assert_allclose(with_la(heart, {"box": np.array([[0.25, 1.0, 0.2, 0.4]])}), [0.0], atol=1e-6)
    roomy = make("box", box_margin=0.1)
    np.testing.assert_allclose(roomy(heart, {"box": np.array([[0.2, 0.8, 0.17, 0.53]])}), [0.0], atol=1e-6)


def test_a_frame_without_the_box_structures_has_no_box_loss(heart):
    la_only = np.where(heart[..., 1:2] + heart[..., 2:3] > 0, one_hot(np.zeros((1, 8, 10), int)), heart)
    both = np.concatenate([la_only, heart])
    losses = np.asarray(make("box")(both, {"box": np.array([WHOLE, WHOLE])}))
    np.testing.assert_allclose(losses, [0.0, 0.25 + 0.25 + 0.2 + 0.5], atol=1e-6)


def test_box_and_segmentation_are_added_with_the_box_weight(heart, probabilities):
    outputs = {"probabilities": probabilities, "box": np.array([[0.2, 0.85, 0.2, 0.4]], np.float32)}
    expected = 7.0 * 0.25 + np.asarray(multiclass_dice(heart, probabilities))
    np.testing.assert_allclose(make("box_segmentation", box_weight=7.0)(heart, outputs), expected, rtol=1e-5)


def test_a_first_segmentation_is_judged_as_the_second(heart, probabilities):
    alone = np.asarray(make("multiclass_dice")(heart, {"probabilities": heart}))
    both = np.asarray(make("multiclass_dice")(heart, {"probabilities": heart, "first_probabilities": probabilities}))
    np.testing.assert_allclose(both - alone, np.asarray(multiclass_dice(heart, probabilities)), rtol=1e-5)
    assert float(both[0]) > 0.1


def test_lu_net_judges_the_crop_inside_the_predicted_box(heart, probabilities):
    # off the reference's box, one pixel up and left, so that a crop by the reference's box would not fit
    predicted = np.array([[1 / 8, 5 / 8, 1 / 10, 4 / 10]], np.float32)
    inside = np.asarray(heart)[:, 1:5, 1:4]
    outputs = {"box": predicted, "first_probabilities": probabilities, "crop_probabilities": inside}
    rest = 10.0 * (1 / 8 + 1 / 8 + 1 / 10 + 1 / 10) + np.asarray(multiclass_dice(heart, probabilities))
    np.testing.assert_allclose(make("lu_net")(heart, outputs), rest, rtol=1e-4)
    outputs["crop_probabilities"] = one_hot(np.zeros((1, 4, 3), int))
    reference = crop_one_hot(heart, predicted, (4, 3))
    expected = rest + np.asarray(multiclass_dice(reference, outputs["crop_probabilities"]))
    np.testing.assert_allclose(make("lu_net")(heart, outputs), expected, rtol=1e-5)


def test_lu_net_of_a_frame_without_a_heart_wants_nothing_drawn(probabilities):
    empty = one_hot(np.zeros((1, 8, 10), int))
    outputs = {"box": np.array([WHOLE]), "first_probabilities": empty, "crop_probabilities": empty}
    np.testing.assert_allclose(make("lu_net")(empty, outputs), [0.0], atol=1e-6)
    outputs["crop_probabilities"] = probabilities
    assert float(make("lu_net")(empty, outputs)[0]) > 0.5


def test_the_reference_crop_gives_the_box_no_gradient(heart):
    """Else a box could make its own task easy: onto the LV alone, where there is nothing left to draw."""
    import tensorflow as tf

    box = tf.Variable(reference_box(heart, (1, 2), 0.0)[0] + 0.02)
    inside = tf.constant(one_hot(np.ones((1, 4, 4), int)))

    def gradient_at(weight: float) -> np.ndarray:
        loss = make("lu_net", box_weight=weight)
        with tf.GradientTape() as tape:
            value = loss(heart, {"box": box, "first_probabilities": heart, "crop_probabilities": inside})
        return np.asarray(tape.gradient(value, box))

    np.testing.assert_allclose(gradient_at(10.0), 10.0 * np.ones((1, 4)), rtol=1e-5)  # L1: one an edge, and no more


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_gives_one_finite_loss_a_frame(name, heart, probabilities):
    outputs = {
        "box": np.array([WHOLE, WHOLE]),
        **dict.fromkeys(
            ("probabilities", "first_probabilities", "crop_probabilities"), np.concatenate([probabilities] * 2)
        ),
    }
    losses = np.asarray(ops.convert_to_numpy(make(name)(np.concatenate([heart, heart]), outputs)))
    assert losses.shape == (2,)
    assert np.isfinite(losses).all()
    assert losses[0] == pytest.approx(losses[1])


def test_wrong_names_say_what_is_known(heart, probabilities):
    with pytest.raises(ValueError, match=r"multiclass_dice.*lu_net\. Received: lunet\. Did you mean lu_net\?"):
        make("lunet")
    with pytest.raises(ValueError, match=r"`class_weights` must name structures among BACKGROUND, LV.*Received: MV"):
        make("weighted_crossentropy", class_weights={"MV": 4})
    for structures, received in (((), "none"), (("LV", "RV"), "LV, RV")):
        with pytest.raises(ValueError, match=f"`box_structures` must be at least one.*Received: {received}"):
            make("box", box_structures=structures)
    make("multiclass_dice", box_structures=("RV",))  # it has no box: what a recipe says of one does not matter
    with pytest.raises(
        ValueError, match=r"`loss` lu_net needs the outputs box, first_probabilities.*probabilities; choose"
    ):
        make("lu_net")(heart, {"probabilities": probabilities})


def test_a_coarse_pixel_has_the_shares_of_its_fine_ones():
    labels = np.array([[[0, 1, 2, 2], [1, 1, 2, 2]]])
    coarse = np.asarray(coarse_reference(one_hot(labels), (1, 2)))
    np.testing.assert_array_equal(coarse, [[[[0.25, 0.75, 0, 0], [0, 0, 1, 0]]]])
    with pytest.raises(ValueError, match=r"`grid` must divide the reference's, 2 x 4\. Received: \(2, 3\)"):
        coarse_reference(one_hot(labels), (2, 3))


def test_a_side_weighs_as_much_as_its_grid(heart, probabilities):
    side = probabilities[:, ::2, ::2]
    plain = make("dice_crossentropy")
    total = deeply_supervised(plain, ["side"])(heart, {"probabilities": probabilities, "side": side})
    fine = plain(heart, {"probabilities": probabilities})
    coarse = plain(coarse_reference(heart, (4, 5)), {"probabilities": side})
    np.testing.assert_allclose(total, (np.asarray(fine) + 0.5 * np.asarray(coarse)) / 1.5, rtol=1e-6)


def test_nothing_beside_the_answer_leaves_the_objective_as_it_is(heart, probabilities):
    plain = make("multiclass_dice")
    outputs = {"probabilities": probabilities}
    np.testing.assert_array_equal(deeply_supervised(plain, [])(heart, outputs), plain(heart, outputs))
