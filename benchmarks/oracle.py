"""How fast oracles answer: the rules, a small model with and without its memory, and an endpoint that takes a while.

    python benchmarks/oracle.py

Prints one line of JSON. The dialogue is Car Dealer's, which a model sees whole; the seller's lines are the dataset's,
and the simulator's own replies are said, so that every oracle reads the same. The model is untrained: it always writes
to the end of its limit, so its time is an upper one. The endpoint is a server in this process that waits a fixed time
before each answer: what is measured is how much of the waiting is done at once.
"""

import json
import os
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lmrl_data import Conversation, get_task
from lmrl_data.dialogue.simulator import Prompt
from lmrl_eval.oracles.chat import ChatOracle
from lmrl_eval.oracles.language_model import LanguageModelOracle
from lmrl_eval.oracles.replay import DialogueReplay
from lmrl_eval.policies.language_model import LanguageModelPolicy

EPISODES, TURNS, NEW_TOKENS = 32, 8, 8
LATENCY = 0.05  # seconds
TASK = get_task("car_dealer")


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte is a token: prompts are as long as they can be."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(["<pad>", "<eos>", *alphabet])}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>")


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 1}
    config = LlamaConfig(vocab_size=258, intermediate_size=384, max_position_embeddings=16_384, **shape)
    return LlamaForCausalLM(config).eval()


class Forgetting(LanguageModelPolicy):
    """The same policy without a memory."""

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.clear_cache()
        return super().act(conversations)


class Fluent(LanguageModelOracle):
    """Takes any text as a reply, so that nothing is asked again."""

    def ask(self, prompts: Sequence[Prompt]) -> Any:
        return super().ask([prompt._replace(parse=lambda text: text) for prompt in prompts])


def play(answer: Any) -> tuple[int, float]:
    """Turns, and seconds of `answer`, over all episodes side by side."""
    maker = TASK.simulator(config=TASK.default_config)
    running = [
        DialogueReplay(TASK.simulator(config=TASK.default_config), TASK.generate(maker, seed))
        for seed in range(EPISODES)
    ]
    turns, seconds = 0, 0.0
    for _ in range(TURNS):
        asked = [(replay, prompt) for replay in running if (prompt := replay.ask()) is not None]
        begin = time.perf_counter()
        answer([prompt for _, prompt in asked])
        seconds += time.perf_counter() - begin
        turns += len(asked)
        for replay, _ in asked:
            replay.finish()
        running = [replay for replay, _ in asked]
    return turns, seconds


class Slow(BaseHTTPRequestHandler):
    """Says yes after `LATENCY`."""

    protocol_version = "HTTP/1.1"
    answer = json.dumps(
        {"id": "", "object": "", "created": 0, "model": "", "system_fingerprint": "",
         "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Yes."}}]}
    ).encode()  # fmt: skip

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(LATENCY)
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: Any) -> None: ...


def main() -> None:
    result: dict[str, Any] = {"benchmark": "oracle", "task": TASK.id, "episodes": EPISODES, "new_tokens": NEW_TOKENS}
    turns, seconds = play(lambda prompts: [prompt.grounded for prompt in prompts])
    result["turns"] = turns
    network, words = model(), tokenizer()
    for name, kind in (("kept", LanguageModelPolicy), ("reencoded", Forgetting)):
        policy = kind(network, words, name=name, temperature=0.0, max_new_tokens=NEW_TOKENS)
        oracle = Fluent(policy, spec=name)
        turns, seconds = play(oracle.answer)
        result[f"lm_{name}_turns_per_s"] = round(turns / seconds, 1)
        result[f"lm_{name}_tokens_encoded"] = int(oracle.work()["tokens_encoded"])
    result["memory_times"] = round(result["lm_kept_turns_per_s"] / result["lm_reencoded_turns_per_s"], 2)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for concurrency in (1, 8):
        chat = ChatOracle(f"chat:m@http://127.0.0.1:{server.server_address[1]}/v1", concurrency=concurrency)
        views = [Conversation(seed, None, []) for seed in range(64)]
        begin = time.perf_counter()
        chat.write(views, 0)
        result[f"chat_{concurrency}_at_once_requests_per_s"] = round(64 / (time.perf_counter() - begin), 1)
    server.shutdown()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
