"""The tiny model: words are tokens, any text round-trips, and the checkpoint is an ordinary one."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lmrl_data import UserError
from lmrl_data.tasks.maze.grid import ACTIONS, grid
from lmrl_data.tokenization import TurnTokenizer
from lmrl_recipes.tiny_model import SIZES, TinyModelArguments, main, make_model, train_tokenizer

TEXTS = [f"{text}\n" for text in [*grid().positions.values(), *ACTIONS]] * 2


def test_words_digits_and_line_breaks_are_single_tokens() -> None:
    tokenizer = train_tokenizer(TEXTS, 512)
    assert tokenizer.tokenize("move down\n") == ["move", "Ġdown", "Ċ"]
    words = [tokenizer.decode([i]) for i in tokenizer("is at position 1 1, 7.\n")["input_ids"]]
    assert words == ["is", " at", " position", " 1", " 1", ",", " 7", ".", "\n"]


@pytest.mark.parametrize("text", ["", " ", "naïve 12 345\n\n\tok", "日本 🙂\r\n", "<|pad|> is text", "a" * 5000])
def test_any_text_round_trips(text: str) -> None:
    tokenizer = train_tokenizer(TEXTS, 512)
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert not {tokenizer.pad_token_id, tokenizer.eos_token_id} & set(ids)


def test_the_same_texts_make_the_same_tokenizer_of_at_most_the_given_size() -> None:
    one, other = (train_tokenizer(TEXTS, 300) for _ in range(2))
    assert one.get_vocab() == other.get_vocab()
    assert len(one) <= 300


def test_the_seed_decides_the_weights() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    one, same, other = (make_model(tokenizer, "tiny", seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_size_is_what_it_says(size: str) -> None:
    model = make_model(train_tokenizer(TEXTS, 300), size, 0, max_length=99)
    assert model.config.hidden_size == SIZES[size]["hidden_size"]
    assert model.config.max_position_embeddings == 99


def test_an_unknown_size_is_refused_with_the_choices() -> None:
    with pytest.raises(UserError, match="unknown size 'huge'; choose from: tiny, deep, small"):
        make_model(train_tokenizer(TEXTS, 300), "huge", 0)


def test_the_recipe_writes_a_checkpoint_that_generates_one_line_of_raw_text(
    workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workshop)
    main(TinyModelArguments("lmrl/maze", str(tmp_path), "fully_observed", size="tiny"))
    assert "parameters" in capsys.readouterr().out
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    turns = TurnTokenizer(tokenizer)
    assert turns.raw
    (newline,) = turns.action_end
    assert newline in model.generation_config.eos_token_id
    with torch.no_grad():
        # An untrained model that can say nothing but a line break has said its line at once.
        model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
        model.lm_head.bias = torch.nn.Parameter(9.0 * torch.eye(len(tokenizer))[newline])
        written = model.generate(**tokenizer("There is", return_tensors="pt"), max_new_tokens=5, do_sample=False)
    assert written[0, -1] == newline
    assert written.shape[1] == len(tokenizer("There is")["input_ids"]) + 1


def test_a_dataset_that_is_not_there_is_refused(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workshop)
    with pytest.raises(UserError, match="cannot load lmrl/nothing"):
        main(TinyModelArguments("lmrl/nothing", "out"))
