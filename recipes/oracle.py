# /// script
# dependencies = ["lmrl[train]"]
# ///
"""The simulator as a model: supervised training on the other side of a dialogue, for use as `--oracle lm:FOLDER`.

    lmrl-train oracle --config recipes/twenty_questions/oracle.yaml

The episodes are played again in the simulator, so that the model is trained on exactly what it will be shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from datasets import Dataset
from trl import ModelConfig, ScriptArguments, SFTConfig, SFTTrainer

from lmrl_data import Episode, Turn, UserError, get_task
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.oracles.agreement import yes_or_no
from lmrl_eval.oracles.replay import DialogueReplay
from lmrl_eval.policies.attention import context_length
from lmrl_recipes.training.finish import data_of, finish, push_target, training_record
from lmrl_recipes.training.offline import (
    adapters,
    load_language_model,
    load_rows,
    model_settings,
    run_trainer,
    set_chat_template,
)
from lmrl_recipes.training.settings import SUPERVISED, Reasons, check_settings
from lmrl_recipes.training.start import Settings, run


@dataclass
class OracleConfig(SFTConfig):
    """Settings of a simulator's training; the paper gives a learning rate of 1e-5 and 4 epochs in batches of 32."""

    refused: ClassVar[Reasons] = SUPERVISED

    balance: bool = field(default=False, metadata={"help": "As many yes as no; for tasks whose replies are alone."})
    max_examples: int = field(default=0, metadata={"help": "At most so many examples, of random episodes; 0: all."})
    overwrite_output_dir: bool = field(default=False, metadata={"help": "Write over the run in the output folder."})

    max_length: int | None = field(default=None)
    gradient_checkpointing: bool = field(default=False)
    bf16: bool | None = field(default=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        check_settings(vars(self), [type(self)])
        super().__post_init__()


class Example(NamedTuple):
    """What the model is shown and says: `turns`, of which those whose `learned` is true are learned."""

    turns: list[Turn]
    learned: list[bool]


def examples(episode: Episode) -> Iterator[Example]:
    """The examples of an episode: one, where the model sees the whole dialogue, or else one for each of its replies.

    Raises:
        UserError: if the simulator does not play the episode again.
    """
    replay = DialogueReplay(get_task(episode.task).simulator(config=episode.config), episode)
    whole: list[Turn] = []
    places = set()
    while (prompt := replay.ask()) is not None:
        assert prompt.view is not None
        view = prompt.view()
        said = Turn("assistant", replay.reply)
        if view.history is not None:
            shown = view.visible
            yield Example([*shown, said], [False] * len(shown) + [True])
        else:
            places.add(len(view.turns))
            whole = [*view.turns, said]
        replay.finish()
    if whole:
        yield Example(whole, [place in places for place in range(len(whole))])


def labelled(tokenizer: TurnTokenizer, example: Example) -> dict[str, list[int]]:
    """`input_ids`, and `labels` that are -100 on all but the tokens of what is learned, its end included."""
    replies = iter(
        [learned for turn, learned in zip(*example, strict=True) if turn.role == "assistant"],
    )
    input_ids: list[int] = []
    labels: list[int] = []
    for ids, turn in tokenizer.pieces(example.turns):
        learned = turn is not None and next(replies)
        if turn is not None and learned:
            tokenizer.check_action(turn.content)
        input_ids += ids
        labels += ids if learned else [-100] * len(ids)
    return {"input_ids": input_ids, "labels": labels}


def make_examples(rows: Dataset, tokenizer: Any, args: OracleConfig, longest: int) -> Dataset:
    """The labelled examples of random episodes, as many as the settings want.

    Raises:
        UserError: if an episode is not played the same again, or nothing is left to learn.
    """
    turn_tokenizer = TurnTokenizer(tokenizer)
    order = np.random.default_rng(args.seed).permutation(len(rows))
    by_reply: dict[str, list[dict[str, list[int]]]] = {"yes": [], "no": []} if args.balance else {"": []}
    wanted = args.max_examples or float("inf")
    left_out = 0
    for number in order.tolist():
        row = rows[number]
        try:
            found = list(examples(Episode.from_row(row)))
        except UserError as error:
            raise UserError(f"row {number}: {error}") from None
        for example in found:
            if args.balance and len(example.turns) > 3:
                raise UserError("--balance is for tasks whose replies are alone; this one learns whole dialogues")
            kept = by_reply.get((yes_or_no(example.turns[-1].content) or "") if args.balance else "")
            if kept is None or len(kept) >= wanted / len(by_reply):
                continue
            item = labelled(turn_tokenizer, example)
            if len(item["input_ids"]) > longest:
                left_out += 1
                continue
            kept.append({name: np.array(ids, np.int32) for name, ids in item.items()})  # type: ignore[misc]
        if all(len(kept) >= wanted / len(by_reply) for kept in by_reply.values()):
            break
    if args.balance:
        count = min(map(len, by_reply.values()))
        by_reply = {name: kept[:count] for name, kept in by_reply.items()}
    items = [item for kept in by_reply.values() for item in kept]
    if not items:
        raise UserError(
            f"nothing to learn: {left_out} examples are longer than {longest} tokens, and no other was found"
        )
    print(f"{len(items):,} examples, {sum(len(item['input_ids']) for item in items):,} tokens, {left_out} too long")
    return Dataset.from_list(items)


def main(
    script_args: ScriptArguments, args: OracleConfig, model_args: ModelConfig, recipe: Settings | None = None
) -> None:
    target = push_target(args, model_args.model_name_or_path if model_args.use_peft else None)
    model, tokenizer = load_language_model(model_args.model_name_or_path, **model_settings(model_args))
    set_chat_template(tokenizer, args.chat_template_path)
    rows = load_rows(script_args.dataset_name, script_args.dataset_config, script_args.dataset_train_split)
    items = make_examples(rows, tokenizer, args, args.max_length or context_length(model))
    trainer = SFTTrainer(
        model=model,
        args=args,
        train_dataset=items,
        processing_class=tokenizer,
        peft_config=adapters(model_args, model),
    )
    run_trainer(trainer, args)
    facts = {"kind": "oracle", "n_examples": len(items)}
    finish(trainer, training_record(args, "oracle", data_of(script_args, rows), model_args, **facts), target, recipe)


if __name__ == "__main__":
    run(main, ScriptArguments, OracleConfig, ModelConfig)
