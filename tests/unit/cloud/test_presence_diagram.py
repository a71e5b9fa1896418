"""The diagram in docs/presence.md is drawn from the table. Again: python -m tests.unit.cloud.test_presence_diagram"""

from pathlib import Path

from serial2iot.cloud.presence_table import TABLE, State

PAGE = Path(__file__).parents[3] / "docs" / "presence.md"
BEGIN, END = "```mermaid\n", "```\n"


def drawn() -> str:
    """The table as a mermaid state diagram: one arrow for each pair of states, its events on it."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, event), to in TABLE.items():
        if to is not state:
            arrows.setdefault((state, to), []).append(event.name)
    lines = ["stateDiagram-v2", "    [*] --> OFFLINE"]
    lines += [f"    {a.name} --> {b.name}: {', '.join(events)}" for (a, b), events in arrows.items()]
    return "\n".join([*lines, "    GONE --> [*]"]) + "\n"


def split() -> tuple[str, str, str]:
    """The page before the diagram, the diagram, and the page after it."""
    before, rest = PAGE.read_text().split(BEGIN, 1)
    diagram, after = rest.split(END, 1)
    return before, diagram, after


def test_the_diagram_is_the_table() -> None:
    assert split()[1] == drawn()


if __name__ == "__main__":
    before, _, after = split()
    PAGE.write_text(before + BEGIN + drawn() + END + after)
