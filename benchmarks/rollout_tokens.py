"""How many action tokens a second our rollout samples, beside re-encoding the whole history at every turn.

Three ways to play the same episodes with the same model, one after the other in every round:
`ours`, `recipes/rollout.py`, keeps keys and values from turn to turn; `generate` is the same rollout that gives every
turn's whole history to transformers' `generate`; `trl` is the loop behind TRL's `environment_factory`, in which every
turn is a tool call. The model does all its work, but its output is replaced, so that all three read 11 and sample 10
tokens a turn (the tool call and its frame are single tokens for that). TRL's prompt is as short as ours: its list of
tools is left out. One thread, 32 episodes of 20 turns; CPU seconds, so that other programs do not count.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "recipes"))

import torch
import trl
from datasets import Dataset
from gymnasium import spaces
from trl import GRPOConfig, GRPOTrainer

from lmrl_data import get_task
from lmrl_data.config import Config
from lmrl_data.simulator import Simulator, Step
from lmrl_recipes.tiny_model import make_model, train_tokenizer
from lmrl_recipes.training.rollout import RolloutPolicy, play

EPISODES, TURNS, SAMPLED, READ = 32, 20, 10, 11
REPEATS = {"small": 2, "medium": 1}
WORDS = [f" {first}{vowel}{last}" for first in "bdfgklm" for vowel in "aeiou" for last in "nrt"]
TEMPLATE = Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja"
Play = Callable[[int], int]  # plays so many turns, returns how many tokens were sampled
CALL = ('<tool_call>\n{"name": "say", "arguments": {"text": "', '"}}\n</tool_call>')


class Talk(Simulator):
    """Says random words for as many turns as it is asked."""

    observation_space = spaces.Text(99)
    action_space = spaces.Text(99)

    def _reset(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return self.words(), {}

    def words(self) -> str:
        return "".join(self.np_random.choice(WORDS, READ - 1))

    def _step(self, action: str) -> Step:
        return self.words(), 0.0, False, False, {"valid": True}


class ToolTalk:
    """The same for TRL, whose frame around a tool's answer takes four tokens."""

    def reset(self, **_: Any) -> None:
        self.simulator = TASK.simulator()
        self.simulator.reset(seed=0)

    def say(self, text: str) -> str:
        """Says something.

        Args:
            text: what is said

        Returns:
            The answer.
        """
        return "".join(self.simulator.np_random.choice(WORDS, READ - 4))

    def get_reward(self) -> float:
        return 0.0


TASK = replace(
    get_task("maze"),
    id="talk",
    configs={"talk": Config("talk", "", history=None, reference=get_task("maze").config().reference)},
    simulator_class=Talk,
)


def make_tokenizers() -> tuple[Any, Any]:
    """Ours, and TRL's with a tool call and its frame as single tokens; of equal size."""
    ours = train_tokenizer(["".join(WORDS * 2) + "\n"], 600)
    theirs = train_tokenizer(["".join(WORDS * 2) + "\n"], 600)
    theirs.add_special_tokens({"eos_token": "<|im_end|>"})
    theirs.chat_template = TEMPLATE.read_text(encoding="utf-8")
    call = {"type": "function", "function": {"name": "say", "arguments": {}}}
    messages = [
        {"role": "user", "content": "-"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "say", "content": "ANSWER"},
    ]
    frame = theirs.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
    ).rpartition("</tool_call><|im_end|>")[2]
    before, _, after = frame.partition("ANSWER")
    close, _, opening = after.partition("<|im_end|>")
    theirs.add_tokens([*CALL, before, close, opening])
    assert len(theirs.encode(frame.replace("ANSWER", "".join(WORDS[: READ - 4])))) == READ
    ours.add_tokens([f"<|{number}|>" for number in range(len(theirs) - len(ours))])
    assert len(ours.encode("".join(WORDS[: READ - 1]) + "\n")) == READ
    return ours, theirs


def force(model: Any, line: list[int], start: int) -> None:
    """Makes the model write `line` after the token `start`, whatever it computes."""
    following = torch.zeros(model.config.vocab_size, dtype=torch.long)
    for token, after in zip([start, *line], line, strict=False):
        following[token] = after

    def replace_logits(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        tokens = following[kwargs["input_ids"][:, -output.logits.shape[1] :]]
        output.logits = 1e4 * torch.nn.functional.one_hot(tokens, output.logits.shape[-1]).to(output.logits.dtype)
        return output

    model.register_forward_hook(replace_logits, with_kwargs=True)


def reencoding(model: Any, tokenizer: Any, stop_ids: list[int]) -> Callable[[list[list[int]]], list[list[int]]]:
    """Samples as TRL's trainers do: all histories padded on the left, one call of `generate`."""

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        batch = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt")
        with torch.no_grad():
            found = model.generate(
                **batch, do_sample=True, max_new_tokens=SAMPLED, eos_token_id=stop_ids, top_k=0, top_p=1.0
            )
        return [row.tolist() for row in found[:, batch["input_ids"].shape[1] :]]

    return generate


class ToolLoop(GRPOTrainer):
    """TRL's trainer, of which only the loop over tool calls is run and timed."""

    measure: Callable[[Play], None]
    header: int  # the token after which the model writes

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        line = "".join(WORDS[: READ - 1])
        return [[*self._tokenizer.encode(line), self.header] for _ in prompts], None, {}

    def _generate(self, prompts: list[Any]) -> Any:
        def run(turns: int) -> int:
            self.max_tool_calling_iterations = turns - 1  # beside the first turn
            _, _, mask, *_ = GRPOTrainer._generate(self, prompts)
            return sum(map(sum, mask))

        self.measure(run)
        raise StopIteration


def tool_loop(model: Any, tokenizer: Any, header: int, folder: str) -> ToolLoop:
    args = GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=EPISODES,
        num_generations=2,
        max_completion_length=TURNS * (SAMPLED + READ),
        chat_template_kwargs={"enable_thinking": False},
        gradient_checkpointing=False,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
    )
    prompts = Dataset.from_dict({"prompt": [[{"role": "user", "content": "-"}]] * EPISODES})
    trainer = ToolLoop(
        model=model, args=args, train_dataset=prompts, processing_class=tokenizer, environment_factory=ToolTalk
    )
    trainer.header = header
    return trainer


def measure(size: str, folder: str) -> dict[str, Any]:
    ours, theirs = make_tokenizers()
    model, tool_model = (make_model(tokenizer, size, seed=0) for tokenizer in (ours, theirs))
    newline = ours.encode("\n")[0]
    force(model, [*ours.encode("".join(WORDS[: SAMPLED - 1])), newline], newline)
    call, end = (theirs.convert_tokens_to_ids(part) for part in CALL)
    header = len(theirs) - 1
    said = theirs.encode("".join(WORDS[: SAMPLED - 3]))
    force(tool_model, [call, *said, end, theirs.eos_token_id], header)
    seconds: dict[str, list[float]] = {"ours": [], "generate": [], "trl": []}

    def episodes(policy: RolloutPolicy) -> Play:
        def run(turns: int) -> int:
            seeds = range(EPISODES)
            noise = [(seed,) for seed in seeds]
            found = play(policy, TASK, "talk", seeds, noise=noise, batch_size=EPISODES, max_turns=turns)
            return sum(sum(each.action_mask) for episode in found.trajectories for each in episode.sequences)

        return run

    def policy(**settings: Any) -> RolloutPolicy:
        return RolloutPolicy(model, ours, name="policy", max_new_tokens=SAMPLED, **settings)

    def side_by_side(tools: Play) -> None:
        ways = {
            "ours": episodes(policy()),
            "generate": episodes(policy(generate=reencoding(model, ours, [newline]))),
            "trl": tools,
        }
        for run in ways.values():
            run(2)
        for _ in range(REPEATS[size]):
            for name, run in ways.items():
                begin = time.process_time()
                sampled = run(TURNS)
                seconds[name].append(time.process_time() - begin)
                assert sampled == EPISODES * TURNS * SAMPLED, (name, sampled)

    trainer = tool_loop(tool_model, theirs, header, folder)
    trainer.measure = side_by_side
    with suppress(StopIteration):
        trainer.train()
    tokens = EPISODES * TURNS * SAMPLED
    result: dict[str, Any] = {
        f"{name}_tokens_s": round(tokens / statistics.median(each)) for name, each in seconds.items()
    }
    for name in ("generate", "trl"):
        ratios = [other / own for other, own in zip(seconds[name], seconds["ours"], strict=True)]
        result[f"times_{name}"] = round(statistics.median(ratios), 2)
    return result


def main() -> None:
    torch.set_num_threads(1)
    for size in REPEATS:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({"benchmark": "rollout_tokens", "model": size, **measure(size, folder)}), flush=True)


if __name__ == "__main__":
    main()
