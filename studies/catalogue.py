"""The studies by name."""

from shell.errors import UsageError
from studies.cmr import CMR_TABLE1
from studies.hinge_points import HINGE_POINTS
from studies.improved_resunet import IMPROVED_RESUNET_TABLE2
from studies.lu_net import LU_NET_MOTIVATION, LU_NET_TABLE1, LU_NET_TABLE2
from studies.plan import Plan, unknown_name
from studies.vds_unet import VDS_UNET_TABLE4

PLANS: dict[str, Plan] = {
    "hinge_points": HINGE_POINTS,
    "vds_unet_table4": VDS_UNET_TABLE4,
    "improved_resunet_table2": IMPROVED_RESUNET_TABLE2,
    "lu_net_table1": LU_NET_TABLE1,
    "lu_net_table2": LU_NET_TABLE2,
    "lu_net_motivation": LU_NET_MOTIVATION,
    "cmr_table1": CMR_TABLE1,
}
"""Name, as `reproduce.py` takes it → plan."""


def plan_by_name(name: str) -> Plan:
    """A plan of `PLANS`.

    Raises:
        UsageError: an unknown name; the known ones are listed, the nearest one named.
    """
    if name not in PLANS:
        raise UsageError(unknown_name("plan", name, list(PLANS)))
    return PLANS[name]
