"""Networks × folds × seeds, and the digest by which a job is known."""

import shutil
from pathlib import Path

import pytest

from recipes import recipe_for
from shell.errors import UsageError, UserError
from studies.catalogue import PLANS
from studies.jobs import Job, make_jobs, shown
from studies.plan import only
from tests.data_pipeline.camus_files import write_dataset, write_lists
from tests.studies.made import finished, made_job, row

PLAN = PLANS["lu_net_table2"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("camus")
    write_dataset(root, [f"patient{number:04d}" for number in range(1, 13)], views=["4CH"])
    return root


def jobs_of(data: Path, out: Path, *names: str, folds=(None,), seeds=(0,), settings=(), plan=PLAN) -> list[Job]:
    networks = only(plan, names or ["unet1"])
    return make_jobs(plan, networks, data=f"camus:{data}", folds=folds, seeds=seeds, settings=settings, out=out)


def test_networks_by_folds_by_seeds(data: Path, tmp_path: Path) -> None:
    jobs = jobs_of(data, tmp_path, "unet1", "ru_net", folds=(1, 2), seeds=(0, 7))
    assert [(job.seed, job.fold, job.network) for job in jobs] == [
        (seed, fold, network) for seed in (0, 7) for fold in (1, 2) for network in ("unet1", "ru_net")
    ]
    assert len({job.digest for job in jobs}) == len({job.folder for job in jobs}) == 8
    assert {job.recipe.seed for job in jobs} == {0, 7}


def test_the_commands_of_a_job(data: Path, tmp_path: Path) -> None:
    (job,) = jobs_of(data, tmp_path / "out", "LU-Net-m15", folds=(3,), seeds=(2,), settings=["epochs=1"])
    run = tmp_path / "out" / "jobs" / job.name / "run"
    assert job.name == f"lu_net-m15-fold3-seed2-{job.digest[:12]}"
    assert shown(job.begin) == (
        f"python train.py --model lu_net --recipe lu_net --data camus:{data} --out {run} --fold 3 "
        "--set epochs=1 box_margin=0.15 seed=2"
    )
    assert shown(job.resume) == f"python train.py --resume {run}"
    assert shown(job.evaluate) == f"python evaluate.py --run {run} --out {run.parent / 'evaluation'}"
    assert (job.data_kind, job.patients) == ("camus", (10, 1, 1))  # 12 patients: the third tenth is one
    assert job.state() == "to do"


def test_the_same_job_has_the_same_digest_wherever_it_lies(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    (one,), (other,) = jobs_of(data, tmp_path / "a"), jobs_of(copy, tmp_path / "b")
    assert one.digest == other.digest
    assert one.name == other.name


def test_whatever_a_result_depends_on_changes_the_digest(data: Path, tmp_path: Path) -> None:
    import dataclasses

    changed_data = tmp_path / "changed"
    shutil.copytree(data, changed_data)
    write_dataset(changed_data, ["patient0013"], views=["4CH"])
    variants = {
        "as it is": jobs_of(data, tmp_path),
        "another seed": jobs_of(data, tmp_path, seeds=(1,)),
        "another fold": jobs_of(data, tmp_path, folds=(1,)),
        "another setting": jobs_of(data, tmp_path, settings=["learning_rate=0.01"]),
        "another network": jobs_of(data, tmp_path, "ag_unet"),
        "other data": jobs_of(changed_data, tmp_path),
        "another plan": jobs_of(data, tmp_path, plan=dataclasses.replace(PLAN, version=PLAN.version + 1)),
    }
    digests = {what: job.digest for what, (job,) in variants.items()}
    assert len(set(digests.values())) == len(variants)


def test_other_official_lists_are_another_job(data: Path, tmp_path: Path) -> None:
    names = [f"patient{number:04d}" for number in range(1, 13)]
    digests = set()
    for test in (names[0], names[1]):
        rest = [name for name in names if name not in (test, names[2])]
        write_lists(tmp_path / test, 1, " ".join(rest), names[2], test)
        networks = only(PLAN, ["unet1"])
        spec = f"camus:{data}?splits={tmp_path / test}"
        (job,) = make_jobs(PLAN, networks, data=spec, folds=(1,), seeds=(0,), settings=(), out=tmp_path)
        assert job.patients == (10, 1, 1)
        digests.add(job.digest)
    assert len(digests) == 2


def test_plans_share_the_jobs_that_are_the_same(data: Path, tmp_path: Path) -> None:
    (one,) = jobs_of(data, tmp_path)
    (other,) = jobs_of(data, tmp_path, plan=PLANS["lu_net_motivation"])
    assert one == other


def test_words_about_a_recipe_change_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    import recipes

    (before,) = jobs_of(data, tmp_path)
    renamed = dataclasses.replace(recipe_for("unet1"), paper="in other words")
    monkeypatch.setitem(recipes.RECIPES, "lu_net_segmentation", renamed)
    (after,) = jobs_of(data, tmp_path)
    assert after.digest == before.digest


def test_a_structure_that_the_data_lack_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MV"):
        jobs_of(data, tmp_path, "vds_unet", plan=PLANS["vds_unet_table4"])
    (job,) = jobs_of(data, tmp_path, "vds_unet", plan=PLANS["vds_unet_table4"], settings=["classes=lv_la"])
    assert job.recipe.class_weights == {"BACKGROUND": 1.0, "LV": 1.0, "LA": 1.0}


def test_a_fold_that_there_is_not_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="from 1 to 10"):
        jobs_of(data, tmp_path, folds=(11,))


def test_a_split_without_test_patients_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unet1: its split leaves no patient to test; .*train_share"):
        jobs_of(data, tmp_path, settings=["train_share=0.9", "val_share=0.1"])


def test_states(tmp_path: Path) -> None:
    job = made_job(tmp_path)
    assert job.state() == "to do"
    job.run.mkdir(parents=True)
    assert job.state() == "to do"
    (job.run / "recipe.json").write_text("{}")
    assert job.state() == "begun"
    (job.folder / "state.json").write_text(f'{{"digest": "{job.digest}", "trained": true, "evaluated": false}}')
    assert job.state() == "trained"
    finished(job, [row("a_4CH_ED", "LV", "dice", 0.9)])
    assert job.state() == "done"
    (job.evaluation / "cases.csv").unlink()  # somebody tidied up: it is evaluated again
    assert job.state() == "trained"
    (job.folder / "state.json").write_text('{"digest": "another", "trained": true, "evaluated": true}')
    assert job.state() == "begun"
