"""What a study is: the networks it trains, how often, and the tables of its paper that they fill."""

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recipes import recipe_for
from recipes.base import Recipe, with_settings
from shell.errors import UsageError
from studies.figures import Figure


@dataclass(frozen=True)
class Network:
    """One network as a study trains it.

    Attributes:
        name: of its jobs, the same in every plan that trains the same: `u_l2-mu-m15`.
        model: registry name.
        recipe: recipe name.
        settings: `key=value` on top of the recipe; what tells it from the study's other networks.
    """

    name: str
    model: str
    recipe: str
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A figure of the paper's table.

    Attributes:
        key: in files, `dice_LV`.
        group: heading over neighbouring columns, may be empty.
        name: heading of the column.
        figure: takes it from an evaluation, in the paper's unit.
        unit: `mm`, `ml`, `%` or empty.
        digits: decimals, as the paper has them.
        needs: structures that a network must outline for it.
    """

    key: str
    group: str
    name: str
    figure: Figure
    unit: str = ""
    digits: int = 3
    needs: tuple[str, ...] = ()


Stated = float | tuple[float, float]
"""A figure of the paper, with its standard deviation where the paper gives one."""


@dataclass(frozen=True)
class Row:
    """A row of the paper's table.

    Attributes:
        name: as the paper has it.
        network: what fills it; None where only the paper's figures stand (an observer).
        paper: column key → the paper's figure; a column not named has none.
        note: what there is to say about the paper's figures.
        figures: column key → how this row takes its figure, where it is not as the others do.
    """

    name: str
    network: Network | None
    paper: Mapping[str, Stated]
    note: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])

    def stated(self, column: Column) -> tuple[float | None, float]:
        """The paper's figure of a column and its standard deviation: None where it has none, NaN where no deviation."""
        stated = self.paper.get(column.key)
        return stated if isinstance(stated, tuple) else (stated, math.nan)

    def figure(self, column: Column) -> Figure:
        """How the row's figure of a column is taken from an evaluation."""
        return self.figures.get(column.key, column.figure)


@dataclass(frozen=True)
class Table:
    """One table of the paper.

    Attributes:
        key: in files, `table4`.
        title: as the page has it.
        columns, rows: as named.
        notes: sentences below it.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PaperData:
    """What the paper was trained and tested on.

    Attributes:
        text: in words, with its size.
        kind: kind of our data set that is the same, as in `--data camus:PATH`; None where nobody else has it.
        train_patients: patients trained on, for one network; None where the paper does not say.
    """

    text: str
    kind: str | None = None
    train_patients: int | None = None


@dataclass(frozen=True)
class Plan:
    """A paper's study.

    Attributes:
        name: as `reproduce.py` takes it.
        title: one line.
        paper: citation.
        data: the paper's data.
        default_data: what it runs on when no `--data` is given.
        tables: of the paper.
        folds: cross-validation folds; `(None,)` is the recipe's one split.
        seeds: of split, weights, shuffling and augmentation.
        version: to be raised when the same settings come to mean another training or evaluation.
    """

    name: str
    title: str
    paper: str
    data: PaperData
    default_data: str
    tables: tuple[Table, ...]
    folds: tuple[int | None, ...] = (None,)
    seeds: tuple[int, ...] = (0,)
    version: int = 1

    @property
    def networks(self) -> tuple[Network, ...]:
        """What it trains, each once, in the order of its tables."""
        return tuple(dict.fromkeys(row.network for table in self.tables for row in table.rows if row.network))


def own_recipe(network: Network) -> Recipe:
    """The recipe that the paper's row stands for."""
    return with_settings(recipe_for(network.model, network.recipe), network.settings)


def changed_recipe(network: Network, settings: Sequence[str], seed: int) -> Recipe:
    """The recipe of a job: the user's settings, and over them what tells the networks of a study apart.

    Raises:
        UsageError: a setting that the recipe does not take; names the network.
    """
    try:
        recipe = with_settings(recipe_for(network.model, network.recipe), settings_of(network, settings, seed))
    except ValueError as error:
        raise UsageError(f"{network.name}: {error}") from error
    return recipe


def settings_of(network: Network, settings: Sequence[str], seed: int) -> tuple[str, ...]:
    """All `--set` settings of a job, in the order in which they apply.

    Raises:
        UsageError: the seed among the user's settings.
    """
    if any(setting.partition("=")[0] == "seed" for setting in settings):
        raise UsageError("the seed of a study is not a setting; give --seeds")
    return (*settings, *network.settings, f"seed={seed}")


def only(plan: Plan, names: Iterable[str]) -> tuple[Network, ...]:
    """The networks of a plan by their names, or by the names of their rows; all of them where none is named.

    Raises:
        UsageError: an unknown name; the known ones are listed.
    """
    wanted = list(names)
    if not wanted:
        return plan.networks
    by_name: dict[str, list[Network]] = {}
    for table in plan.tables:
        for row in table.rows:
            if row.network is not None:
                for name in {row.name, row.network.name}:
                    by_name.setdefault(name, []).append(row.network)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise UsageError(unknown_name("network", unknown[0], [network.name for network in plan.networks]))
    chosen = {network for name in wanted for network in by_name[name]}
    return tuple(network for network in plan.networks if network in chosen)


def unknown_name(what: str, received: str, known: Sequence[str]) -> str:
    """One line that lists the known names and the nearest."""
    near = difflib.get_close_matches(received, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"`{what}` must be one of {', '.join(known)}. Received: {received}.{hint}"
