"""Task groups: a main task and the auxiliary tasks that it is trained with. The first nine are the paper's.

Their lengths here are the paper's (arXiv 2506.09251, the figures named in each entry). The other presets have shorter
lengths with the same ratio. :func:`lgt.recipes.presets.register_group` adds a group.
"""

from __future__ import annotations

from dataclasses import dataclass

from lgt.core.checks import ConfigError


@dataclass(frozen=True)
class TaskGroup:
    """One main task with its auxiliaries, all of one ``family``.

    ``main_length`` (Lm) and ``auxiliary_length`` (La) are the training lengths in the preset ``paper``. ``figures``
    names the paper's figures that show the group; it is empty for a group that the paper does not have. ``control``:
    the auxiliary is unrelated to the main task on purpose.
    """

    key: str
    title: str
    family: str
    main: str
    main_length: int
    auxiliaries: tuple[str, ...]
    auxiliary_length: int
    figures: str = ""
    control: bool = False


DEMO_GROUP = "caprev"
"""The group that `lgt demo` trains and that Launch opens with: it is learned within a minute in the preset ``demo``."""
GROUPS: dict[str, TaskGroup] = {
    group.key: group
    for group in (
        TaskGroup("add-carry", "Addition, helped by its digit sums and carries", "arithmetic",
                  "reverse_add", 16, ("no_carry", "carry_only"), 32, "3a, 11, 14"),
        TaskGroup("add-subtract", "Addition, helped by subtraction", "arithmetic",
                  "reverse_add", 16, ("reverse_subtract",), 32, "3b, 17, 19"),
        TaskGroup("add-multiply", "Addition, helped by multiplication", "arithmetic",
                  "reverse_add", 8, ("cot_multiply",), 16, "3c"),
        TaskGroup("copy-mqar", "Copying, helped by associative recall", "strings",
                  "string_copy", 16, ("mqar",), 32, "4a"),
        TaskGroup("caprev", "Flip case and reverse, helped by each alone", "strings",
                  "capitalize_reverse", 16, ("capitalize", "reverse"), 32, "4c, 14, 18"),
        TaskGroup("dfs-path", "Maze walk, helped by shortest path", "mazes",
                  "dfs_trace", 32, ("shortest_path",), 64, "6"),
        TaskGroup("path-dfs", "Shortest path, helped by the maze walk", "mazes",
                  "shortest_path", 32, ("dfs_trace",), 64, "7"),
        TaskGroup("control-add", "Addition beside an unrelated copy", "arithmetic",
                  "reverse_add", 16, ("copy_first_operand",), 32, "8, 19", control=True),
        TaskGroup("control-copy", "Copying beside an unrelated reversal", "strings",
                  "string_copy", 16, ("reverse",), 32, "8", control=True),
    )
}  # fmt: skip


def group_named(key: str) -> TaskGroup:
    """The group with this key. Raises ConfigError, which lists the known keys, for an unknown key."""
    if key not in GROUPS:
        raise ConfigError("group", key, "one of " + ", ".join(GROUPS))
    return GROUPS[key]
