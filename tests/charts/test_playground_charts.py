"""The playground's charts and frames by what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lgt.charts import answer_row, attention_map, maze_picture
from lgt.charts.attention import room_beside_larger
from lgt.charts.pattern import part_names
from lgt.charts.playground import COLUMNS, WRONG, answer_cells
from lgt.charts.theme import DARK, LIGHT
from lgt.core.config import TaskOptions
from lgt.evaluation.generation import Answer, Step
from lgt.metrics.failures import Failure, first_failure
from lgt.metrics.maps import strongest_head
from lgt.recipes.presets import group_config
from lgt.tasks.prompts import drawn, maze_of, typed
from lgt.tasks.vocabulary import encode
from lgt.ui import answers as play
from tests.charts.test_charts import drawn as drawn_rows
from tests.charts.test_charts import marked, rows_of
from tests.frames import heads

THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
OPTIONS = TaskOptions(grid=4)
SUM = typed("reverse_add", ("1274", "938"), 0, OPTIONS)  # 21220 and the end


def wrote(text: str, prompt=SUM, given: tuple[int, ...] = ()) -> Answer:
    """An answer of these tokens, each with 75%, and attention that is even over what was read."""
    tokens = encode(text).tolist()
    steps = tuple(
        Step(token, place in given, 0.75, ((token, 0.75), (20, 0.2), (21, 0.0004)))
        for place, token in enumerate(tokens)
    )
    width = prompt.prompt_length + len(tokens) - 1
    pattern = np.zeros((2, 4, len(tokens), width), dtype=np.float32)
    for place in range(len(tokens)):
        pattern[:, :, place, : prompt.prompt_length + place] = 1 / (prompt.prompt_length + place)
    pattern[1, 2, 0] = 0
    pattern[1, 2, 0, 3] = 1
    return Answer(steps, pattern)


def test_tokens_are_right_wrong_or_missing():
    frame = play.answer_frame(SUM, {"model": wrote("2132<eos>")})
    model = frame[frame.row == "model"]
    assert list(model.state) == ["right", "right", "wrong", "right", "wrong", "missing"]
    assert list(model.text) == ["2", "1", "3", "2", "end", "–"]
    assert "".join(frame[frame.row == "truth"].text) == "21220end"
    assert play.first_wrong_place(SUM, wrote("2132<eos>")) == 3
    assert play.first_wrong_place(SUM, wrote("21220<eos>")) is None
    assert play.first_wrong_place(SUM, wrote("21220")) == 6


def test_what_comes_later_is_blank():
    frame = play.answer_frame(SUM, {"model": wrote("21220<eos>")}, until=2)
    assert "".join(frame[frame.row == "truth"].text) == "21" == "".join(frame[frame.row == "model"].text)


def test_questions_are_not_marked():
    prompt = typed("mqar", ("abc",), 0, OPTIONS)
    text = "".join(play.token_text(token) for token in prompt.answer)
    frame = play.answer_frame(prompt, {"model": wrote(text, prompt, given=(0, 2))})
    assert list(frame[frame.row == "model"].state) == ["given", "right", "given", "right"]


@THEMES
def test_a_wrong_token_has_a_mark_and_a_colour(theme):
    frame = play.answer_frame(SUM, {"model": wrote("21320<eos>")})
    spec = answer_row(frame, theme, step=3).to_dict()
    marks = [row for row in drawn_rows(spec, "text") if row.get("mark")]
    assert [row["mark"] for row in sorted(marks, key=lambda row: row["place"])] == ["✓", "✓", "✗", "✓", "✓", "✓"]
    wrong = [row for row in drawn_rows(spec, "text") if row["place"] == 3 and row["kind"] == "model"]
    assert {row["ink"] for row in wrong} == {WRONG[theme.dark]}
    assert "first wrong token 3" in spec["description"] and "truth: 2 1 2 2 0 end" in spec["description"]
    bars = {row["place"]: row["reach"] - row["start"] for row in drawn_rows(spec, "rule")}
    assert bars[1] == pytest.approx(0.8 * 0.75)


def test_the_frame_is_around_the_chosen_token():
    frame = play.answer_frame(SUM, {"model": wrote("21220<eos>")})
    spec = answer_row(frame, LIGHT, step=4).to_dict()
    outlines = [unit for unit in marked(spec, "rect") if unit["mark"].get("filled") is False]
    ((row,),) = [rows_of(spec, unit) for unit in outlines]
    assert (row["left"], row["right"]) == (3, 4)


def test_hovering_a_token_tells_the_favourites():
    frame = play.answer_frame(SUM, {"model": wrote("21320<eos>")})
    spec = answer_row(frame, LIGHT, step=1).to_dict()
    top = spec["layer"][-1]  # nothing lies above it
    assert [entry["field"] for entry in top["encoding"]["tooltip"]][-1] == "likely"
    assert rows_of(spec, top)[2]["likely"] == f"3 75.0%, {play.token_text(20)} 20.0%, {play.token_text(21)} under 0.1%"


def test_long_answers_go_on_in_the_next_line():
    prompt = typed("reverse", ("ab" * 20,), 0, OPTIONS)
    cells = answer_cells(play.answer_frame(prompt, {"model": wrote("ba" * 20 + "<eos>", prompt)}))
    assert cells.column.max() == COLUMNS - 1
    first, second = cells[cells.place == COLUMNS], cells[cells.place == COLUMNS + 1]
    assert (second.column == 0).all() and second.top.min() > first.bottom.max()
    assert not cells.duplicated(["column", "top"]).any()


def test_answers_with_and_without_heads_stand_in_one_picture():
    both = {"model": wrote("21220<eos>"), "heads off": wrote("00000<eos>")}
    frame = play.answer_frame(SUM, both)
    assert list(dict.fromkeys(frame.row)) == ["1st number", "2nd number", "carry in", "model", "heads off", "truth"]
    assert "heads off: 0 0 0 0 0 end, first wrong token 1" in answer_row(frame, LIGHT, step=1).to_dict()["description"]


def test_attention_rows_name_tokens_and_parts():
    frame = play.attention_frame(SUM, wrote("21220<eos>"), 1, 2)
    first = frame[frame.step == 1]
    assert "".join(first.token[2:]) == "4721+839=" and list(first.token[:2]) == ["begin", "task"]
    assert list(first.part[2:6]) == ["first number"] * 4 and list(first.part[7:10]) == ["second number"] * 3
    assert frame[frame.step == 6].token.iloc[-1] == "0" and frame[frame.step == 6].written.iloc[0] == "end"
    assert (frame.groupby("step").weight.sum() - 1).abs().max() < 1e-5


@THEMES
def test_the_attention_map_frames_the_step_and_says_what_is_looked_at(theme):
    frame = play.attention_frame(SUM, wrote("21220<eos>"), 1, 2)
    spec = attention_map(frame, theme, step=1, title="Layer 2, head 3").to_dict()
    assert "While writing token 1 (2): 7 in the first number 100%" in spec["description"]
    outlines = [unit for unit in marked(spec, "rect") if unit["mark"].get("filled") is False]
    ((box,),) = [rows_of(spec, unit) for unit in outlines]
    weights = [row for row in drawn_rows(spec, "rect") if "weight" in row]
    cells = [row for row in weights if row["top"] == box["top"]]
    assert [(row["position"], row["weight"]) for row in cells] == [(3, 1.0)]
    assert all(row["weight"] >= 0.005 for row in weights if row["step"] > 1)


def test_only_tokens_that_the_model_was_asked_for_have_a_row():
    prompt = typed("mqar", ("abcd",), 0, OPTIONS)
    text = "".join(play.token_text(token) for token in prompt.answer)
    frame = play.attention_frame(prompt, wrote(text, prompt, given=(0, 2, 4)), 0, 0)
    assert play.asked_places(prompt) == [2, 4, 6] == sorted(frame.step.unique())
    spec = attention_map(frame, LIGHT, step=4).to_dict()
    rows = [row for row in drawn_rows(spec, "rect") if "line" in row and "weight" in row]
    assert {row["step"]: row["line"] for row in rows} == {2: 0, 4: 1, 6: 2}


def test_a_hidden_rest_is_not_drawn_and_the_picture_keeps_its_size():
    frame = play.attention_frame(SUM, wrote("21220<eos>"), 0, 0)
    whole, hidden = (attention_map(frame, LIGHT, step=2, hidden=hide).to_dict() for hide in (False, True))
    assert hidden["height"] == whole["height"]
    assert max(row["step"] for row in drawn_rows(hidden, "rect") if "step" in row) == 2
    assert len([row for row in drawn_rows(hidden, "text") if "token" in row and "ink" in row]) == 12


def test_numbers_above_bars_leave_room_for_each_other():
    here = pd.DataFrame({"position": [0, 1, 5, 6], "weight": [0.36, 0.53, 0.05, 0.06]})
    alone, largest, small, beside = room_beside_larger(here)
    assert (alone, small, beside) == (1, 1, 5) and largest > 30, "nothing is larger than the largest"


def test_parts_of_a_sequence_are_named_and_names_have_a_place():
    frame = play.attention_frame(SUM, wrote("21220<eos>"), 1, 2)
    spec = attention_map(frame, LIGHT, step=1).to_dict()
    named = {row["name"]: (row["start"], row["end"]) for row in drawn_rows(spec, "text") if "name" in row}
    assert named == {"first number": (2, 6), "second number": (7, 10), "answer": (11, 16)}
    assert part_names(["<bos>", "<dfs_trace>", "[1]", "[2]", "|", "#", "[1]", ">", "[2]", "=", "[1]"], 10)[2:] == [
        *["maze"] * 3, *["question"] * 5, "answer",
    ]  # fmt: skip


def test_a_sentence_tells_where_the_head_looks():
    frame = play.attention_frame(SUM, wrote("21220<eos>"), 1, 2)
    assert play.attention_sentence(frame, 1) == (
        "While token 1 (2) is written, it looks most at **7** in the first number (over 99.9%)."
    )
    assert play.attention_sentence(frame, 99) == ""


MAZE = drawn("shortest_path", 12, 4, OPTIONS)


@THEMES
def test_a_maze_has_its_ways_and_marks_moves_that_it_does_not_have(theme):
    from lgt.tasks.vocabulary import FIRST_NODE

    maze = maze_of(MAZE)
    near = maze.neighbours[maze.start][0]
    far = next(node for node in maze.neighbours if node not in (*maze.neighbours[near], near))
    tokens = tuple(FIRST_NODE + node for node in (maze.start, near, far))
    answer = Answer(tuple(Step(token, False, 0.5, ()) for token in tokens), np.zeros((1, 1, 3, 9), dtype=np.float32))
    nodes, edges, moves = play.maze_frames(MAZE, answer, 4, 3)
    assert len(nodes) == 12 and len(edges) == 11
    model = moves[moves.way == "model"]
    assert list(model.open) == [True, False] and list(model.x2) == [near % 4, far % 4]
    assert moves[moves.way == "truth"].open.all() and (moves.way == "truth").sum() == len(MAZE.answer) - 2
    assert (((edges.x - edges.x2).abs() + (edges.y - edges.y2).abs()) == 1).all()
    spec = maze_picture(nodes, edges, moves, theme, grid=4).to_dict()
    assert (
        "1 where there is no passage" in spec["description"]
        and f"from {maze.start} to {maze.target}" in spec["description"]
    )
    rules = [row for row in drawn_rows(spec, "rule") if row.get("way") == "model"]
    assert [row["colour"] for row in rules] == [theme.shared, WRONG[theme.dark]]
    assert len(play.maze_frames(MAZE, answer, 4, 1)[2].query("way == 'model'")) == 0
    assert len(play.maze_frames(MAZE, answer, 4, 1, True)[2]) == 0


def test_a_walk_back_is_drawn_beside_the_walk_there_and_moves_are_numbered():
    """There and back along one way: 1 right and back, which the model does twice."""
    rows = [("truth", 1, 0, 1), ("truth", 2, 1, 0), ("model", 1, 0, 1), ("model", 2, 1, 0), ("model", 3, 0, 1)]
    moves = pd.DataFrame(
        [{"way": way, "number": n, "open": True, **play.line_between(a, b, 4)} for way, n, a, b in rows]
    )
    nodes = pd.DataFrame({"node": [0, 1], "column": [0, 1], "row": 0, "kind": ["start", "target"]})
    edges = pd.DataFrame([play.line_between(0, 1, 4)])
    spec = maze_picture(nodes, edges, moves, LIGHT, grid=4).to_dict()
    lines = [row for row in drawn_rows(spec, "rule") if row.get("way") == "model"]
    assert [row["below"] for row in lines] == [1, -1, 1] and not any(row["right"] for row in lines)
    texts = {(row["way"], row["x"]): row["text"] for row in drawn_rows(spec, "text") if "middle_x" in row}
    assert texts == {("model", 0): "1, 3", ("model", 1): "2", ("truth", 0): "1"}, "equal numbers are written once"


def test_sentences_about_one_token():
    said = play.step_sentence(SUM, wrote("21320<eos>"), 3)
    assert said.startswith("Token 3: the model writes **3** (75.0%), the right token is **2**. Next likely: ")
    assert "(20.0%)" in said and "(under 0.1%)" in said
    assert "which is right" in play.step_sentence(SUM, wrote("21320<eos>"), 1)
    assert "already ended its answer; the true answer continues with **0**" in play.step_sentence(SUM, wrote("2122"), 5)
    wrong = play.mistake_sentence(SUM, wrote("21320<eos>"), 3)
    assert "token 3 of 6 (1st number 2, 2nd number 9, carry in 1) the model writes **3** (75.0%)" in wrong
    assert play.percent(0.9999) == "over 99.9%" and play.percent(0.5) == "50.0%"


def test_zones_in_words():
    together, alone = group_config("caprev", "demo"), group_config("caprev", "demo", arm="alone-same-steps")
    main = "capitalize_reverse"
    assert "**8 characters: trained.**" in play.zone_sentence(together, main, 8)
    assert "**9 characters: transfer region.**" in play.zone_sentence(together, main, 9)
    assert "only auxiliary tasks were trained up to 16" in play.zone_sentence(together, main, 16)
    assert "**17 characters: beyond what was trained.**" in play.zone_sentence(together, main, 17)
    assert "**16 characters: trained.**" in play.zone_sentence(together, "reverse", 16)
    assert "**17 characters: beyond" in play.zone_sentence(together, "reverse", 17)
    assert (
        play.zone_sentence(alone, main, 1)
    ) == "**1 character: trained.** This run was trained on flip case and reverse, its only task, up to 8 characters."
    assert "only auxiliary tasks of the co-trained runs" in play.zone_sentence(alone, main, 12)


def test_the_first_failure_is_the_first_length_below_half():
    rows = pd.DataFrame({
        "task": ["a"] * 4 + ["b"], "length": [4, 1, 2, 3, 1], "correct": [0, 9, 5, 4, 0], "total": [10, 10, 10, 10, 10],
    })  # fmt: skip
    assert first_failure(rows, "a") == Failure(3, 4, 10)  # 5 of 10 is half
    assert first_failure(rows, "b") == Failure(1, 0, 10)
    assert first_failure(rows[rows.length < 3], "a") is None


def test_the_strongest_head_is_that_of_the_largest_mean_drop():
    scores = pd.concat([heads({"a": {(0, 1): 0.5, (1, 3): 0.3}}), heads({"a": {(1, 3): 0.9}, "b": {(0, 0): 1.0}})])
    scores = scores.assign(loss_rise=0.0)
    assert strongest_head(scores, "a") == (1, 3) and strongest_head(scores, "b") == (0, 0)
    assert strongest_head(scores, "c") is None
