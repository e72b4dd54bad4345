"""Publishing a checkpoint: what reaches the Hub and what never does, and that it plays there as it plays here."""

import json
import os
import re
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cases import check_cases

from lmrl_data import UserError, get_task
from lmrl_data.rollout import rollout
from lmrl_eval.hub.push_checkpoint import push_checkpoint
from lmrl_eval.policies import describe_checkpoint, load_policy
from lmrl_eval.training_record import TrainingRecord, read_training_record

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from hub.server import Hub

TASK = get_task("maze")
QUIET: dict[str, Any] = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no"}


@pytest.fixture(scope="module")
def trained(workshop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a short ILQL run."""
    from trl import ModelConfig, ScriptArguments

    from lmrl_recipes import ilql

    out = tmp_path_factory.mktemp("runs") / "ilql"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(workshop)
        args = ilql.ILQLConfig(
            output_dir=str(out), max_steps=3, learning_rate=1e-2, per_device_train_batch_size=16, beta=2.0,
            logging_steps=1, **QUIET,
        )  # fmt: skip
        data = ScriptArguments(dataset_name="lmrl/maze", dataset_config="fully_observed")
        ilql.main(data, args, ModelConfig(model_name_or_path="bc"))
    return out


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "ilql"))


@pytest.fixture
def plain(workshop: Path, tmp_path: Path) -> Path:
    """What `trl sft` leaves: a model, and nothing of ours."""
    copy = Path(shutil.copytree(workshop / "bc", tmp_path / "sft"))
    for name in ("training.json", "README.md", "trainer_state.json"):
        (copy / name).unlink()
    return copy


@pytest.fixture
def token(hub: "Hub", monkeypatch: pytest.MonkeyPatch) -> str:
    """Alice is logged in."""
    token = hub.user("alice")
    monkeypatch.setenv("HF_TOKEN", token)
    return token


def actions(spec: str, **settings: Any) -> list[str]:
    policy = load_policy(spec, TASK, "fully_observed", max_new_tokens=8, **settings)
    episodes = rollout(TASK, "fully_observed", policy, range(3), max_turns=3)
    return [turn.content for episode in episodes for turn in episode.turns if turn.role == "assistant"]


def writes(hub: "Hub") -> list[str]:
    """Requests that change a repository or send a file; `preupload` asks what is there."""
    return [
        f"{request.method} {request.route}"
        for request in hub.log
        if request.method == "PUT" or "/commit/" in request.route or request.route.endswith("/create")
    ]


def head(card: bytes) -> dict[str, Any]:
    return yaml.safe_load(card.decode().split("---\n")[1])


# --- there and back


def test_a_private_value_guided_policy_plays_from_the_hub_as_it_plays_here(
    hub: "Hub", token: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = push_checkpoint(trained, "alice/ilql", private=True)
    assert published.sent == len([path for path in trained.rglob("*") if path.is_file()]) + 1  # and the curves
    assert actions("alice/ilql") == actions(str(trained))
    policy = load_policy("alice/ilql", TASK, "fully_observed")
    told = describe_checkpoint("alice/ilql", policy)
    here = describe_checkpoint(str(trained), load_policy(str(trained), TASK, "fully_observed"))
    assert told is not None
    assert here is not None
    assert re.fullmatch(r"[0-9a-f]{40}", told.pop("revision"))
    assert {**told, "source": ""} == {**here, "source": ""}
    assert (told["algorithm"], told["dataset"], told["dataset_revision"]) == ("ilql", "lmrl/maze", "v1.0.0")
    model: Any = policy
    weights = sum(each.numel() for each in model.model.parameters())
    assert told["parameters"] == weights > sum(each.numel() for each in model.model.value_model.parameters())
    # Without the Hub, what was downloaded is still there; to strangers it never was.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert actions("alice/ilql") == actions(str(trained))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", hub.user("mallory"))
    shutil.rmtree(Path(os.environ["HF_HOME"]) / "hub")
    with pytest.raises(UserError, match="neither a folder here nor a model that the Hub lets you read"):
        load_policy("alice/ilql", TASK, "fully_observed")


def test_the_repository_says_what_the_model_was_made_from(hub: "Hub", token: str, trained: Path) -> None:
    push_checkpoint(trained, "alice/ilql")
    files = hub.files("model", "alice/ilql")
    made = TrainingRecord.from_json(files["training.json"].decode())
    assert (made.task, made.config, made.algorithm, made.base_model) == ("maze", "fully_observed", "ilql", "bc")
    assert (made.dataset_revision, made.seed, made.kind) == ("v1.0.0", 42, "policy")
    assert len(made.dataset_fingerprint or "") == 16
    assert made.versions.keys() >= {"lmrl", "torch", "transformers", "trl", "datasets"}
    assert made.settings["beta"] == 2.0
    assert not [name for name in made.settings if "dir" in name or "token" in name]
    card = files["README.md"].decode()
    for fact in ("v1.0.0", made.versions["torch"], "max_steps", "--policy alice/ilql", "(figures/curves.png)"):
        assert fact in card
    assert files["figures/curves.png"].startswith(b"\x89PNG")
    assert {"model.safetensors", "value_model/model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(
        files
    )


def test_a_card_that_its_author_changed_is_sent_as_it_is(hub: "Hub", token: str, folder: Path) -> None:
    text = (folder / "README.md").read_text() + "\nMind the gap.\n"
    (folder / "README.md").write_text(text)
    push_checkpoint(folder, "alice/ilql")
    assert hub.files("model", "alice/ilql")["README.md"].decode() == text


def test_a_second_push_sends_nothing(hub: "Hub", token: str, trained: Path) -> None:
    push_checkpoint(trained, "alice/ilql")
    before = hub.files("model", "alice/ilql")
    hub.log.clear()
    published = push_checkpoint(trained, "alice/ilql")
    assert (published.sent, published.deleted, writes(hub)) == (0, 0, [])
    assert hub.files("model", "alice/ilql") == before
    assert len(hub.commits("model", "alice/ilql")) == 2


def test_a_pull_request_leaves_the_repository_as_it_was_until_it_is_merged(
    hub: "Hub", token: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    HfApi().create_repo("alice/ilql")
    monkeypatch.setenv("HF_TOKEN", hub.user("bob"))
    published = push_checkpoint(trained, "alice/ilql", create_pr=True)
    assert "training.json" not in hub.files("model", "alice/ilql")
    assert published.pull_request is not None
    hub.merge("model", "alice/ilql", published.pull_request)
    assert actions("alice/ilql") == actions(str(trained))


# --- what never leaves


def test_nothing_but_what_is_on_the_list_is_sent(hub: "Hub", token: str, folder: Path) -> None:
    secrets = (
        "training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "pytorch_model.bin", "values.pkl",
        ".env", "trainer_state.safetensors", "checkpoint-3/model.safetensors", "runs/events.out.tfevents", "notes.txt",
        "value_model/pytorch_model.bin", ".cache/x.json", "modeling_evil.py", "ppo_state.json",
    )  # fmt: skip
    for name in secrets:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"secret")
    push_checkpoint(folder, "alice/ilql")
    assert not set(secrets) & set(hub.files("model", "alice/ilql"))
    assert not any(content == b"secret" for content in hub.files("model", "alice/ilql").values())


@pytest.mark.parametrize(
    ("name", "problem"),
    [("recipe.yaml", "recipe.yaml: .*; restore the file"), ("trainer_state.json", "trainer_state.json is damaged")],
)
def test_a_recipe_or_a_log_that_is_damaged_is_one_line(
    hub: "Hub", token: str, folder: Path, name: str, problem: str
) -> None:
    (folder / name).write_text("[")
    with pytest.raises(UserError, match=problem):
        push_checkpoint(folder, "alice/ilql")
    assert writes(hub) == []


def test_a_link_out_of_the_folder_is_refused(hub: "Hub", token: str, trained: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    shutil.copy(trained / "value_model" / "model.safetensors", outside / "model.safetensors")

    def check(name: str) -> None:
        folder = Path(shutil.copytree(trained, tmp_path / "links", dirs_exist_ok=True))
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside if name == "figures" else outside / "model.safetensors")
        with pytest.raises(UserError, match="is a link out of the folder"):
            push_checkpoint(folder, "alice/ilql")
        shutil.rmtree(folder)

    check_cases(["config.json", "value_model/model.safetensors", "figures"], check)
    assert writes(hub) == []


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def pickled_values(folder: Path) -> None:
    (folder / "value_model" / "model.safetensors").rename(folder / "value_model" / "pytorch_model.bin")


def damaged(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)


def without_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def with_damaged_record(folder: Path) -> None:
    (folder / "training.json").write_text('{"format": 1, "task": "maze"}')


def without_record(folder: Path) -> None:
    (folder / "training.json").unlink()


def with_a_token(folder: Path) -> None:
    (folder / "README.md").write_text(f"log in with {os.environ['HF_TOKEN']}")


def adapters_of_a_folder(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "runs/maze/bc"}')


def test_what_nobody_could_use_or_should_see_is_refused_in_one_line(
    hub: "Hub", token: str, trained: Path, tmp_path: Path
) -> None:
    cases: list[tuple[Callable[[Path], None], str]] = [
        (without_weights, "has no weights in safetensors: none"),
        (pickled, "only pytorch_model.bin, a pickle, which runs code; save it again as safetensors"),
        (pickled_values, "value_model has no weights in safetensors: only pytorch_model.bin"),
        (damaged, "model.safetensors is damaged"),
        (without_shard, "names model-00002-of-00002.safetensors, which is not there"),
        (without_config, "is no checkpoint: it has no config.json"),
        (with_damaged_record, "training.json is damaged"),
        (without_record, "give the YAML it was trained by as --recipe|--task and --config"),
        (adapters_of_a_folder, "holds adapters of 'runs/maze/bc', which nobody else has"),
        (with_a_token, "README.md holds your token of the Hub"),
    ]

    def check(break_: Callable[[Path], None], complaint: str) -> None:
        folder = Path(shutil.copytree(trained, tmp_path / break_.__name__))
        break_(folder)
        with pytest.raises(UserError, match=complaint) as caught:
            push_checkpoint(folder, "alice/ilql")
        assert "\n" not in str(caught.value)
        assert token not in str(caught.value)

    check_cases(cases, check)
    assert writes(hub) == []


# --- by hand


def test_a_folder_of_trl_sft_is_published_with_what_its_recipe_says(
    hub: "Hub", token: str, plain: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "bc.yaml"
    recipe.write_text(
        "# trl sft --config bc.yaml\nmodel_name_or_path: runs/maze/base\ndataset_name: lmrl/maze\n"
        "dataset_config: fully_observed_steps\noutput_dir: /home/alice/bc\nlearning_rate: 3.0e-3\nseed: 7\n"
        "hub_token: secret\nenv: {WANDB_API_KEY: secret}\npush_to_hub: true\nchat_template_path: /home/alice/t.jinja\n"
    )
    before = sorted(plain.iterdir())
    push_checkpoint(plain, "alice/bc", recipe=recipe)
    assert sorted(plain.iterdir()) == before
    files = hub.files("model", "alice/bc")
    made = TrainingRecord.from_json(files["training.json"].decode())
    assert (made.task, made.config, made.algorithm, made.seed) == ("maze", "fully_observed", "bc", 7)
    assert (made.base_model, made.dataset, made.versions) == ("runs/maze/base", "lmrl/maze", {})
    assert yaml.safe_load(files["recipe.yaml"]) == {
        "model_name_or_path": "runs/maze/base", "dataset_name": "lmrl/maze", "dataset_config": "fully_observed_steps",
        "output_dir": "bc", "learning_rate": 3e-3, "seed": 7, "chat_template_path": "t.jinja",
    }  # fmt: skip
    assert not any(b"secret" in content or b"/home/" in content for content in files.values())
    assert actions("alice/bc") == actions(str(plain))
    assert push_checkpoint(plain, "alice/bc", recipe=recipe).sent == 0


def test_a_folder_without_a_recipe_is_published_with_what_the_user_says(hub: "Hub", token: str, plain: Path) -> None:
    push_checkpoint(plain, "alice/bc", task="maze", config="partially_observed", algorithm="dpo")
    made = TrainingRecord.from_json(hub.files("model", "alice/bc")["training.json"].decode())
    assert (made.config, made.algorithm, made.base_model) == ("partially_observed", "dpo", None)
    assert b"not recorded" in hub.files("model", "alice/bc")["README.md"]


def test_what_the_user_says_has_to_be_true(hub: "Hub", token: str, plain: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"

    def check(recipe: str | None, flags: dict[str, str], complaint: str) -> None:
        path.write_text(recipe or "")
        with pytest.raises(UserError, match=complaint):
            push_checkpoint(plain, "alice/bc", recipe=path if recipe else None, **flags)

    cases: list[tuple[str | None, dict[str, str], str]] = [
        ("just words", {}, "is no recipe"),
        ("dataset_name: squad", {}, "'squad' is no task; give --task"),
        ("dataset_name: lmrl/maze", {"config": "upside_down"}, "upside_down"),
        (None, {"task": "mazes"}, "'mazes' is no task"),
    ]
    check_cases(cases, check)


def test_nothing_is_asked_that_the_folder_says(hub: "Hub", token: str, folder: Path) -> None:
    with pytest.raises(UserError, match=r"training.json says what this was made from; leave out --task, --algorithm"):
        push_checkpoint(folder, "alice/x", task="maze", algorithm="bc")
    (folder / "training.json").unlink()
    with pytest.raises(UserError, match=r"has a value model .* give --algorithm"):
        push_checkpoint(folder, "alice/x", task="maze")


# --- the card


def test_scores_in_the_repositorys_card_stay(hub: "Hub", token: str, folder: Path) -> None:
    from huggingface_hub import EvalResult, HfApi, ModelCard

    push_checkpoint(folder, "alice/ilql")
    card = ModelCard(hub.files("model", "alice/ilql")["README.md"].decode())
    card.data.model_name = "ilql"
    card.data.eval_results = [
        EvalResult(
            task_type="reinforcement-learning", dataset_type="lmrl/maze", dataset_name="Maze",
            metric_type="normalized_score", metric_value=12.5,
        )
    ]  # fmt: skip
    content = str(card).encode()
    HfApi().upload_file(path_or_fileobj=content, path_in_repo="README.md", repo_id="alice/ilql")
    # The same model again: the card stays, byte for byte.
    assert push_checkpoint(folder, "alice/ilql").sent == 0
    assert hub.files("model", "alice/ilql")["README.md"] == content
    # A card of the user's own takes its place, and the scores with it.
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    push_checkpoint(folder, "alice/ilql")
    card_there = hub.files("model", "alice/ilql")["README.md"]
    assert card_there.endswith(b"---\n# Mine\n")
    assert head(card_there) == {
        "license": "mit", "model-index": head(content)["model-index"], "tags": ["lmrl-gym"]  # by which it is found
    }  # fmt: skip
    assert push_checkpoint(folder, "alice/ilql").sent == 0


def test_what_an_older_push_left_goes_and_what_others_put_there_stays(
    hub: "Hub", token: str, plain: Path, trained: Path
) -> None:
    from huggingface_hub import HfApi

    push_checkpoint(trained, "alice/maze")
    for name in ("model-00001-of-00002.safetensors", "notes.md"):
        HfApi().upload_file(path_or_fileobj=b"old", path_in_repo=name, repo_id="alice/maze")
    push_checkpoint(plain, "alice/maze", task="maze")
    files = hub.files("model", "alice/maze")
    assert not [name for name in files if name.startswith("value_model/") or "-of-" in name or name.endswith(".png")]
    assert files["notes.md"] == b"old"
    assert actions("alice/maze") == actions(str(plain))


def test_whatever_stands_in_somebodys_training_json_it_still_plays(folder: Path) -> None:
    (folder / "training.json").write_text("[]")
    policy = load_policy(str(folder), TASK, "fully_observed")

    def check(text: str) -> None:
        (folder / "training.json").write_text(text)
        with pytest.raises(UserError, match=r"training.json is damaged"):
            read_training_record(folder)
        described = describe_checkpoint(str(folder), policy)
        assert described is not None
        assert "algorithm" not in described

    texts = ["", "[]", "{", '{"format": 2}', "[" * 100_000, '{"format": 1, "task": "maze", "extra": 1}',
             json.dumps({"format": 1, "task": "../../x"}), " " * (1 << 21)]  # fmt: skip
    check_cases(texts, check)


def test_a_fact_of_another_form_makes_the_whole_file_worthless(trained: Path) -> None:
    made = json.loads((trained / "training.json").read_text())

    def check(field: str, value: object) -> None:
        if field in ("settings", "versions") and isinstance(value, dict):
            value = ["a"]
        with pytest.raises(ValueError, match=field):
            TrainingRecord.from_json(json.dumps(made | {field: value}))

    fields = ("algorithm", "dataset", "dataset_revision", "seed", "settings", "versions", "kind")
    check_cases(product(fields, ["a\x1b[2J", "x" * 300, {"a": 1}, 1.5, True]), check)
