"""Maze tasks: the path between two nodes of a random tree on a g x g grid, and the depth-first walk that finds it.

Mazes come from Wilson's algorithm (loop-erased random walks), stopped early once n nodes are in the tree (paper,
section 3). Cells are numbered row by row, 0..g*g-1; cell v is the token ``[v]``. All functions work on N mazes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from lgt.core.config import Operands, TaskOptions
from lgt.tasks import colours
from lgt.tasks.base import Bodies, Family, IntArray, Task, pack
from lgt.tasks.vocabulary import FIRST_NODE, PAD, TOKEN_ID

SEPARATOR, QUERY, TO, EQUALS = (TOKEN_ID[symbol] for symbol in "|#>=")
ABSENT = -1


@dataclass(frozen=True)
class Mazes:
    """N mazes on C = g*g cells. ``order`` [N, W]: each maze's cells in the prompt's order, padded with ABSENT.

    ``neighbours`` [N, C, 4]: the cells connected to each cell, in the prompt's order, padded with ABSENT. ``parent``
    [N, C]: the next cell towards the root of the spanning tree that contains the maze (the root is its own parent).
    ``start``, ``target`` [N]: the ends of the path.
    """

    order: IntArray
    neighbours: IntArray
    parent: IntArray
    start: IntArray
    target: IntArray


def grid_neighbours(grid: int) -> tuple[IntArray, IntArray]:
    """Each cell's neighbours on the grid, [C, 4] padded with ABSENT, and how many there are, [C].

    >>> grid_neighbours(2)[0].tolist()
    [[1, 2, -1, -1], [0, 3, -1, -1], [0, 3, -1, -1], [1, 2, -1, -1]]
    """
    table = np.full((grid * grid, 4), ABSENT, dtype=np.int64)
    degree = np.zeros(grid * grid, dtype=np.int64)
    for cell in range(grid * grid):
        row, column = divmod(cell, grid)
        around = [(row - 1, column), (row, column - 1), (row, column + 1), (row + 1, column)]
        inside = [r * grid + c for r, c in around if 0 <= r < grid and 0 <= c < grid]
        table[cell, : len(inside)] = inside
        degree[cell] = len(inside)
    return table, degree


def spanning_trees(rng: np.random.Generator, count: int, grid: int) -> tuple[IntArray, IntArray]:
    """N = ``count`` uniform spanning trees of the grid: each cell's parent [N, C] (a root's is itself), the roots [N].

    Wilson's algorithm in its cycle-popping form (Wilson 1996; Propp and Wilson 1998). Every cell except the root has an
    arrow to a random neighbour. While there are cycles of arrows, the cells on these cycles draw new arrows. The final
    arrows form the tree that loop-erased random walks along the same arrows would find, so the tree is uniform. The
    form is fast, because one operation replaces the arrows on all cycles of all mazes.
    """
    table, degree = grid_neighbours(grid)
    cells = grid * grid
    # A cell has 1 to 4 neighbours. All of these divide 12, so a random number below 12 gives each the same chance.
    offset = np.stack([table[np.arange(cells), k % degree] for k in range(12)], axis=1) - np.arange(cells)[:, None]

    def random_neighbour(node: IntArray) -> IntArray:
        return node + offset[node % cells, rng.integers(12, size=len(node), dtype=np.uint8)]

    roots = rng.integers(cells, size=count)
    lost = np.arange(count * cells)  # node i * C + c is cell c of maze i; no path from a lost node to its root is known
    root = np.repeat(roots + np.arange(count) * cells, cells)
    arrow = np.where(lost == root, root, random_neighbour(lost))
    end = arrow.copy()
    while len(lost):
        end[lost] = arrow[lost]
        # Each round doubles the steps of every walk. After more than C steps a walk is at the root or on a cycle, and
        # every node of a cycle is the end of some walk.
        for _ in range(cells.bit_length()):
            end[lost] = end[end[lost]]
        lost = lost[end[lost] != root[lost]]
        reached = np.zeros(len(arrow), dtype=bool)
        reached[end[lost]] = True
        on_cycle = lost[reached[lost]]
        arrow[on_cycle] = random_neighbour(on_cycle)
    return arrow.reshape(count, cells) % cells, roots


def entry_order(rng: np.random.Generator, parent: IntArray) -> IntArray:
    """The cells in the order in which Wilson's algorithm adds them to the tree, the root first: [N, C].

    Loop-erased walks start at the cells in random order, and each adds its path to the tree. Of a path, the nodes
    nearest to the tree are added first, so that the first n nodes are always a tree [D].
    """
    walk = np.argsort(rng.random(parent.shape), axis=1)  # when the walk from each cell starts
    entered = walk.ravel().copy()  # the first walk from a cell or a descendant adds the cell
    for jump in _jumps(parent):
        np.minimum.at(entered, jump, entered.copy())
    return np.argsort(entered.reshape(parent.shape) * parent.shape[1] + depths(parent), axis=1)


def depths(parent: IntArray) -> IntArray:
    """How many steps each cell is from the root of its tree, [N, C] as ``parent``.

    >>> depths(np.array([[0, 0, 1, 0]])).tolist()
    [[0, 1, 2, 1]]
    """
    depth: IntArray = (parent != np.arange(parent.shape[1])).astype(np.int64).ravel()
    for jump in _jumps(parent):
        depth += depth[jump]
    return depth.reshape(parent.shape)


def _jumps(parent: IntArray) -> Iterator[IntArray]:
    """For 1, 2, 4, ... steps: the node [N * C] that many steps nearer to the root; cell c of maze i is i * C + c."""
    count, cells = parent.shape
    jump = (parent + np.arange(count)[:, None] * cells).ravel()
    for _ in range(cells.bit_length()):
        yield jump
        jump = jump[jump]


def random_mazes(rng: np.random.Generator, sizes: IntArray, grid: int) -> Mazes:
    """N mazes of exactly ``sizes`` [N] nodes (1..g*g). Start and target differ unless a maze has one node."""
    count, width = len(sizes), int(sizes.max(initial=1))
    parent, _ = spanning_trees(rng, count, grid)
    kept_first = entry_order(rng, parent)[:, :width]
    inside = np.arange(width) < sizes[:, None]
    shuffle = np.argsort(np.where(inside, rng.random((count, width)), 2.0), axis=1)
    order = np.where(inside, np.take_along_axis(kept_first, shuffle, axis=1), ABSENT)
    first = rng.integers(sizes)
    second = (first + rng.integers(1, np.maximum(sizes, 2))) % sizes
    rows = np.arange(count)
    neighbours = _joined(rng, parent, order)
    return Mazes(order, neighbours, parent, order[rows, first], order[rows, second])


def _joined(rng: np.random.Generator, parent: IntArray, order: IntArray) -> IntArray:
    """Neighbours [N, C, 4] in random order: the parent of each cell of ``order``, and the cells whose parent it is."""
    count, cells = parent.shape
    row, column = np.nonzero(order != ABSENT)
    child = order[row, column]
    above = parent[row, child]
    row, child, above = (array[child != above] for array in (row, child, above))
    ends = np.concatenate((child, above)) + np.tile(row, 2) * cells  # each edge twice, once from each end
    other = np.concatenate((above, child))
    shuffle = rng.permutation(len(ends))
    shuffle = shuffle[np.argsort(ends[shuffle], kind="stable")]
    ends, other = ends[shuffle], other[shuffle]
    slot = np.arange(len(ends)) - np.searchsorted(ends, ends)
    neighbours = np.full((count * cells, 4), ABSENT, dtype=np.int64)
    neighbours[ends, slot] = other
    return neighbours.reshape(count, cells, 4)


def shortest_path(parent: IntArray, start: IntArray, target: IntArray) -> IntArray:
    """Node tokens of the path from ``start`` [N] to ``target`` [N], both included: [N, longest].

    ``parent`` [N, C]: the next cell towards the root. Both ends move towards the root, the deeper one first, until they
    are the same cell.

    >>> from lgt.tasks.vocabulary import decode
    >>> tree = np.array([[0, 0, 1, 0]])  # 2 - 1 - 0 - 3
    >>> decode(shortest_path(tree, np.array([2]), np.array([3]))[0])
    '[2][1][0][3]'
    """
    rows, low, high = np.arange(len(start)), start, target
    depth = depths(parent)
    front: list[IntArray] = []
    back: list[IntArray] = []
    while (low != high).any():
        start_climbs = depth[rows, low] > depth[rows, high]
        target_climbs = ~start_climbs & (low != high)
        front.append(np.where(start_climbs, low, ABSENT))
        back.append(np.where(target_climbs, high, ABSENT))
        low = np.where(start_climbs, parent[rows, low], low)
        high = np.where(target_climbs, parent[rows, high], high)
    return pack(node_tokens(np.stack([*front, low, *back[::-1]], axis=1)))


def dfs_trace(neighbours: IntArray, start: IntArray, target: IntArray) -> IntArray:
    """Node tokens of the depth-first walk from ``start`` [N] to ``target`` [N], steps back included: [N, longest].

    ``neighbours`` [N, C, 4]: the connected cells in the order in which they are tried, padded with ABSENT.

    >>> from lgt.tasks.vocabulary import decode
    >>> joined = np.array([[[1, 3, -1, -1], [2, 0, -1, -1], [1, -1, -1, -1], [0, -1, -1, -1]]])
    >>> decode(dfs_trace(joined, np.array([0]), np.array([3]))[0])
    '[0][1][2][1][0][3]'
    """
    rows, cells = neighbours.shape[:2]
    tried = np.zeros((rows, cells), dtype=np.int64)
    came_from = np.full((rows, cells), ABSENT, dtype=np.int64)
    # Two more columns, because a slot after the last neighbour is read.
    choices = np.pad(neighbours, ((0, 0), (0, 0), (0, 2)), constant_values=ABSENT)
    here = start.copy()
    walk = [here.copy()]
    row = np.flatnonzero(here != target)  # the walks that have not reached their target
    while len(row):
        cell = here[row]
        slot = tried[row, cell]
        slot += (choices[row, cell, slot] == came_from[row, cell]) & (came_from[row, cell] != ABSENT)
        onward = choices[row, cell, slot]
        tried[row, cell] = slot + 1
        forward = onward != ABSENT
        came_from[row[forward], onward[forward]] = cell[forward]
        here[row] = np.where(forward, onward, came_from[row, cell])
        walk.append(np.full(rows, ABSENT))
        walk[-1][row] = here[row]
        row = row[here[row] != target[row]]
    return pack(node_tokens(np.stack(walk, axis=1)))


def node_tokens(cells: IntArray) -> IntArray:
    """Tokens of cells, PAD for ABSENT."""
    return np.where(cells == ABSENT, PAD, cells + FIRST_NODE)


def prompt_body(mazes: Mazes) -> IntArray:
    """The adjacency list and the query as tokens [N, T]: ``[0][1]|[1][0][3]|[3][1]#[0]>[3]=`` [D]."""
    count, width = mazes.order.shape
    entries = np.full((count, width, 6), PAD, dtype=np.int64)
    row, column = np.nonzero(mazes.order != ABSENT)
    cell = mazes.order[row, column]
    entries[row, column, 0] = np.where(column > 0, SEPARATOR, PAD)
    entries[row, column, 1] = cell + FIRST_NODE
    entries[row, column, 2:] = node_tokens(mazes.neighbours[row, cell])
    start, target = node_tokens(mazes.start)[:, None], node_tokens(mazes.target)[:, None]
    return pack(entries.reshape(count, -1), QUERY, start, TO, target, EQUALS)


@dataclass(frozen=True)
class Maze:
    """A maze as a prompt lists it: every node's neighbours, in the order listed; start and target of the path."""

    neighbours: dict[int, tuple[int, ...]]
    start: int
    target: int

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Every connection once, as a pair with the smaller node first."""
        return sorted({(min(a, b), max(a, b)) for a, near in self.neighbours.items() for b in near})


def read_maze(body: Sequence[int]) -> Maze:
    """The maze that a prompt body describes; the inverse of :func:`prompt_body`."""
    query = list(body).index(QUERY)
    entries: list[list[int]] = [[]]
    for token in body[:query]:
        if token == SEPARATOR:
            entries.append([])
        else:
            entries[-1].append(token - FIRST_NODE)
    neighbours = {node: tuple(near) for node, *near in entries}
    return Maze(neighbours, body[query + 1] - FIRST_NODE, body[query + 3] - FIRST_NODE)


def as_mazes(maze: Maze) -> Mazes:
    """``maze`` in the form that the tasks answer, N = 1. The root of its tree is the start."""
    cells = max(maze.neighbours) + 1
    parent, neighbours = np.arange(cells)[None], np.full((1, cells, 4), ABSENT, dtype=np.int64)
    for node, near in maze.neighbours.items():
        neighbours[0, node, : len(near)] = near
    seen, waiting = {maze.start}, [maze.start]
    while waiting:
        node = waiting.pop()
        for other in set(maze.neighbours[node]) - seen:
            parent[0, other] = node
            seen.add(other)
            waiting.append(other)
    order = np.array([list(maze.neighbours)])
    return Mazes(order, neighbours, parent, np.array([maze.start]), np.array([maze.target]))


@dataclass(frozen=True, kw_only=True)
class MazeTask(Task):
    """A task on a random maze. ``answer`` writes the answer tokens of N mazes. Prompts can be drawn, but not typed."""

    answer: Callable[[Mazes], IntArray]
    family: Family = "mazes"
    unit: str = "nodes"
    body_format: str = "maze"
    minimum_length: int = 2
    reading: str = "The maze as the model reads it"
    drawn_text: str = (
        "A maze of **{length} nodes**, drawn at random. The model reads it as a list of neighbours."
    )  # fmt: skip

    def draw(self, rng: np.random.Generator, lengths: IntArray, options: TaskOptions, operands: Operands) -> Bodies:
        mazes = random_mazes(rng, lengths, options.grid)
        return Bodies(prompt_body(mazes), self.answer(mazes))

    def maximum_length(self, options: TaskOptions) -> int:
        return options.grid**2


MAZES: tuple[Task, ...] = (
    MazeTask(
        name="shortest_path", title="Shortest path", colour=colours.SHORTEST_PATH,
        summary="Name the nodes on the path between two nodes of a maze.",
        answer=lambda mazes: shortest_path(mazes.parent, mazes.start, mazes.target),
        note="Each cell with its neighbours, then start and goal; the answer is the path between them.",
    ),
    MazeTask(
        name="dfs_trace", title="Depth-first walk", colour=colours.DFS_TRACE,
        summary="Walk a maze depth first from one node until another is found, naming every step, steps back included.",
        answer=lambda mazes: dfs_trace(mazes.neighbours, mazes.start, mazes.target),
        note="Each cell with its neighbours, then start and goal; the answer is the walk with its dead ends.",
    ),
)  # fmt: skip
