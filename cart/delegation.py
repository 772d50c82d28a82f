"""Which operations of a TFLite model XNNPACK computes, and which are left to TFLite's own kernels."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DELEGATE = "DELEGATE"
"""What LiteRT calls the node that stands for all those that a delegate has taken over."""


@dataclass(frozen=True)
class Delegation:
    """What XNNPACK runs of a TFLite model; the rest falls to TFLite's own kernels, slower ones on one thread.

    Attributes:
        nodes: operations of the model.
        delegated: those that XNNPACK has taken over.
        parts: in so many pieces; data goes out of XNNPACK and in again between them.
        undelegated: operation → how many of it were not taken over.
    """

    nodes: int
    delegated: int
    parts: int
    undelegated: Mapping[str, int]


def delegation_of(artefact: Path, threads: int) -> Delegation:
    """What XNNPACK has taken over of a TFLite model, read off the graph as LiteRT has it after delegation.

    Each `DELEGATE` node names the tensors that go in and come out. What lies between them is delegated; every other
    node of the model still runs on its own. (The delegate's own count is a verbose line of LiteRT's log, which its
    Python package has no way to turn on; this is the same count, and it has names.)
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(artefact), num_threads=threads)
    interpreter.allocate_tensors()
    return count_delegated(interpreter._get_ops_details())


def count_delegated(nodes: Sequence[Mapping[str, Any]]) -> Delegation:
    """The same of LiteRT's list of nodes: each with `op_name`, and the tensors of its `inputs` and `outputs`."""
    own = [place for place, node in enumerate(nodes) if node["op_name"] != DELEGATE]
    parts = [node for node in nodes if node["op_name"] == DELEGATE]
    maker = {int(tensor): place for place in own for tensor in nodes[place]["outputs"]}
    taken: set[int] = set()
    for part in parts:
        outside = {int(tensor) for tensor in part["inputs"]}
        wanted = [int(tensor) for tensor in part["outputs"]]
        while wanted:
            tensor = wanted.pop()
            if tensor in outside or tensor not in maker or maker[tensor] in taken:
                continue
            taken.add(maker[tensor])
            wanted += [int(one) for one in nodes[maker[tensor]]["inputs"]]
    rest = Counter(str(nodes[place]["op_name"]) for place in own if place not in taken)
    return Delegation(len(own), len(taken), len(parts), dict(rest.most_common()))
