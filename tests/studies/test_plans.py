"""The plans say what the papers' tables say, and can be run."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import pytest

from recipes.base import to_dict
from reports import paper
from reports.sections import improved_resunet, localisation, lu_net, vds_unet
from shell.errors import UsageError
from studies.catalogue import PLANS, plan_by_name
from studies.plan import Network, Plan, changed_recipe, only, own_recipe, settings_of

NETWORKS = [(plan.name, network) for plan in PLANS.values() for network in plan.networks]


def paper_rows(plan: str, table: str, *, sd: bool = False) -> dict[str, tuple[float, ...]]:
    """Name → the paper's figures, or their standard deviations, in the order of the columns that have one."""
    found = next(found for found in PLANS[plan].tables if found.key == table)
    return {
        row.name: tuple(row.stated(column)[sd] for column in found.columns if column.key in row.paper)
        for row in found.rows
    }


def test_the_vds_unet_papers_table_4() -> None:
    assert paper_rows("vds_unet_table4", "table4") == {
        "UNet": (0.917, 0.913, 0.736),
        "UNet(VGG16)": (0.917, 0.909, 0.726),
        "UNet(ds)": (0.93, 0.909, 0.72),
        "VDS-UNet": (0.935, 0.915, 0.757),
    }
    assert paper_rows("vds_unet_table4", "table2") == {
        "VDS-UNet": (0.991, 0.934, 0.925, 0.794, 0.880, 0.847, 0.615, 0.935, 0.915, 0.757)
    }
    assert [network.model for network in PLANS["vds_unet_table4"].networks] == [
        "unet",
        "unet_vgg16",
        "unet_ds",
        "vds_unet",
    ]


def test_the_improved_resunet_papers_table_2() -> None:
    assert paper_rows("improved_resunet_table2", "table2") == {
        "U-Net": (87.35, 97.36),
        "ResUNet": (90.67, 97.82),
        "Improved ResUNet": (92.38, 98.73),
    }


def test_the_hinge_point_papers_tables() -> None:
    assert paper_rows("hinge_points", "table1") == {"proposed": (0.931, 0.915), "Leclerc 2019": (0.939, 0.916)}
    assert paper_rows("hinge_points", "table2") == {"proposed": (27.9, 24.4, 31.3, 26.3, 28.8, 28.3, 31.7, 26.1)}
    assert paper_rows("hinge_points", "table3") == {"proposed": (1.35, 0.75)}
    (network,) = PLANS["hinge_points"].networks
    assert own_recipe(network).classes == ("BACKGROUND", "LV", "LA")  # §3.2: the paper's three


def test_the_lu_net_papers_table_1() -> None:
    assert paper_rows("lu_net_table1", "table1") == {
        "AlexNet-m5": (0.880, 2.2, 1.9, 4.2, 4.1, 43),
        "VGG-m5": (0.888, 1.9, 1.7, 4.0, 4.0, 45),
        "U-L1-m5": (0.849, 3.1, 2.7, 5.3, 4.9, 55),
        "U-L2-mo-m5": (0.791, 4.2, 4.4, 7.1, 6.9, 70),
        "U-L2-mu-m5": (0.898, 1.6, 1.9, 3.2, 3.6, 36),
        "U-L2-mu-m15": (0.907, 1.6, 1.7, 3.7, 4.3, 2),
    }
    recipes = {network.name: own_recipe(network) for network in PLANS["lu_net_table1"].networks}
    assert {name: (recipe.loss, recipe.box_margin) for name, recipe in recipes.items()} == {
        "alexnet_box-mo-m5": ("box", 0.05),
        "vgg19_box-mo-m5": ("box", 0.05),
        "u_l1-mu-m5": ("box_segmentation", 0.05),
        "u_l2-mo-m5": ("box", 0.05),
        "u_l2-mu-m5": ("box_segmentation", 0.05),
        "u_l2-mu-m15": ("box_segmentation", 0.15),
    }


def test_the_lu_net_papers_table_2() -> None:
    assert paper_rows("lu_net_table2", "table2") == {
        "intra-observer": (0.937, 1.4, 4.5, 0.954, 1.7, 5.0, 13),
        "U-Net1": (0.920, 1.7, 5.6, 0.947, 1.9, 6.2),  # its share of outliers is cut off
        "RU-Net": (0.925, 1.7, 5.4, 0.950, 1.8, 5.8, 15),
        "AG-U-Net": (0.930, 1.5, 5.3, 0.950, 1.8, 5.9, 17),
        "LU-Net-m5": (0.932, 1.7, 5.5, 0.953, 1.5, 5.1, 11),
        "LU-Net-m15": (0.952,),  # the rest is scrambled
    }
    margins = [own_recipe(network).box_margin for network in PLANS["lu_net_table2"].networks[-2:]]
    assert margins == [0.05, 0.15]


def test_the_lu_net_papers_table_3() -> None:
    rows = paper_rows("lu_net_table2", "table3")
    assert rows["U-Net1"][-4:] == (0.791, -0.5, 15.1, 5.6)  # EF: correlation, bias, limits, mean absolute error
    assert rows["LU-Net-m5"] == (0.956, 1.4, 21.8, 8.3, 0.956, 1.6, 18.0, 7.0, 0.829, -1.5, 13.5, 5.0)
    assert rows["intra-observer"][-4:] == (0.896, -2.3, 11.2, 4.5)


def test_the_lu_net_papers_table_4_and_its_localisation() -> None:
    assert paper_rows("lu_net_table2", "table4") == {
        "U-Net1": (2.0, 6.1, 2.0, 6.5, 21, 5, 4),
        "LU-Net-m5-o1": (2.1, 7.0, 1.9, 6.2, 24, 10, 7),
        "LU-Net-m5-o2": (1.8, 5.7, 1.6, 5.3, 12, 2, 1),
    }
    assert paper_rows("lu_net_table2", "localisation") == {
        "LU-Net-m5": (0.906, 1.5, 1.5, 3.3, 3.5),
        "LU-Net-m15": (),
    }  # §V-D


def test_the_lu_net_papers_motivation_study() -> None:
    rows = paper_rows("lu_net_motivation", "table2-motivation")
    assert {name: rows[name] for name in ("BB-m5", "BB-m15", "BB-m30")} == {
        "BB-m5": (0.941, 1.3, 4.3, 0.971, 1.0, 4.1, 5.5),
        "BB-m15": (0.940, 1.3, 4.4, 0.969, 1.1, 4.3, 6.5),
        "BB-m30": (0.937, 1.4, 4.7, 0.966, 1.2, 4.6, 7.6),
    }
    margins = [own_recipe(network).oracle_margin for network in PLANS["lu_net_motivation"].networks]
    assert margins == [0.05, 0.15, 0.3, None]


def test_the_cine_mr_papers_table_1() -> None:
    rows = paper_rows("cmr_table1", "table1")
    assert rows["WCE"] == (0.944, 7.2, 0.948, 0.908, 7.3, 0.881, 0.851, 5.9, 0.828)
    assert rows["WCE+Dice"] == (0.942, 7.4, 0.966, 0.892, 9.3, 0.844, 0.849, 5.8, 0.815)
    assert rows["WCE, 100 % only"] == (0.946, 6.2, 0.950, 0.909, 7.1, 0.882, 0.853, 5.4, 0.831)
    assert rows["WCE+Dice, 100 % only"] == (0.944, 6.5, 0.969, 0.897, 8.2, 0.853, 0.851, 5.5, 0.817)
    assert paper_rows("cmr_table1", "table1_volumes") == rows
    assert paper_rows("cmr_table1", "table3") == {
        "FCN": (0.99, -1, 12, 0.98, -1, 14, 0.99, 6, 12, 0.95, 6, 14, 0.92, 6, 26, 0.92, 5, 26),
        "FCN+corr": (0.99, -2, 13, 0.98, -2, 14, 0.98, 4, 14, 0.96, 7, 12, 0.92, 7, 26, 0.91, 6, 28),
    }
    assert [(network.model, network.recipe) for network in PLANS["cmr_table1"].networks] == [
        ("dense_unet", "cmr_wce"),
        ("dense_unet", "cmr_wce_dice"),
    ]


@pytest.mark.parametrize("name", ["lu_net_table1", "lu_net_table2", "lu_net_motivation"])
def test_the_lu_net_paper_has_ten_folds(name: str) -> None:
    assert PLANS[name].folds == tuple(range(1, 11))  # §IV-A


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_plan_fits_together(plan: Plan) -> None:
    assert PLANS[plan.name] is plan
    assert len({table.key for table in plan.tables}) == len(plan.tables)
    for table in plan.tables:
        keys = [column.key for column in table.columns]
        assert len(set(keys)) == len(keys)
        assert len({row.name for row in table.rows}) == len(table.rows)
        for row in table.rows:
            assert set(row.paper) | set(row.figures) <= set(keys), row.name
            if row.network is not None:
                for column in table.columns:
                    assert set(column.needs) <= set(own_recipe(row.network).classes), (row.name, column.key)


def test_a_networks_name_means_the_same_in_every_plan() -> None:
    by_name: dict[str, Network] = {}
    for _, network in NETWORKS:
        assert by_name.setdefault(network.name, network) == network


@pytest.mark.parametrize(("plan", "network"), NETWORKS, ids=[f"{plan}-{network.name}" for plan, network in NETWORKS])
def test_the_networks_of_a_plan_stay_apart_whatever_the_user_sets(plan: str, network: Network) -> None:
    settings = ["epochs=1", "box_margin=0.4", "model_options.width=0.125"]
    recipe = changed_recipe(network, settings, seed=3)
    assert (recipe.epochs, recipe.seed, recipe.model) == (1, 3, network.model)
    others = [other for other in PLANS[plan].networks if other != network]
    assert to_dict(recipe) not in [to_dict(changed_recipe(other, settings, seed=3)) for other in others]


def test_the_seed_is_no_setting() -> None:
    with pytest.raises(UsageError, match=r"not a setting; give --seeds"):
        settings_of(NETWORKS[0][1], ["seed=3"], 0)


def test_a_bad_setting_names_the_network() -> None:
    with pytest.raises(UsageError, match=r"unet_vgg16-lv_la: `epoch` is not a recipe setting; did you mean `epochs`\?"):
        changed_recipe(PLANS["hinge_points"].networks[0], ["epoch=3"], 0)


def test_networks_are_chosen_by_name_or_row() -> None:
    plan = PLANS["lu_net_table2"]
    assert [network.name for network in only(plan, [])] == [network.name for network in plan.networks]
    assert [network.name for network in only(plan, ["LU-Net-m5", "unet1"])] == ["unet1", "lu_net-m5"]
    assert [network.name for network in only(plan, ["LU-Net-m5-o1"])] == ["lu_net-m5"]
    with pytest.raises(UsageError, match=r"`network` must be one of unet1, .* Received: unet2\. Did you mean unet1\?"):
        only(plan, ["unet2"])
    with pytest.raises(UsageError, match="intra-observer"):
        only(plan, ["intra-observer"])


def test_an_unknown_plan_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"hinge_points, .* Received: lu_net_table3\. Did you mean lu_net_table\d\?"):
        plan_by_name("lu_net_table3")


def test_networks_of_a_plan_come_once_each() -> None:
    plan = PLANS["lu_net_table2"]
    assert len(plan.networks) == 5  # U-Net1 stands in three tables
    assert dataclasses.replace(plan, tables=plan.tables * 2).networks == plan.networks


def test_the_lu_net_papers_networks_have_its_two_structures() -> None:
    """§IV-E item 2: LV and MYO, so that a row compares with the paper's and the rows with each other."""
    for name in ("lu_net_table1", "lu_net_table2", "lu_net_motivation"):
        for network in PLANS[name].networks:
            assert own_recipe(network).classes == ("BACKGROUND", "LV", "MYO"), network.name


def test_reports_and_studies_quote_the_papers_alike() -> None:
    def alike(plan: str, table: str, stated: Mapping[str, Sequence[tuple[float, float | None]]]) -> None:
        """The first columns: the reports have outliers elsewhere."""
        for at in (False, True):
            rows = paper_rows(plan, table, sd=at)
            for name in rows.keys() & stated.keys():
                expected = [math.nan if pair[at] is None else pair[at] for pair in stated[name]]
                assert rows[name][: len(expected)] == pytest.approx(expected, nan_ok=True), (table, name)

    alike("lu_net_table1", "table1", {n: row[:-1] for n, row in localisation.TABLE_I.items()})
    shares = {name: row[-1] for name, row in paper_rows("lu_net_table1", "table1").items()}
    assert shares == {name: share for name, (*_, (_, share)) in localisation.TABLE_I.items()}
    alike("lu_net_motivation", "table2-motivation", lu_net.TABLE_II)
    alike("lu_net_table2", "table2", lu_net.TABLE_II)
    alike("lu_net_table2", "table4", lu_net.TABLE_IV)
    assert paper_rows("lu_net_table2", "localisation")["LU-Net-m5"] == localisation.LU_NET_M5
    (valve,) = paper_rows("vds_unet_table4", "table2").values()
    assert valve == (vds_unet.PA[0], *(mean for _, stated in vds_unet.TABLE_2.values() for mean, _ in stated))
    assert list(paper_rows("improved_resunet_table2", "table2").values()) == list(improved_resunet.TABLE_2.values())
    (dice, _) = paper_rows("hinge_points", "table1").values()
    assert dice == (paper.DICE_LV["ED"], paper.DICE_LV["ES"])
    (diameters,) = paper_rows("hinge_points", "table2").values()
    pairs = paper.DIAMETER_MM.values()
    assert diameters == (*(predicted for predicted, _ in pairs), *(reference for _, reference in pairs))
    (errors,) = paper_rows("hinge_points", "table3").values()
    assert errors == (paper.ABSOLUTE_ERROR_MM["col"][0], paper.ABSOLUTE_ERROR_MM["row"][0])
