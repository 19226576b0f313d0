"""Mazes: uniform trees, stopped early as Wilson's algorithm would, and answers against a search written apart."""

import random
import re
from collections import Counter, deque

import numpy as np
import pytest
from scipy import stats

from lgt.core.config import TaskOptions
from lgt.tasks import task_named
from lgt.tasks.base import BODY_START, draw_examples
from lgt.tasks.mazes import ABSENT, depths, random_mazes, spanning_trees
from lgt.tasks.vocabulary import decode


def parse(prompt):
    """Adjacency (in listed order), start and target of a prompt's text."""
    maze, query = prompt.removesuffix("=").split("#")
    entries = [[int(node) for node in re.findall(r"\[(\d+)\]", entry)] for entry in maze.split("|")]
    start, target = (int(node.strip("[]")) for node in query.split(">"))
    return {entry[0]: entry[1:] for entry in entries}, start, target


def breadth_first_path(adjacency, start, target):
    before, queue = {start: None}, deque([start])
    while queue:
        node = queue.popleft()
        for other in adjacency[node]:
            if other not in before:
                before[other] = node
                queue.append(other)
    path = [target]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


def depth_first_walk(adjacency, start, target):
    walk = []

    def visit(node, parent):
        walk.append(node)
        if node == target:
            return True
        for other in adjacency[node]:
            if other != parent:
                if visit(other, node):
                    return True
                walk.append(node)
        return False

    assert visit(start, None)
    return walk


def drawn(name, sizes, grid, seed=0):
    options = TaskOptions(grid=grid)
    examples = draw_examples(task_named(name), np.random.default_rng(seed), np.asarray(sizes), options, "equal")
    spans = zip(examples.tokens, examples.prompt_length, examples.total_length, strict=True)
    return [(decode(row[BODY_START:start]), decode(row[start : end - 1])) for row, start, end in spans]


def text(nodes):
    return "".join(f"[{node}]" for node in nodes)


def edge_set(adjacency):
    return frozenset(frozenset((a, b)) for a, others in adjacency.items() for b in others)


SIZES = {grid: np.tile(np.arange(1, grid * grid + 1), 5 if grid == 8 else 20) for grid in (2, 3, 4, 8)}


@pytest.mark.parametrize("grid", SIZES)
@pytest.mark.parametrize(("name", "oracle"), [("shortest_path", breadth_first_path), ("dfs_trace", depth_first_walk)])
def test_answers_agree_with_a_search_of_the_prompt(name, oracle, grid):
    for prompt, answer in drawn(name, SIZES[grid], grid):
        assert answer == text(oracle(*parse(prompt))), prompt


def test_the_walk_reads_the_listed_order_and_steps_back():
    adjacency, start, target = parse("[1][0]|[0][1][8][2]|[8][0][16]|[2][0]|[16][8]#[1]>[2]=")
    assert depth_first_walk(adjacency, start, target) == [1, 0, 8, 16, 8, 0, 2]
    prompts = drawn("dfs_trace", np.full(200, 16), 4)
    assert any(len(set(re.findall(r"\d+", answer))) < len(re.findall(r"\d+", answer)) for _, answer in prompts)


@pytest.mark.parametrize("grid", SIZES)
def test_a_maze_is_a_tree_of_exactly_n_nodes_along_grid_edges(grid):
    for size, (prompt, _) in zip(SIZES[grid], drawn("shortest_path", SIZES[grid], grid), strict=True):
        adjacency, start, target = parse(prompt)
        assert len(adjacency) == size and set(adjacency) <= set(range(grid * grid))
        assert prompt.count("|") == size - 1
        edges = edge_set(adjacency)
        assert len(edges) == size - 1 and sum(map(len, adjacency.values())) == 2 * (size - 1)  # listed from both ends
        for a, b in edges:
            assert abs(a // grid - b // grid) + abs(a % grid - b % grid) == 1
        assert all(breadth_first_path(adjacency, start, node)[-1] == node for node in adjacency)  # connected
        assert (start != target) == (size > 1)


@pytest.mark.parametrize(("grid", "trees"), [(2, 4), (3, 192)])
def test_full_mazes_are_uniform_over_all_spanning_trees(grid, trees):
    prompts = drawn("shortest_path", np.full(60 * trees, grid * grid), grid, seed=5)
    counts = Counter(edge_set(parse(prompt)[0]) for prompt, _ in prompts)
    assert len(counts) == trees
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def wilson_by_walking(rng, grid, size):
    """Edges of one maze from loop-erased random walks, stopped early: the algorithm as it is usually told."""

    def around(cell):
        row, column = divmod(cell, grid)
        steps = ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1))
        return [r * grid + c for r, c in steps if 0 <= r < grid and 0 <= c < grid]

    tree, edges = {rng.randrange(grid * grid)}, set()
    while len(tree) < size:
        path = [rng.choice([cell for cell in range(grid * grid) if cell not in tree])]
        while path[-1] not in tree:
            following = rng.choice(around(path[-1]))
            path = path[: path.index(following) + 1] if following in path else [*path, following]
        for near, far in zip(path[::-1], path[-2::-1], strict=False):  # from the tree outwards
            if len(tree) < size:
                tree.add(far)
                edges.add(frozenset((near, far)))
    return frozenset(edges)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_early_stopped_mazes_are_distributed_as_loop_erased_walks_give_them(size):
    rng, count = random.Random(7), 4000
    walked = Counter(wilson_by_walking(rng, 3, size) for _ in range(count))
    popped = Counter(edge_set(parse(p)[0]) for p, _ in drawn("shortest_path", np.full(count, size), 3, seed=8))
    shapes = [shape for shape in walked | popped if walked[shape] + popped[shape] >= 10]
    table = [[counts[shape] for shape in shapes] for counts in (walked, popped)]
    assert len(shapes) >= 12
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_every_cell_leads_to_the_root():
    parent, root = spanning_trees(np.random.default_rng(0), 50, 8)
    depth = depths(parent)
    assert (depth[np.arange(50), root] == 0).all() and ((depth == 0).sum(axis=1) == 1).all()
    for row, column in np.argwhere(depth > 0)[::37]:
        assert depth[row, parent[row, column]] == depth[row, column] - 1


def test_start_and_target_are_uniform_over_pairs_of_listed_nodes():
    mazes = random_mazes(np.random.default_rng(2), np.full(6000, 4), 4)
    pairs = Counter(
        (order.tolist().index(start), order.tolist().index(target))
        for order, start, target in zip(mazes.order, mazes.start, mazes.target, strict=True)
    )
    assert len(pairs) == 12 and stats.chisquare(list(pairs.values())).pvalue > 1e-3


def test_nodes_and_neighbours_are_listed_in_random_order():
    mazes = random_mazes(np.random.default_rng(3), np.full(8000, 9), 3)
    place_of_centre = Counter((mazes.order == 4).argmax(axis=1).tolist())
    assert len(place_of_centre) == 9 and stats.chisquare(list(place_of_centre.values())).pvalue > 1e-3
    centre = mazes.neighbours[:, 4]
    full = (centre != ABSENT).all(axis=1) & (mazes.parent[:, 4] != 4)
    orders = Counter(map(tuple, centre[full].tolist()))
    assert len(orders) == 24 and stats.chisquare(list(orders.values())).pvalue > 1e-3
    place_of_parent = Counter(np.argwhere(centre[full] == mazes.parent[full, 4, None])[:, 1].tolist())
    assert len(place_of_parent) == 4 and stats.chisquare(list(place_of_parent.values())).pvalue > 1e-3


def test_absent_cells_have_no_neighbours():
    mazes = random_mazes(np.random.default_rng(4), np.array([1, 2, 5]), 4)
    assert ((mazes.order != ABSENT).sum(axis=1) == [1, 2, 5]).all()
    assert ((mazes.neighbours != ABSENT).sum(axis=(1, 2)) == [0, 2, 8]).all()
