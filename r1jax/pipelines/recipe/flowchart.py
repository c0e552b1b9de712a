"""A run of stages in text: a flowchart of Mermaid, which viewers of Markdown draw."""

from collections.abc import Sequence
from typing import NamedTuple

KINDS = ("model", "data", "reward model", "exam", "check")
# of the boxes of a kind; those that stand last win
STYLES = {
    "model": "fill:#e5f0f7,stroke:#0072b2,color:#1f1f1f",
    "data": "fill:#e5f5f1,stroke:#009e73,color:#1f1f1f",
    "reward_model": "fill:#fdf5e5,stroke:#e69f00,color:#1f1f1f",
    "exam": "fill:#faf1f6,stroke:#cc79a7,color:#1f1f1f",
    "check": "fill:#f0f0f0,stroke:#666666,color:#1f1f1f",
    "optional": "stroke-dasharray:5 3",
    "faint": "fill:#f0f0f0,stroke:#999999,color:#999999",
}


class Node(NamedTuple):
    """A stage as a box.

    Attributes:
      name, pipeline, figure: texts in it.
      kind: of its pipeline.
      inputs: names of the stages it reads, all before it.
      faint: not done yet.
      optional: an arm beside the recipe.
    """

    name: str
    pipeline: str
    figure: str
    kind: str
    inputs: tuple[str, ...]
    faint: bool
    optional: bool


def exams_of(nodes: Sequence[Node]) -> dict[str, list[Node]]:
    """Returns model -> the exams that nothing reads and that examine no other model."""
    kinds = {node.name: node.kind for node in nodes}
    read = {name for node in nodes for name in node.inputs}
    exams: dict[str, list[Node]] = {}
    for node in nodes:
        models = [name for name in node.inputs if kinds[name] == "model"]
        if node.kind == "exam" and node.name not in read and len(models) == 1:
            exams.setdefault(models[0], []).append(node)
    return exams


def _escaped(text: str) -> str:
    """Returns a text whose marks mean nothing to Mermaid, within quotes."""
    marks = {"&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;", "#": "#35;"}
    return "".join(marks.get(letter, letter) for letter in text)


def flowchart(nodes: Sequence[Node]) -> str:
    """Returns a fenced block of Mermaid: the stages, and who reads whom.

    Args:
      nodes: in an order in which inputs come first. Their ids are s1, s2, ..., as the report counts
        stages: a name may be a word of Mermaid's, such as "end".
    """
    ids = {node.name: f"s{number}" for number, node in enumerate(nodes, 1)}
    boxes, arrows = [], []
    for node in nodes:
        texts = [_escaped(text) for text in (node.name, node.pipeline, node.figure) if text]
        label = "<br/>".join(texts)
        boxes.append(f'    {ids[node.name]}["{label}"]')
        arrows += [f"    {ids[source]} --> {ids[node.name]}" for source in node.inputs]
    members = {kind.replace(" ", "_"): [n for n in nodes if n.kind == kind] for kind in KINDS}
    members |= {
        "optional": [n for n in nodes if n.optional],
        "faint": [n for n in nodes if n.faint],
    }
    styles = []
    for name, some in members.items():
        if some:
            styles.append(f"    classDef {name} {STYLES[name]}")
            styles.append(f"    class {','.join(ids[node.name] for node in some)} {name}")
    return "\n".join(["```mermaid", "flowchart TD", *boxes, *arrows, *styles, "```"])
