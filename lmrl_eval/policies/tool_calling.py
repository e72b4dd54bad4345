"""The tool-calling policy: a local checkpoint plays by calls of the task's tool, as its chat template writes them."""

import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import nn

from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation
from lmrl_data.task import Task
from lmrl_data.tokenization import render
from lmrl_eval.endpoint import calls_of
from lmrl_eval.policies.answer import first_line, read_calls
from lmrl_eval.policies.language_model import LanguageModelPolicy, Prompt
from lmrl_eval.policies.prompt import chat_messages, prompt_facts, system_message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ToolCallingPolicy(LanguageModelPolicy):
    """Plays by calls of the task's tool, as models that TRL trains in environments do.

    The model reads the task's rules and the tool as its chat template writes them, earlier actions as calls, and
    observations as their results. TRL's parser reads its answers. One that has not exactly one readable call is played
    as a chat policy plays it after the second try; it is counted as `unparsable` and not asked for again.

    Args:
        model (`nn.Module`), tokenizer (`PreTrainedTokenizerBase`): of the checkpoint.
        task (`Task`), config (`str`): what it will play.
        settings: those of `LanguageModelPolicy`.

    Raises:
        UserError: if TRL is not installed, or the chat template writes no calls or such that TRL cannot read.
    """

    advice = "look at the episodes, or leave out --answers tool"

    def __init__(
        self, model: nn.Module, tokenizer: "PreTrainedTokenizerBase", task: Task, config: str, **settings: Any
    ) -> None:
        super().__init__(model, tokenizer, **settings)
        self._parse = _parser(tokenizer)
        self.tool = task.tool
        self.instructions = task.instructions
        markov = task.config(config).markov
        self.system = system_message(task.instructions, (), "tool", markov=markov, tool=task.tool)
        self._schemas = [{"type": "function", "function": task.tool.schema()}]
        # The tokens that end a turn with a call, where they are not those that end a text.
        ends = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
        self.turns.stop_ids |= frozenset([ends] if isinstance(ends, int) else ends or ())
        frame = self.turns.frame
        # What stands before an answer tells the parser whether it begins with thoughts.
        self._header = list(tokenizer(frame.to_thoughts or frame.to_assistant, add_special_tokens=False)["input_ids"])
        tokens = sorted({*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()})
        # Some tokenizers have added tokens of spaces or words, which are texts.
        self._marks = [token for token in tokens if token.strip() and not token.isalnum()]
        self._read = functools.lru_cache(10_000)(self._read_answer)
        self._decode = lambda ids: self._read(ids)[0]

    @property
    def counts_answers(self) -> bool:
        return True

    def is_readable(self, ids: Sequence[int]) -> bool:
        """Whether sampled ids are exactly one call that can be read."""
        return self._read(tuple(ids))[1]

    def facts(self) -> dict[str, str]:
        """What a score says about the form of the answers and the prompt."""
        return {"answers": "tool", **prompt_facts(self.instructions, self.system, "tool", self.tool)}

    def prompt(self, conversation: Conversation) -> Prompt:
        """The ids of a conversation's visible turns, with earlier actions as calls."""
        messages = chat_messages(self.system, conversation.visible, "tool", self.tool)
        for message in messages:
            if message["role"] == "assistant":
                calls = [call["function"] for call in message["tool_calls"]]
                message["content"] = ""
                for call in calls:  # templates take objects, and not JSON
                    arguments = json.loads(call["arguments"])
                    call["arguments"] = {name: self._plain(text) for name, text in arguments.items()}
            else:
                message["content"] = self._plain(message["content"])
                message |= {"name": self.tool.name} if message["role"] == "tool" else {}
        thinking = bool(self.turns.frame.to_thoughts)
        text = render(
            self.tokenizer, messages, tools=self._schemas, add_generation_prompt=True, enable_thinking=thinking
        )
        ids = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return Prompt(ids[-self._max_prompt :], opening=False)

    def _plain(self, text: str) -> str:
        """A text without special tokens, so that none can forge a turn."""
        for mark in self._marks:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
        return text

    def _read_answer(self, ids: tuple[int, ...]) -> tuple[str, bool]:
        """The action of sampled ids, and whether it was one call that could be read."""
        end = next((place for place, i in enumerate(ids) if i in self.turns.stop_ids), len(ids))
        try:
            parsed = self._parse(list(ids[: end + 1]), prefix=self._header)
        except Exception:  # a parser may fail at any text
            parsed = {"content": self.turns.decode_answer(ids)}
        calls = calls_of(parsed.get("tool_calls"))
        actions = read_calls(calls, self.tool)
        action = actions[0] if actions else first_line(str(parsed.get("content") or ""))
        return action.encode("utf-8", "replace").decode("utf-8"), len(calls) == len(actions) == 1


def _parser(tokenizer: "PreTrainedTokenizerBase") -> Any:
    """TRL's reader of a model's answers, which knows the templates of a dozen families.

    Raises:
        UserError: if it is not installed, or does not know this template.
    """
    try:
        from trl.chat_template_utils import add_response_schema, parse_response, supports_tool_calling
    except ImportError:
        raise UserError('TRL, which reads calls of tools, is not installed; run: pip install "lmrl[train]"') from None
    try:
        # First, because it takes only templates that TRL ships; one of a stranger may spin where it writes calls. Its
        # own expressions, if it brings any, are replaced for the same reason.
        add_response_schema(tokenizer)
        supported = supports_tool_calling(tokenizer)
    except ValueError:
        supported = False
    if not supported:
        raise UserError(
            "the tokenizer's chat template writes no calls of tools that TRL can read; leave out --answers tool, or "
            "serve the checkpoint and play with chat:MODEL@URL"
        )
    return functools.partial(parse_response, tokenizer)
