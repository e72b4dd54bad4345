"""Measures Twenty Questions: how well it reads free questions, its speed, and how varied its data is.

    python benchmarks/twenty_questions.py
    python benchmarks/twenty_questions.py --questions tests/data/twenty_questions/held_out.tsv [--misses]
    python benchmarks/twenty_questions.py --voice D

Without a file it prints one line of JSON. A file of questions has the columns `question`, `object` and `gold` (`yes`,
`no`, or `out` for a question that the tables cannot answer). A voice is one of the writers of `recipes/sentences/`.
The learned reader never saw the sentences of D.
"""

import argparse
import json
import platform
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from lmrl_data.dialogue.asset import table
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_data.tasks.twenty_questions.parser import Reading, reader
from lmrl_recipes.training.sentences import table as sentences


def rate(hits: list[bool]) -> float | None:
    return round(sum(hits) / len(hits), 4) if hits else None


def score(path: Path, misses: bool) -> dict[str, Any]:
    """How often the answers are right, and how often questions out of scope are recognized.

    `accuracy` counts the right answers to questions that have one; `all_accuracy` also counts the questions that are
    rightly found to be out of scope.
    """
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    names = head.split("\t")
    rows = [dict(zip(names, line.split("\t"), strict=False)) for line in lines if line.strip()]
    read, facts = reader().read, knowledge()
    answered: list[tuple[str, bool, bool, Reading, str]] = []
    for row in rows:
        reading = read(row["question"])
        answer = "out" if reading.match is None else "yes" if reading.yes >> facts.find(row["object"]) & 1 else "no"
        gold = row["gold"].strip().lower()
        answered.append(
            (gold, answer == gold, reading.match is not None, reading, f"{row['question']} [{row['object']}]")
        )
        if misses and answer != gold:
            print(f"{gold:>3}, said {answer} ({reading.match}): {row['question']} [{row['object']}]")
    guesses = [(gold, right, reading) for gold, right, _, reading, _ in answered if reading.guess is not None]
    return {
        "questions": len(rows),
        "all_accuracy": rate([right for _, right, *_ in answered]),
        "accuracy": rate([right for gold, right, *_ in answered if gold != "out"]),
        "yes_recall": rate([right for gold, right, *_ in answered if gold == "yes"]),
        "no_specificity": rate([right for gold, right, *_ in answered if gold == "no"]),
        "read_as_guess": len(guesses),
        "guesses_right": rate([right for _, right, _ in guesses]),
        "out_of_scope_recall": rate([not scope for gold, _, scope, *_ in answered if gold == "out"]),
        "in_scope_recall": rate([scope for gold, _, scope, *_ in answered if gold != "out"]),
    }


def score_voice(voice: str) -> dict[str, Any]:
    """How well the sentences of one writer are read.

    `yes` and `no` are the shares of the objects that are answered so among those for which it is true, the mean of all
    questions. Of pairs those count whose questions are both read: `contradictions` is the share of wrong answers.
    """
    read, facts = reader().read, knowledge()
    certain = {row["attribute"]: row for row in table("twenty_questions", "attributes.tsv")}

    def objects(cell: str) -> int:
        return sum(1 << facts.find(name) for name in cell.split(";") if name)

    shares: dict[str, list[float]] = defaultdict(list)
    for row in sentences("twenty_questions/questions.tsv"):
        if row["voice"] == voice:
            reading, attribute = read(row["sentence"]), certain[row["attribute"]]
            yes = objects(attribute["yes"])
            no = facts.everything & ~yes & ~objects(attribute["sometimes"])
            for key in ("all", row["register"]):
                if yes:
                    shares[f"{key} yes"].append((reading.yes & yes).bit_count() / yes.bit_count())
                if no:
                    denied = no & ~reading.yes if reading.match else 0
                    shares[f"{key} no"].append(denied.bit_count() / no.bit_count())
                shares[f"{key} unread"].append(reading.match is None)
    for row in sentences("twenty_questions/none.tsv"):
        if row["voice"] == voice:
            shares["out of scope found"].append(read(row["sentence"]).match is None)
    for row in sentences("twenty_questions/guesses.tsv"):
        if row["voice"] == voice:
            shares[f"guesses, {row['result']}, win"].append(read(row["sentence"]).guess == facts.find(row["object"]))
    for row in sentences("twenty_questions/pairs.tsv"):
        if row["voice"] == voice:
            one, other = read(row["sentence"]), read(row["other_sentence"])
            both = one.match is not None and other.match is not None
            shares["pairs, both read"].append(both)
            if both:
                unequal = (one.yes ^ other.yes).bit_count() / facts.everything.bit_count()
                shares["pairs, contradictions"].append(unequal if row["answers"] == "same" else 1 - unequal)
    return {key: round(sum(values) / len(values), 3) for key, values in shares.items()}


def measure() -> dict[str, Any]:
    """Experts, contradictions, speed and diversity."""
    from lmrl_data import get_task, rollout
    from lmrl_data.dialogue.diversity import Diversity

    task = get_task("twenty_questions")
    simulator = task.simulator()
    names = [thing.name for thing in knowledge().things]
    expert = rollout(
        task, "standard", task.policy("expert", "standard"), range(len(names)), options=[{"object": n} for n in names]
    )
    turns = [episode.num_turns for episode in expert]

    seen = dict[tuple[str, str], str]()
    contradictions = 0
    random = task.policy("random", "standard")
    read = reader().read
    for episode in rollout(task, "standard", random, range(10_000)):
        texts = [turn.content for turn in episode.turns]
        for question, answer in zip(texts[1::2], texts[2::2], strict=True):
            key = (episode.info["object"], read(question).meaning)
            contradictions += seen.setdefault(key, answer) != answer

    questions = [turn.content for episode in expert for turn in episode.turns if turn.role == "assistant"]
    begin = time.process_time()
    steps = 0
    while time.process_time() - begin < 1:
        simulator.reset(seed=steps, options={"object": "Lion"})
        for question in questions[steps % 1000 : steps % 1000 + 19]:
            steps += 1
            if simulator.step(question)[2]:
                break
    turns_per_s = steps / (time.process_time() - begin)

    begin = time.process_time()
    episodes = [task.generate(simulator, seed) for seed in range(10_000)]
    for episode in episodes:
        episode.to_row()
    build = len(episodes) / (time.process_time() - begin)
    diversity = Diversity(episodes)
    return {
        "benchmark": "twenty_questions",
        "python": platform.python_version(),
        "expert_mean_questions": round(sum(turns) / len(turns), 3),
        "expert_max_questions": max(turns),
        "expert_mean_return": round(sum(each.total_reward for each in expert) / len(expert), 4),
        "expert_success": rate([each.success for each in expert]),
        "contradictions": contradictions,
        "meanings_asked": len(seen),
        "turns_per_s": round(turns_per_s),
        "episodes_and_rows_per_s": round(build),
        "distinct_3": round(diversity.distinct_trigrams, 4),
        "duplicate_episodes": round(diversity.repeated_dialogues / len(episodes), 4),
        "distinct_questions": len(diversity.texts),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, metavar="FILE.tsv")
    parser.add_argument("--misses", action="store_true", help="print the wrong answers")
    parser.add_argument("--voice", metavar="LETTER", help="score the sentences of one writer of recipes/sentences/")
    arguments = parser.parse_args()
    if arguments.voice:
        print(json.dumps(score_voice(arguments.voice), indent=1))
    elif arguments.questions:
        print(json.dumps(score(arguments.questions, arguments.misses)))
    else:
        print(json.dumps(measure()))


if __name__ == "__main__":
    main()
