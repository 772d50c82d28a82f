"""How an evaluation was made."""

from collections.abc import Iterable, Mapping
from typing import Any

from reports.cells import Cell, Missing, Table, ours, plain
from reports.evaluation_folder import Evaluation


def provenance_table(evaluation: Evaluation) -> Table | Missing:
    """How the evaluation was made: command, model, data, versions, recipe."""
    title = "Command, model, data, versions and recipe"
    sources = {
        "": evaluation.run,
        "confidence intervals": evaluation.block("bootstrap"),
        "training": evaluation.environment,
        "recipe": evaluation.recipe,
    }
    rows = [
        (Cell(f"{source}: {key}" if source else key), *ours(text))
        for source, values in sources.items()
        if values
        for key, text in _flattened(values)
        if key != "cases"  # every frame's name: they are in the table of cases
    ]
    absent = [
        name
        for name, values in (
            ("run.json", evaluation.run),
            ("environment.json", evaluation.environment),
            ("recipe.json", evaluation.recipe),
        )
        if values is None
    ]
    lacking = f"Not in the evaluation folder: {', '.join(absent)}."
    if len(absent) == len(sources) - 1:
        return Missing(title, lacking)
    return Table(
        "provenance",
        title,
        plain("what", "value"),
        tuple(rows),
        (lacking,) if absent else (),
    )


def _flattened(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{name} ")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(str(v) for v in value)
        else:
            yield name, "none" if value is None else str(value)
