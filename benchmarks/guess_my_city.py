"""Measures Guess My City: leaks, how well cities can be told apart, the expert, speed, and how varied the data is.

    python benchmarks/guess_my_city.py
    python benchmarks/guess_my_city.py --questions tests/data/guess_my_city/held_out.tsv [--misses]

Without a file it prints one line of JSON. With a file of questions it prints how many are read as labelled. The file
has a header and the columns `question` and `topic`; a topic is an intent, `guess` or `none`, or several of them with
`|` between them. Times are CPU seconds of this process.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

from lmrl_data import get_task, rollout
from lmrl_data.task import EVALUATION_SEED
from lmrl_data.tasks.guess_my_city.answers import wordings
from lmrl_data.tasks.guess_my_city.data_facts import data_facts
from lmrl_data.tasks.guess_my_city.facts import cities, fold, leaks, word_list
from lmrl_data.tasks.guess_my_city.forms import INTENTS, questions
from lmrl_data.tasks.guess_my_city.players import knowledge
from lmrl_data.tasks.guess_my_city.questions import read

CITY = get_task("guess_my_city")
EPISODES = 10_000


def topic_of(question: str) -> tuple[str, bool]:
    """The topic of a question, and whether it is a yes/no question, by its first word or its reading."""
    reading = read(question)
    polar = reading.polar or fold(question).split()[0] in word_list("auxiliary") - {"can", "could", "would", "will"}
    return ("guess" if reading.act == "guess" else reading.intent or "none"), polar


def score_questions(path: Path, misses: bool) -> None:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        question, _, topic = line.partition("\t")
        topics = topic.strip().split("|")
        if not question.strip() or not topic.strip():
            continue
        found, polar = topic_of(question)
        special = [each for each in topics if each in ("none", "guess")]
        groups = special[:1] or ["in scope", "yes/no" if polar else "open"]
        for group in groups:
            total[group] += 1
            right[group] += found in topics
        if misses and found not in topics:
            print(f"{found:12} not {topic:20} {question}")
    for group in ("in scope", "open", "yes/no", "guess", "none"):
        if total[group]:
            print(f"{group:9} {right[group]}/{total[group]} = {right[group] / total[group]:.3f}")
    print(f"{'all':9} {sum(right[g] for g in ('in scope', 'guess', 'none'))}"
          f"/{sum(total[g] for g in ('in scope', 'guess', 'none'))}")  # fmt: skip


def leaking() -> tuple[int, int]:
    """The number of sentences about all cities and intents, and how many of them give the city away."""
    sentences = [
        (city, intent, text) for city in cities("extended") for intent in INTENTS for text in wordings(city, intent)
    ]
    return len(sentences), sum(leaks(city, text, intent) for city, intent, text in sentences)


def told_apart(config: str) -> int:
    """How many cities differ from every other one in a yes/no question or in the answer to an open one."""
    known = knowledge(config)
    tests = {form.test for form in questions() if form.test and form.intent in INTENTS}
    sides = [known.split(test, known.all) for test in tests]
    owners = [mask for intent in INTENTS for _, mask in known.phrases(intent)]
    apart = 0
    for city in known.cities:
        bit, same = known.bit[city.number], known.all
        for yes, no in sides:
            same &= yes if not no & bit else no if not yes & bit else known.all
        for mask in owners:
            if mask & bit:
                same &= mask
        apart += same == bit
    return apart


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=Path)
    parser.add_argument("--misses", action="store_true")
    given = parser.parse_args()
    if given.questions:
        score_questions(given.questions, given.misses)
        return
    sentences, leaks_found = leaking()
    result: dict[str, object] = {"sentences": sentences, "leaks": leaks_found}
    for config in CITY.configs:
        result[f"{config}_told_apart"] = f"{told_apart(config)} of {len(cities(config))}"
        options = [{"city": city.name} for city in cities(config)]
        seeds = range(EVALUATION_SEED, EVALUATION_SEED + len(options))
        played = rollout(CITY, config, CITY.policy("expert", config), seeds, options=options)
        result[f"{config}_expert_questions"] = round(sum(episode.num_turns for episode in played) / len(played), 3)
        result[f"{config}_expert_return"] = round(sum(episode.total_reward for episode in played) / len(played), 3)
    simulator = CITY.simulator()
    begin = time.process_time()
    episodes = [CITY.generate(simulator, seed) for seed in range(EPISODES)]
    result["episodes_per_s"] = round(EPISODES / (time.process_time() - begin))
    texts = [turn.content for turn in episodes[0].turns if turn.role == "assistant"]
    begin, turns = time.process_time(), 0
    for seed in range(2_000):
        simulator.reset(seed=seed)
        for text in texts:
            turns += 1
            if simulator.step(text)[2]:
                break
    result["turns_per_s"] = round(turns / (time.process_time() - begin))
    result["data"] = data_facts("standard", episodes)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
