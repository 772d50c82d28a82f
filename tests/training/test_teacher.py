"""A student learns beside its reference what a stronger run says; the run notes which, and only that one will do."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from data_pipeline.spec import open_dataset
from data_pipeline.splits import Split
from models.losses import distillation
from recipes import recipe_for
from recipes.base import Recipe, with_settings
from shell.errors import UserError
from tests.training.conftest import TINY, run_training, start_training
from tests.training.test_resume import assert_same_result
from training.checkpoint import load_checkpoint, save_checkpoint
from training.loop import Trainee, make_optimizer, objective_of, require_learnable
from training.run_folder import TeacherRecord, begin_run, build_model, load_run, read_teacher, save_model
from training.schedule import Progress
from training.teacher import check_teacher, lesson_of, require_teachable, teacher_record, teachers_split

STUDENT = with_settings(recipe_for("cart_unet"), [*TINY, "precision=float32"])
TEACHER = with_settings(recipe_for("unet1", "annulus"), TINY)
SPLIT = Split(("patient0001", "patient0002", "patient0003"), ("patient0004",), ("patient0005",), "by hand")


def write_run(folder: Path, recipe: Recipe, spec: str = "phantom") -> Path:
    """A run folder as training leaves it, of a network with random weights."""
    keras.utils.set_random_seed(5)
    begin_run(folder, recipe, SPLIT, spec)
    save_model(folder, build_model(recipe), epoch=1, monitor="val_dice", value=0.5)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "strong", TEACHER)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((2, 32, 32, 1), dtype=np.float32)


@pytest.fixture
def answers(images) -> dict[str, np.ndarray]:
    values = np.random.default_rng(1).random((2, 32, 32, 4), dtype=np.float32) + 0.1
    return {"probabilities": values / values.sum(-1, keepdims=True)}


def test_the_lesson_is_the_weighted_distance_from_what_the_teacher_says(teacher, images, answers):
    recipe = dataclasses.replace(STUDENT, distillation_weight=0.5, distillation_temperature=3.0)
    said = load_run(teacher).predict(images)["probabilities"]
    expected = 0.5 * np.asarray(distillation(said, answers["probabilities"], temperature=3.0))
    found = lesson_of(teacher_record(teacher), recipe)(images, answers)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-4)


def test_classes_are_matched_by_name(teacher, images, answers):
    other = dataclasses.replace(STUDENT, classes=("BACKGROUND", "LA", "LV", "MYO"))
    moved = {"probabilities": answers["probabilities"][..., [0, 3, 1, 2]]}
    np.testing.assert_allclose(
        np.asarray(lesson_of(teacher_record(teacher), other)(images, moved)),
        np.asarray(lesson_of(teacher_record(teacher), STUDENT)(images, answers)),
        rtol=1e-5,
    )


def test_a_teacher_on_another_grid_sees_the_frame_on_its_own(tmp_path, images, answers):
    finer = write_run(tmp_path / "finer", dataclasses.replace(TEACHER, input_height=64, input_width=96))
    found = np.asarray(lesson_of(teacher_record(finer), STUDENT)(images, answers))
    assert found.shape == (2,)
    assert np.isfinite(found).all()


def make_trainee(teacher: Path) -> tuple[keras.Model, Trainee]:
    keras.utils.set_random_seed(2)
    network = build_model(STUDENT)
    trainee = Trainee(network, objective_of(STUDENT), STUDENT.deep_supervision, len(STUDENT.classes))
    trainee.compile(make_optimizer(STUDENT), jit_compile=False)
    trainee.optimizer.build(trainee.trainable_variables)
    trainee.lesson = lesson_of(teacher_record(teacher), STUDENT)
    return network, trainee


def test_steps_resumed_from_a_checkpoint_are_those_of_one_go_and_the_teacher_stays_as_it_is(teacher, images, tmp_path):
    labels = np.eye(4, dtype=np.float32)[np.random.default_rng(3).integers(0, 4, (2, 32, 32))]
    network, whole = make_trainee(teacher)
    whole.train_on_batch(images, labels)
    save_checkpoint(tmp_path, whole, Progress(epoch=1))
    first = whole.train_on_batch(images, labels)
    _, resumed = make_trainee(teacher)
    load_checkpoint(tmp_path, resumed)
    assert resumed.train_on_batch(images, labels) == first
    for ours, theirs in zip(resumed.variables, whole.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    sides = 2 * len(STUDENT.deep_supervision)  # a kernel and a bias each; of the teacher nothing
    assert len(whole.trainable_variables) == len(network.trainable_variables) + sides
    assert len(whole.variables) == len(network.variables) + sides
    untouched = lesson_of(teacher_record(teacher), STUDENT)
    answer = {"probabilities": np.full((2, 32, 32, 4), 0.25, np.float32)}
    np.testing.assert_array_equal(np.asarray(whole.lesson(images, answer)), np.asarray(untouched(images, answer)))


def test_deep_supervision_names_layers_of_the_network():
    network = build_model(STUDENT)
    require_learnable(network, STUDENT)
    wrong = dataclasses.replace(STUDENT, deep_supervision=("decoder_3_conv2_rel",))
    with pytest.raises(
        ValueError, match=r"Received: decoder_3_conv2_rel; did you mean decoder_3_conv2_relu\? .*deep_supervision=none"
    ):
        require_learnable(network, wrong)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"classes": ("BACKGROUND", "LV", "LA")},
            r"has the student's classes.*Received: BACKGROUND, LV, LA; give --set",
        ),
        ({"oracle_margin": 0.05}, r"only the box of the reference \(oracle_margin 0\.05\); give another teacher"),
        (
            {"normalise": "zscore"},
            r"as the student's, normalise unit\. Received: normalise zscore; give --set normalise",
        ),
        (
            {"clahe": True, "clahe_tiles": 4},
            r"clahe False.*Received: clahe True, .*clahe_tiles 4; give --set clahe=true",
        ),
        ({"crop_mm": 150.0}, r"crop_mm None\. Received: crop_mm 150\.0; give --set crop_mm=150\.0"),
    ],
)
def test_a_teacher_sees_and_says_what_its_student_shall(changed, message):
    with pytest.raises(UserError, match=message):
        require_teachable(STUDENT, dataclasses.replace(TEACHER, **changed), Path("runs/strong"))


def test_what_cannot_change_the_image_does_not_matter():
    other = dataclasses.replace(TEACHER, clahe_tiles=4, input_height=512)
    assert require_teachable(STUDENT, other, Path("runs/strong")) is None
    with pytest.raises(UserError, match="clahe_tiles 4"):  # with CLAHE the same tiles do matter
        require_teachable(STUDENT, dataclasses.replace(other, clahe=True), Path("runs/strong"))


def test_damaged_changed_and_missing_teachers_are_refused_by_name(teacher, tmp_path):
    with pytest.raises(UserError, match="nowhere: not a run folder"):
        teacher_record(tmp_path / "nowhere")
    damaged = Path(shutil.copytree(teacher, tmp_path / "damaged"))
    record = teacher_record(damaged)
    (damaged / "model.keras").write_bytes((damaged / "model.keras").read_bytes()[:-7])
    with pytest.raises(UserError, match="damaged: another network than the teacher that this run began with"):
        lesson_of(record, STUDENT)
    with pytest.raises(UserError, match=r"model\.keras: SHA-256 differs from model\.json"):
        lesson_of(teacher_record(damaged), STUDENT)
    (damaged / "model.keras").unlink()
    with pytest.raises(UserError, match="damaged: the teacher that this run began with is not there any more"):
        lesson_of(record, STUDENT)
    with pytest.raises(UserError, match="damaged: no model yet to teach with"):
        teacher_record(damaged)
    (damaged / "teacher.json").write_text('{"folder": "a"}')
    with pytest.raises(UserError, match=r"teacher\.json: not what names a teacher"):
        read_teacher(damaged)


def test_one_that_only_locates_neither_teaches_nor_is_taught(teacher, tmp_path):
    localiser = with_settings(
        recipe_for("alexnet_box"),
        [*TINY, "classes=lv_myo_la", "model_options.width=0.125", "input_height=64", "input_width=64"],
    )
    folder = write_run(tmp_path / "box", localiser)
    with pytest.raises(UserError, match=r"box: its alexnet_box gives no probabilities to teach.*Received: box"):
        lesson_of(teacher_record(folder), STUDENT)
    with pytest.raises(UserError, match=r"--teacher: alexnet_box gives no probabilities"):
        check_teacher(build_model(localiser), localiser, teacher)


def test_the_teachers_split_is_the_students(hearts, teacher, tmp_path):
    dataset = open_dataset(hearts)
    split = teachers_split(teacher, dataset)
    assert split is not None
    assert (split.train, split.val, split.test) == (SPLIT.train, SPLIT.val, SPLIT.test)
    assert split.source == "by hand (of the teacher, strong)"
    real = write_run(tmp_path / "real", TEACHER, spec="camus:anywhere")
    assert teachers_split(real, dataset) is None
    fewer = dataclasses.replace(dataset, cases=tuple(c for c in dataset.cases if c.patient_id != "patient0002"))
    with pytest.raises(
        UserError, match=r"trained on 5 patients, here are 4; not in both: patient0002\. Give the teacher"
    ):
        teachers_split(teacher, fewer)


def student_of(teacher: Path, folder: Path, *more: str | Path) -> list[str | Path]:
    options = ["--model", "cart_unet", "--teacher", teacher, "--out", folder]
    return [*options, "--set", *TINY, "epochs=4", "distillation_weight=2", *more]


@pytest.mark.slow
def test_a_student_killed_and_resumed_is_the_one_that_never_was_and_its_teacher_must_stay(hearts, tmp_path):
    strong, whole, killed = tmp_path / "strong", tmp_path / "whole", tmp_path / "killed"
    write_run(strong, TEACHER, spec=hearts)
    code, _, errors = run_training(*student_of(strong, whole))
    assert code == 0, errors
    split = json.loads((whole / "split.json").read_text())
    assert {name: tuple(split[name]) for name in ("train", "val", "test")} == {
        name: SPLIT.of(name) for name in ("train", "val", "test")
    }
    record = read_teacher(whole)
    assert record == TeacherRecord(str(strong), "unet1", "annulus", teacher_record(strong).sha256)
    assert json.loads((whole / "environment.json").read_text())["teacher"] == dataclasses.asdict(record)
    assert list(load_run(whole).predict(np.zeros((1, 32, 32, 1), np.float32))) == ["probabilities"]

    process = start_training(*student_of(strong, killed))
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    process.kill()
    process.communicate()
    assert run_training("--resume", killed)[0] == 0
    assert_same_result(killed, whole)

    code, _, errors = run_training("--resume", killed, "--teacher", strong)
    assert (code, errors.count("\n")) == (2, 1)
    assert "leave out --teacher" in errors


def test_a_run_cannot_teach_itself(tmp_path):
    code, _, errors = run_training(*student_of(tmp_path / "one", tmp_path / "one"))
    assert (code, errors.count("\n")) == (2, 1)
    assert "a run cannot be its own teacher" in errors
