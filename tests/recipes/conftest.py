"""What the tests of several recipes train on."""

from pathlib import Path

import pytest
from chain import chain_episodes

from lmrl_data import Episode


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Episode]]:
    """A cloned checkpoint and the data it was cloned from."""
    from datasets import Dataset
    from trl import SFTTrainer

    from lmrl_data.tokenization import TurnTokenizer, training_items
    from lmrl_recipes.filtered_bc import FilteredBCConfig, sft_rows
    from lmrl_recipes.tiny_model import make_model, train_tokenizer

    folder = tmp_path_factory.mktemp("chain")
    episodes = chain_episodes()
    tokenizer = train_tokenizer([f"{turn.content}\n" for episode in episodes for turn in episode.turns], 400)
    model = make_model(tokenizer, "tiny", seed=0)
    args = FilteredBCConfig(
        output_dir=str(folder), max_steps=60, learning_rate=5e-3, per_device_train_batch_size=64, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    items = [item._asdict() for episode in episodes for item in training_items(TurnTokenizer(tokenizer), episode, 1)]
    trainer = SFTTrainer(
        model=model, args=args, train_dataset=sft_rows(Dataset.from_list(items)), processing_class=tokenizer
    )
    trainer.train()
    trainer.save_model(str(folder))
    return folder, episodes
