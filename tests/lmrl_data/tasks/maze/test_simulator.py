"""The maze's rules, texts and numbers, held against tables written out by hand and computed here a second way."""

import functools
from collections import Counter

import numpy as np
import pytest
from cases import check_cases, read_cases

from lmrl_data import Episode, Policy, UserError, get_task, rollout
from lmrl_data.policy import Conversation
from lmrl_data.tasks.maze.players import belief_solution
from lmrl_data.tasks.maze.simulator import MazeSimulator

MAZE = get_task("maze")
FULLY, PARTIALLY = "fully_observed", "partially_observed"
UP, DOWN, LEFT, RIGHT = ACTIONS = ("move up", "move down", "move left", "move right")
Cell = tuple[int, int]

# Cell, moves to the goal, the one best action, the walls as the agent is told them.
GOLDEN: list[tuple[Cell, int, str | None, str]] = [
    ((1, 1), 12, RIGHT, "There are walls to your left, above you, below you."),
    ((1, 2), 11, RIGHT, "There are walls above you, below you."),
    ((1, 3), 10, DOWN, "There is a wall above you."),
    ((1, 4), 11, LEFT, "There are walls above you, below you."),
    ((1, 5), 12, LEFT, "There are walls to your right, above you, below you."),
    ((1, 7), 12, RIGHT, "There are walls to your left, above you, below you."),
    ((1, 8), 11, RIGHT, "There are walls above you, below you."),
    ((1, 9), 10, DOWN, "There is a wall above you."),
    ((1, 10), 11, LEFT, "There are walls above you, below you."),
    ((1, 11), 12, LEFT, "There are walls to your right, above you, below you."),
    ((2, 3), 9, DOWN, "There are walls to your right, to your left."),
    ((3, 3), 8, DOWN, "There are walls to your right, to your left."),
    ((4, 3), 7, DOWN, "There are walls to your right, to your left."),
    ((2, 9), 9, DOWN, "There are walls to your right, to your left."),
    ((3, 9), 8, DOWN, "There are walls to your right, to your left."),
    ((4, 9), 7, DOWN, "There are walls to your right, to your left."),
    ((5, 3), 6, RIGHT, "There are walls to your left, below you."),
    ((5, 4), 5, RIGHT, "There are walls above you, below you."),
    ((5, 5), 4, RIGHT, "There are walls above you, below you."),
    ((5, 6), 3, DOWN, "There is a wall above you."),
    ((5, 7), 4, LEFT, "There are walls above you, below you."),
    ((5, 8), 5, LEFT, "There are walls above you, below you."),
    ((5, 9), 6, LEFT, "There are walls to your right, below you."),
    ((6, 6), 2, DOWN, "There are walls to your right, to your left."),
    ((7, 6), 1, DOWN, "There are walls to your right, to your left."),
    ((8, 6), 0, None, "There are walls to your right, to your left, below you."),
]
GOAL: Cell = (8, 6)
WALLS = {cell: text for cell, _, _, text in GOLDEN}
STARTS = [cell for cell in WALLS if cell != GOAL]
TOP_ROW = {cell for cell in STARTS if cell[0] == 1}
LEFT_T = {(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 3), (3, 3), (4, 3)}
RIGHT_T = {(row, 12 - column) for row, column in LEFT_T}
STEM = {*WALLS} - LEFT_T - RIGHT_T


def after(cell: Cell, action: str) -> Cell:
    """Where a move leads, from the table's cells alone."""
    row, column = {UP: (-1, 0), DOWN: (1, 0), LEFT: (0, -1), RIGHT: (0, 1)}[action]
    target = (cell[0] + row, cell[1] + column)
    return target if target in WALLS else cell


def position_text(cell: Cell) -> str:
    column = {10: "1 0", 11: "1 1"}.get(cell[1], str(cell[1]))
    return f"The goal is at position 8, 6. Your current position is at position {cell[0]}, {column}. {WALLS[cell]}"


def at(cell: object, config: str = FULLY, **options: object) -> MazeSimulator:
    simulator = get_task("maze").simulator(config)
    simulator.reset(seed=0, options={"start": cell, **options})
    return simulator


def means(policy: Policy, config: str) -> dict[Cell, float]:
    """The return of one episode from each start."""
    options = [{"start": cell} for cell in STARTS]
    episodes = rollout(MAZE, config, policy, range(len(STARTS)), options=options)
    return {cell: episode.total_reward for cell, episode in zip(STARTS, episodes, strict=True)}


# --- the golden table


def test_the_maze_has_26_free_cells_with_the_golden_distances() -> None:
    simulator = at((1, 1))
    assert {cell: simulator.grid.distance[cell] for cell in simulator.grid.free} == {row[0]: row[1] for row in GOLDEN}
    assert simulator.grid.goal == GOAL


def test_texts_and_best_action_of_every_cell() -> None:
    def check(cell: Cell, distance: int, best: str | None, walls: str) -> None:
        if best is None:
            assert at((7, 6)).step(DOWN)[0] == "Success"
            assert at((7, 6)).grid.walls[cell] == walls
            return
        for config, text in ((FULLY, position_text(cell)), (PARTIALLY, walls)):
            observation, info = get_task("maze").simulator(config).reset(options={"start": cell})
            assert observation == text
            assert info == {"start": list(cell)}
        closer = [action for action in ACTIONS if at(cell).grid.distance[after(cell, action)] == distance - 1]
        assert closer == [best]
        assert MAZE.best_actions is not None
        assert MAZE.best_actions(FULLY)[f"{cell[0]},{cell[1]}"] == best

    check_cases(GOLDEN, check)


def test_the_eight_wall_texts_occur_8_8_3_2_2_1_1_1_times() -> None:
    grid = at((1, 1)).grid
    assert sorted(Counter(grid.walls.values()).values(), reverse=True) == [8, 8, 3, 2, 2, 1, 1, 1]


def test_every_move_from_every_cell_goes_where_the_map_says() -> None:
    for cell in STARTS:
        for action in ACTIONS:
            simulator = at(cell, PARTIALLY)
            text, reward, terminated, truncated, info = simulator.step(action)
            target = after(cell, action)
            assert simulator.cell == target
            assert (text, reward) == (("Success", 0.0) if target == GOAL else (WALLS[target], -1.0))
            assert (terminated, truncated, info["valid"]) == (target == GOAL, False, True)


# --- the micro-examples of the specification


def test_two_moves_to_the_goal_fully_observed() -> None:
    simulator = get_task("maze").simulator(FULLY)
    first, _ = simulator.reset(options={"start": (6, 6)})
    assert first == (
        "The goal is at position 8, 6. Your current position is at position 6, 6. "
        "There are walls to your right, to your left."
    )
    assert simulator.step("move down\n") == (
        "The goal is at position 8, 6. Your current position is at position 7, 6. "
        "There are walls to your right, to your left.",
        -1.0,
        False,
        False,
        {"valid": True},
    )
    assert simulator.step("move down\n") == ("Success", 0.0, True, False, {"valid": True, "success": True})


def test_two_moves_to_the_goal_partially_observed() -> None:
    simulator = get_task("maze").simulator(PARTIALLY)
    text = "There are walls to your right, to your left."
    assert simulator.reset(options={"start": (6, 6)})[0] == text
    assert simulator.step("move down\n") == (text, -1.0, False, False, {"valid": True})
    assert simulator.step("move down\n")[:4] == ("Success", 0.0, True, False)


def test_numbers_are_written_digit_by_digit() -> None:
    assert "Your current position is at position 1, 1 1. There" in at((1, 10)).step(RIGHT)[0]
    assert "The goal is at position 1 0, 7." in get_task("maze").simulator().reset(options={"layout": "large"})[0]


def test_anything_but_the_exact_words_stays_in_place_and_costs_4() -> None:
    def check(action: str) -> None:
        simulator = at((6, 6))
        assert simulator.step(action) == (
            position_text((6, 6)),
            -4.0,
            False,
            False,
            {"valid": False, "history_reset": True},
        )
        assert simulator.cell == (6, 6)

    check_cases(read_cases("maze_other_words.json"), check)


def test_one_final_newline_is_accepted() -> None:
    assert at((6, 6)).step("move down\n") == at((6, 6)).step("move down")


def test_a_blocked_move_stays_in_place_and_costs_1() -> None:
    assert at((6, 6)).step(LEFT) == (position_text((6, 6)), -1.0, False, False, {"valid": True})


# --- the cap


def run(simulator: MazeSimulator, action: str) -> tuple[list[float], tuple[object, ...]]:
    rewards = []
    while True:
        step = simulator.step(action)
        rewards.append(step[1])
        if step[2] or step[3]:
            return rewards, step


def test_100_legal_moves_and_the_failure_step_cost_101() -> None:
    rewards, last = run(at((1, 1)), UP)
    assert rewards == [-1.0] * 101
    assert last == ("Failure", -1.0, False, True, {"valid": True, "success": False})


def test_100_invalid_actions_and_the_failure_step_cost_401() -> None:
    rewards, _ = run(at((1, 1)), "jump")
    assert rewards == [-4.0] * 100 + [-1.0]


def test_the_101st_action_is_ignored_even_if_it_would_reach_the_goal() -> None:
    simulator = at((7, 6))
    for _ in range(100):
        simulator.step(LEFT)
    assert simulator.step(DOWN)[:4] == ("Failure", -1.0, False, True)


def test_the_100th_action_can_still_reach_the_goal() -> None:
    simulator = at((7, 6))
    for _ in range(99):
        simulator.step(LEFT)
    assert simulator.step(DOWN)[:4] == ("Success", 0.0, True, False)


class Script(Policy):
    """Says the given lines and keeps what it was shown."""

    name = "script"

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.shown: list[list[str]] = []

    def act(self, conversations: "list[Conversation]") -> list[str]:  # type: ignore[override]
        self.shown.append([turn.content for turn in conversations[0].visible])
        return [self.lines[len(self.shown) - 1]]


def test_an_invalid_action_hides_everything_before_it_from_the_policy() -> None:
    policy = Script(UP, "jump", DOWN, DOWN, DOWN)
    (episode,) = rollout(MAZE, PARTIALLY, policy, [0], options=[{"start": (6, 6)}])
    column, junction = WALLS[(6, 6)], WALLS[(5, 6)]
    assert policy.shown == [
        [column],
        [column, UP, junction],
        [junction],
        [junction, DOWN, column],
        [junction, DOWN, column, DOWN, column],
    ]
    assert (episode.info["invalid"], episode.success, len(episode.turns)) == (1, True, 11)


@pytest.mark.parametrize(("config", "visible"), [(FULLY, 1), (PARTIALLY, 40)])
def test_the_policy_sees_the_newest_text_or_the_last_forty(config: str, visible: int) -> None:
    policy = Script(*[UP] * 101)
    rollout(MAZE, config, policy, [0], options=[{"start": (1, 1)}])
    # 1, 3, 5, … texts are said before an action until the window cuts; 40 texts then begin with an action.
    assert [len(texts) for texts in policy.shown] == [min(2 * turn + 1, visible) for turn in range(101)]
    assert policy.shown[-1][-1] == (position_text((1, 1)) if config == FULLY else WALLS[(1, 1)])


# --- what the best policies reach


def test_the_shortest_path_returns_6_84_on_average() -> None:
    returns = means(MAZE.policy("optimal", FULLY), FULLY)
    assert returns == {cell: -(distance - 1) for cell, distance, *_ in GOLDEN if cell != GOAL}
    assert sum(returns.values()) / 25 == -6.84
    assert MAZE.config(FULLY).reference.maximum == -6.84


@functools.cache
def best_total(belief: tuple[Cell, ...], moves: int) -> float:
    """The summed return of walkers who all move alike until they see a difference, with so many moves left to pay."""
    if moves == 0:
        return 0
    options = []
    for action in ACTIONS:
        groups: dict[str, list[Cell]] = {}
        for cell in belief:
            target = after(cell, action)
            if target != GOAL:
                groups.setdefault(WALLS[target], []).append(target)
        options.append(sum(-len(group) + best_total(tuple(sorted(group)), moves - 1) for group in groups.values()))
    return max(options)


def test_no_policy_that_sees_only_walls_returns_more_than_7_24_and_ours_returns_that() -> None:
    starts = [
        tuple(sorted(cell for cell in STARTS if WALLS[cell] == text)) for text in {*WALLS.values()} - {WALLS[GOAL]}
    ]
    totals = [sum(best_total(belief, moves) for belief in starts) for moves in (20, 30)]
    assert totals == [-181, -181]  # more moves change nothing any more
    solution = belief_solution()
    assert sum(len(belief) * solution[belief].cost for belief in starts) == pytest.approx(181)
    returns = means(MAZE.policy("optimal", PARTIALLY), PARTIALLY)
    assert sum(returns.values()) == -181
    assert MAZE.config(PARTIALLY).reference.optimum == -181 / 25 == -7.24


def test_uniformly_random_moves_return_85_89_in_expectation() -> None:
    walkers = dict.fromkeys(STARTS, 1 / 25)
    expected = 0.0
    for _ in range(100):
        moved: dict[Cell, float] = dict.fromkeys(WALLS, 0.0)
        for cell, share in walkers.items():
            for action in ACTIONS:
                moved[after(cell, action)] += share / 4
        del moved[GOAL]
        expected -= sum(moved.values())  # who has not arrived pays 1
        walkers = moved
    expected -= sum(walkers.values())  # and 1 more for the failure
    assert round(expected, 2) == -85.89

    options = [{"start": cell} for cell in STARTS] * 40
    episodes = rollout(MAZE, FULLY, MAZE.policy("random", FULLY, seed=7), range(1_000), options=options)
    returns = np.array([episode.total_reward for episode in episodes])
    assert returns.mean() == pytest.approx(expected, abs=4 * returns.std() / 1_000**0.5)


# --- reset options


def test_starts_are_uniform_over_the_25_cells() -> None:
    simulator = get_task("maze").simulator()
    counts = Counter(tuple(simulator.reset(seed=seed)[1]["start"]) for seed in range(5_000))
    assert set(counts) == set(STARTS)
    # 200 expected each, standard deviation 14.
    assert all(130 < count < 270 for count in counts.values())


@pytest.mark.parametrize(
    ("layout", "name", "cell"),
    [
        ("double_t", "far_left", (1, 1)), ("double_t", "far_right", (1, 11)), ("double_t", "center", (5, 6)),
        ("umaze", "far_left", (3, 1)), ("medium", "far_left", (1, 1)), ("large", "far_left", (1, 1)),
    ],
)  # fmt: skip
def test_starts_have_names(layout: str, name: str, cell: Cell) -> None:
    assert at(name, layout=layout).cell == cell


@pytest.mark.parametrize(
    ("layout", "free", "goal", "longest"),
    [("umaze", 7, (3, 3), 6), ("medium", 26, (6, 6), 10), ("large", 46, (10, 7), 19)],
)
def test_the_other_layouts_can_be_walked_to_their_goal(layout: str, free: int, goal: Cell, longest: int) -> None:
    grid = at(None, layout=layout).grid
    assert (len(grid.free), grid.goal, max(grid.distance.values())) == (free, goal, longest)
    assert len(grid.distance) == free  # no cell is cut off
    start = max(grid.distance, key=lambda cell: grid.distance[cell])
    simulator = at(start, layout=layout)
    rewards = [simulator.step(grid.best_action(simulator.cell))[1] for _ in range(longest)]
    assert rewards == [-1.0] * (longest - 1) + [0.0]


@pytest.mark.parametrize(
    ("name", "move", "invalid", "goal"),
    [("standard", -1, -4, 0), ("illegal_penalty", 0, -1, 1), ("illegal_penalty_diff_scale", -1, -100, 1)],
)
def test_reward_functions(name: str, move: float, invalid: float, goal: float) -> None:
    simulator = at((6, 6), reward=name)
    assert [simulator.step(action)[1] for action in (LEFT, "jump", DOWN, DOWN)] == [move, invalid, move, goal]


def test_another_goal_can_be_set() -> None:
    simulator = at((1, 1), goal=[1, 2])
    assert simulator.step(RIGHT)[:3] == ("Success", 0.0, True)


def test_wrong_options_are_refused_in_one_line() -> None:
    def check(options: dict[str, object], complaint: str) -> None:
        with pytest.raises(UserError) as caught:
            get_task("maze").simulator().reset(options=options)
        assert complaint in str(caught.value)
        assert "\n" not in str(caught.value)

    check_cases(
        [
            ({"start": (0, 0)}, "no free cell"),
            ({"start": (8, 6)}, "other than the goal"),
            ({"start": "nowhere"}, "far_left"),
            ({"start": (1,)}, "[row, column]"),
            ({"start": 7}, "[row, column]"),
            ({"start": (1, float("inf"))}, "[row, column]"),
            ({"start": ("a", "b")}, "[row, column]"),
            ({"goal": (0, 0)}, "no free cell"),
            ({"goal": "center"}, "[row, column]"),
            ({"goal": {}}, "[row, column]"),
            ({"layout": "maze9"}, "double_t"),
            ({"layout": ["umaze"]}, "double_t"),
            ({"layout": None}, "double_t"),
            ({"layout": "umaze", "start": "center"}, "far_left"),
            ({"reward": "none"}, "standard"),
            ({"reward": ["standard"]}, "standard"),
            ({"seed": 1}, "start, goal, layout, reward"),
        ],
        check,
    )


def test_the_picture_shows_walls_walker_and_goal() -> None:
    lines = at("far_left").render().split("\n")
    assert [line.count("@") for line in lines] == [0, 1] + [0] * 8
    assert [line.count("G") for line in lines] == [0] * 8 + [1, 0]
    assert {len(line) for line in lines} == {26}
    assert sum(line.count("·") for line in lines) == 24


# --- the dataset


@pytest.fixture(scope="module")
def dataset() -> list[Episode]:
    simulator = get_task("maze").simulator(FULLY)
    return [MAZE.generate(simulator, seed) for seed in range(1_240)]


def cells_of(episode: Episode) -> list[Cell]:
    """Where the walker was, from its start and its actions alone."""
    row, column = episode.info["start"]
    cells: list[Cell] = [(row, column)]
    for turn in episode.turns:
        if turn.role == "assistant":
            cells.append(after(cells[-1], turn.content))
    return cells


def test_the_dataset_has_the_papers_size_success_and_lengths(dataset: list[Episode]) -> None:
    assert MAZE.num_episodes["train"] == len(dataset)
    lengths = np.array([episode.num_turns for episode in dataset])
    returns = np.array([episode.total_reward for episode in dataset])
    assert np.mean([episode.success for episode in dataset]) == pytest.approx(0.11, abs=0.02)
    assert lengths.mean() == pytest.approx(19.7, abs=1.5)
    assert lengths.std() == pytest.approx(24.5, abs=2)
    assert returns.mean() == pytest.approx(-19.7, abs=1.5)
    assert returns.std() == pytest.approx(24.5, abs=2)


def test_the_dataset_of_this_version_is_these_very_episodes(dataset: list[Episode]) -> None:
    # If this changes, the data changes: raise the task's version.
    assert MAZE.version == "1.0.0"
    assert Counter(episode.policy for episode in dataset) == {"right_t": 553, "left_t": 520, "stem": 167}
    said = Counter(turn.content for episode in dataset for turn in episode.turns[1::2])
    assert said == {LEFT: 7287, RIGHT: 7279, DOWN: 5627, UP: 4064}
    assert sum(episode.success for episode in dataset) == 131


def test_no_episode_goes_from_a_far_end_to_the_goal(dataset: list[Episode]) -> None:
    reached = Counter(cell for episode in dataset if episode.success for cell in set(cells_of(episode)))
    assert reached[GOAL] > 100
    assert sum(reached[cell] for cell in TOP_ROW) == 0
    far_starts = [episode for episode in dataset if tuple(episode.info["start"]) in TOP_ROW]
    assert len(far_starts) > 20  # they do occur
    assert not any(episode.success for episode in far_starts)


def test_success_is_reaching_the_goal(dataset: list[Episode]) -> None:
    for episode in dataset:
        cells = cells_of(episode)
        assert episode.success == (cells[-1] == GOAL) == episode.terminated
        assert GOAL not in cells[:-1]


def test_every_episode_stays_in_one_submaze_until_its_last_move(dataset: list[Episode]) -> None:
    for episode in dataset:
        region = {"left_t": LEFT_T, "right_t": RIGHT_T, "stem": STEM}[episode.policy]
        assert set(cells_of(episode)[:-1]) <= region


def test_together_the_episodes_hold_every_move_that_stitching_needs(dataset: list[Episode]) -> None:
    taken = set()
    for episode in dataset:
        actions = [turn.content for turn in episode.turns if turn.role == "assistant"]
        taken |= set(zip(cells_of(episode), actions, strict=False))
    opened = {(cell, action) for cell in STARTS for action in ACTIONS if after(cell, action) != cell}
    assert {cell for cell, _ in taken} == set(STARTS)
    # From the stem nobody walks back up into a T.
    assert opened - taken == {((5, 3), UP), ((5, 9), UP)}
    assert {(cell, best) for cell, _, best, _ in GOLDEN if best} <= taken


def test_both_configs_are_the_same_walk_told_differently(dataset: list[Episode]) -> None:
    simulator = get_task("maze").simulator(PARTIALLY)
    for full in dataset[:200]:
        part = MAZE.generate(simulator, full.seed)
        assert part.info == full.info
        assert [(t.role, t.reward) for t in part.turns] == [(t.role, t.reward) for t in full.turns]
        for cell, told, seen in zip(cells_of(full), full.turns[::2], part.turns[::2], strict=True):
            assert (told.content, seen.content) == (
                ("Success", "Success") if cell == GOAL else (position_text(cell), WALLS[cell])
            )
        assert [t.content for t in part.turns[1::2]] == [t.content for t in full.turns[1::2]]
