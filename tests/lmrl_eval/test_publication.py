"""What is published names no home folder, no private host and no secret, wherever it stands."""

import json
import secrets
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import check_cases

from lmrl_data import UserError
from lmrl_eval.publication import (
    check_no_secret,
    public,
    public_json,
    public_numbers,
    public_settings,
    published_settings,
)

KEY = "0123456789abcdefghij0123456789"  # what follows the known beginning of a made-up key
# What leaks, and what of it is published.
TEXTS = [
    ("/home/alice/runs/bc", "bc"),
    ("/home/alice", "(a folder)"),
    ("/home/alice/", "(a folder)"),
    ("/Users/alice/bc", "bc"),
    ("/root/bc", "bc"),
    ("~/alice/bc", "bc"),
    ("~alice/runs/bc", "bc"),
    ("~alice/", "(a folder)"),
    ("$HOME/alice/bc", "bc"),
    ("${HOME}/bc", "bc"),
    ("../../home/alice/bc", "bc"),
    ("runs/../../alice/bc", "bc"),
    ("./../alice/bc", "bc"),
    ("file:///home/alice/bc", "bc"),
    ("file:/home/alice/bc", "bc"),
    ("lm:/home/alice/o", "lm:o"),
    ("lm:~/o", "lm:o"),
    ("C:\\Users\\alice\\runs\\bc", "bc"),
    ("C:/Users/alice/bc", "bc"),
    ("C:\\Users\\alice", "(a folder)"),
    ("%USERPROFILE%\\runs\\bc", "bc"),
    ("\\\\server\\alice\\bc", "bc"),
    ("from /home/alice/a and /srv/alice/b, both", "from a and b, both"),
    ("https://alice:pass-word@proxy.example/v1", "https://proxy.example"),
    ("https://proxy.example:8443/v1?api_key=abc#x", "https://proxy.example:8443"),
    ("chat:m@http://alice:word@example.org/KEY/v1", "chat:m@http://example.org"),
    ("chat:m@http://gpu7:8000/v1", "chat:m@http://(a private host):8000"),
    ("chat:m@http://gpu7.corp/v1", "chat:m@http://(a private host)"),
    ("chat:m@http://10.0.0.3:8000/v1", "chat:m@http://(a private host):8000"),
    ("chat:m@http://[fd00::1]:8000/v1", "chat:m@http://(a private host):8000"),
    ("use sk-live-0123456789abcdef now", "use (removed) now"),
    ("Bearer 0123456789abcdef", "(removed)"),
    # These say nothing of anyone.
    ("runs/maze/bc", "runs/maze/bc"),
    ("lmrl/maze", "lmrl/maze"),
    ("chat:m@http://localhost:8000/v1", "chat:m@http://localhost:8000"),
    ("chat:m@http://127.0.0.1:8000/v1", "chat:m@http://127.0.0.1:8000"),
    ("hf://datasets/lmrl/maze", "hf://datasets/lmrl/maze"),
    ("</s>", "</s>"),
    ("and/or, 1/2, a / b", "and/or, 1/2, a / b"),
]
SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({name: "x"}, {})
    for name in (
        "wandb_key", "access_key", "authorization", "apikey", "API_KEY", "hub_token", "token", "env", "run_name",
        "logging_dir", "hub_model_id", "trackio_space_id", "project", "vllm_server_host", "vllm_server_base_url",
        "accelerator_config", "deepspeed", "somebody's own", "_name_or_path", "note",
    )
]  # fmt: skip
SETTINGS += [
    ({"lr_scheduler_kwargs": {"key": "x", "secret": "y", "steps": 3, "at": "/home/alice/z"}},
     {"lr_scheduler_kwargs": {"steps": 3, "at": "z"}}),
    ({"lora_target_modules": ["/home/alice/x", "q_proj"]}, {"lora_target_modules": ["x", "q_proj"]}),
    ({"eos_token": "</s>", "learning_rate": 0.1, "dataset_name": "lmrl/maze", "use_cpu": True},) * 2,
]  # fmt: skip
# Texts that are refused, by a part of the message.
REFUSED = [
    (f"hf_{KEY}", "token of the Hub"),
    (f"api_org_{KEY}", "token of the Hub"),
    (f"sk-proj-{KEY}", "model provider"),
    (f"sk-ant-api03-{KEY}", "model provider"),
    (f"gsk_{KEY}", "model provider"),
    (f"nvapi-{KEY}", "model provider"),
    (f"ghp_{KEY}", "token of a forge"),
    (f"github_pat_{KEY}", "token of a forge"),
    (f"glpat-{KEY}", "token of a forge"),
    ("AKIA0123456789ABCDEF", "key of a cloud"),
    (f"AIza{KEY}01234", "key of a cloud"),
    (f"AccountKey={KEY}==", "key of a cloud"),
    (f"npm_{KEY}012345", "package registry"),
    (f"pypi-AgEIcHlwaS{KEY}", "package registry"),
    (f"xoxb-{KEY}", "messenger"),
    ("https://hooks.slack.com/services/T0/B0/x", "messenger"),
    (f"SG.{KEY}.{KEY}", "messenger"),
    ("sk_live_0123456789abcdefgh", "payment"),
    (f"wandb_v1_{KEY}", "tracker"),
    (f"local-{'0' * 40}", "tracker"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc", "web token"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
    ("authorization: Basic YWxpY2U6d29yZA==", "header"),
    ("proxy: https://alice:word@proxy/v1", "password in an address"),
    (f'"wandb_api_key": "{KEY}"', "with its name"),
    (f"PASSWORD={KEY}", "with its name"),
    ("read /home/alice/runs", "home folder"),
]
KEPT = (
    "Behavior cloning (BC) on lmrl/maze; see https://github.com/x/y. Basic understanding of sk-learn-contrib-packages "
    "is no secret, nor are 0123456789abcdef0123456789abcdef01234567 and password: see the docs. http://localhost:8000"
)


def test_what_is_published_of_a_value() -> None:
    def check(text: str, published: str) -> None:
        assert public(text) == published
        assert public({"a": [text]}) == {"a": [published]}

    check_cases(TEXTS, check)


def test_settings_are_published_by_an_allow_list() -> None:
    def check(settings: dict[str, Any], published: dict[str, Any]) -> None:
        assert public_settings(settings) == published

    check_cases(SETTINGS, check)


@pytest.mark.slow
def test_the_list_of_settings_knows_every_setting_of_every_recipe() -> None:
    from trl import ModelConfig, ScriptArguments, SFTConfig

    from lmrl_recipes import filtered_bc, grpo, ilql, mc, online_filtered_bc, oracle, ppo

    ours = (filtered_bc.FilteredBCConfig, mc.MCConfig, ilql.ILQLConfig, ppo.PPOConfig, grpo.OnlineGRPOConfig,
            online_filtered_bc.OnlineFilteredBCConfig, oracle.OracleConfig)  # fmt: skip
    names = {field.name for config in (ScriptArguments, ModelConfig, SFTConfig, *ours) for field in fields(config)}
    withheld = {
        "output places": ("push_to_hub", "overwrite_output_dir", "resume_from_checkpoint", "run_name", "project"),
        "the machine": ("accelerator_config", "parallelism_config", "deepspeed", "fsdp", "fsdp_config", "local_rank"),
        "free text": ("optim_args", "vllm_structured_outputs_regex", "vllm_group_port", "trust_remote_code"),
    }
    rest = {name for group in withheld.values() for name in group}
    missing = {
        name
        for name in names - published_settings() - rest
        if not name.startswith(("hub_", "trackio_", "vllm_server_", "log_completions_hub"))
    }
    assert not missing, "publish them, or say why not"
    assert not rest & published_settings()


def test_what_looks_like_a_secret_is_refused_in_one_line_that_does_not_repeat_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/alice"))

    def check(text: str, kind: str) -> None:
        with pytest.raises(UserError) as caught:
            check_no_secret("README.md", f"a\n{text}\nb".encode())
        assert kind in str(caught.value), str(caught.value)
        assert KEY not in str(caught.value)

    check_cases(REFUSED, check)
    check_no_secret("README.md", KEPT.encode())
    own = secrets.token_hex(8)
    with pytest.raises(UserError, match="your token"):
        check_no_secret("vocab.json", own.encode(), own, prose=False)
    check_no_secret("vocab.json", b'{"AKIA0123456789ABCDEF": 1}', prose=False)


def test_configurations_name_no_folder_of_the_machine() -> None:
    leaks = {
        "_name_or_path": "/home/alice/runs/bc",
        "special_tokens_map_file": "/root/.cache/huggingface/hub/models--x/special_tokens_map.json",
        "nested": [{"name_or_path": "C:\\Users\\alice\\runs\\bc", "proxy": "https://a:b@c/d"}],
    }
    kept = {"chat_template": "{{ '/a/b' }}\n", "eos_token": "</s>", "other": "/", "think": "/no_think", "model": "a/b"}
    published = json.loads(public_json(json.dumps(leaks | kept).encode()))
    assert published == kept | {
        "_name_or_path": "bc",
        "special_tokens_map_file": "special_tokens_map.json",
        "nested": [{"name_or_path": "bc", "proxy": "https://(a private host)"}],
    }
    same = json.dumps(kept).encode()
    assert public_json(same) is same


def test_of_a_log_only_numbers_are_published() -> None:
    from lmrl_eval.hub.push_checkpoint import _public_recipe, _public_state

    state = {
        "best_model_checkpoint": "/home/alice/run",
        "log_history": [{"loss": 1.0, "step": 1, "prompt": "/home/alice", "/home/alice": 2, "x": [1], "y": 1e999}],
        "global_step": 1,
        "trial_name": "alices-laptop",
    }
    published = json.loads(_public_state(json.dumps(state).encode()))
    assert published == {"log_history": [{"loss": 1.0, "step": 1}], "global_step": 1}
    assert public_numbers([1]) == {}
    recipe = b"# trl sft --config /home/alice/recipe.yaml\nproxy: https://alice:word@proxy/v1\nseed: 1\n"
    assert yaml.safe_load(_public_recipe(recipe)) == {"seed": 1}
    assert _public_recipe(recipe).startswith(b"# trl sft --config recipe.yaml\n")
    for damaged in (b"# python /home/alice/x.py\nseed: 1\n", b"seed: 1\n", b"# trl sft\n- 1\n"):
        with pytest.raises(ValueError, match="a recipe is a comment with its command"):
            _public_recipe(damaged)
