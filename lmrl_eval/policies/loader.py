"""The boundary for checkpoints of strangers: the one place that loads them, and what it refuses to load.

No code of a checkpoint runs, and weights are safetensors only. Every loader says `trust_remote_code=False`: without it
transformers asks on the terminal whether to run a stranger's code.
"""

import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from lmrl_data.errors import UserError
from lmrl_data.parsing import entries, read_json_file
from lmrl_eval.policies.download import checkpoint_folder
from lmrl_eval.policies.trial import check_template, check_tokenizer

LARGEST_CONFIG = 1 << 22  # bytes of a JSON file that describes a checkpoint
LARGEST_HEADER = 1 << 24  # bytes of the names and shapes in a file of weights
LARGEST_NUMBERS = {"vocab_size": 1 << 24, "hidden_size": 1 << 20, "intermediate_size": 1 << 22}  # of a configuration
ADAPTERS = "adapter_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
MODULE_NAME = re.compile(r"[\w.-]*", re.ASCII)
# Fields of an adapter's configuration that peft reads as regular expressions if they look like one; the last two are
# mappings with such keys.
PATTERNS = (
    "target_modules",
    "exclude_modules",
    "layers_pattern",
    "target_parameters",
    "rank_pattern",
    "alpha_pattern",
)


def load_config(path: str | Path, **kwargs: Any) -> Any:
    """The configuration of a model, checked.

    Args:
        path (`str` or `Path`): a checkpoint folder or a model id of the Hub.

    Raises:
        UserError: if it names code to be run.
        OSError, ValueError: if there is none.
    """
    from transformers import AutoConfig

    check_config(str(path), **kwargs)
    return AutoConfig.from_pretrained(path, trust_remote_code=False, **kwargs)


def load_tokenizer(path: str | Path, **kwargs: Any) -> Any:
    """The tokenizer of a checkpoint; its chat template and its rules were tried.

    Args:
        path (`str` or `Path`): a checkpoint folder or a model id of the Hub.

    Raises:
        UserError: if its chat template or its rules take too much time or memory.
        OSError, ValueError: if there is none.
    """
    from transformers import AutoTokenizer
    from transformers.utils import cached_file

    check_config(str(path), **kwargs)
    for name in TOKENIZER_FILES:
        file = cached_file(path, name, _raise_exceptions_for_missing_entries=False, **kwargs)
        if file is not None and name == "tokenizer.json":
            check_tokenizer(Path(file), str(path))
        elif file is not None:
            read_object(Path(file))
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False, **kwargs)
    template = tokenizer.chat_template
    for text in template.values() if isinstance(template, dict) else [template or ""]:
        check_template(text, str(path))
    return tokenizer


def load_language_model(path: str | Path, **kwargs: Any) -> Any:
    """A causal language model with its own weights.

    Args:
        path (`str` or `Path`): a checkpoint folder or a model id of the Hub.

    Raises:
        UserError: if its configuration names code to be run, weights are missing, or it holds adapters.
        OSError, ValueError: if there is none.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import cached_file

    version = {name: kwargs[name] for name in ("revision",) if name in kwargs}
    check_index(Path(path))
    check_config(str(path), **version)
    # transformers would load the base model that they name, whatever that is.
    if cached_file(path, ADAPTERS, _raise_exceptions_for_missing_entries=False, **version) is not None:
        raise UserError(f"{path} holds adapters beside a model; merge them into it, or take {ADAPTERS} away")
    loaded: Any = AutoModelForCausalLM.from_pretrained(
        path, trust_remote_code=False, use_safetensors=True, output_loading_info=True, **kwargs
    )
    model, loading = loaded
    if loading["missing_keys"]:
        raise UserError(f"{path} is damaged: it has no weights for {min(loading['missing_keys'])}")
    return model


def load_checkpoint(folder: Path) -> Any:
    """The causal language model in a folder; adapters are merged into their base model.

    Raises:
        UserError: if it names code to be run, or lacks weights.
        OSError, ValueError: if it is damaged.
    """
    if not (folder / ADAPTERS).is_file():
        return load_language_model(folder)
    from peft import PeftModelForCausalLM

    check_files(folder)
    settings = read_object(folder / ADAPTERS)
    check_patterns(settings, str(folder))
    base, revision = settings.get("base_model_name_or_path"), settings.get("revision")
    if not isinstance(base, str) or not isinstance(revision, str | None):
        raise UserError(f"{folder} is damaged: its {ADAPTERS} names no base model")
    # Not by its name: what was checked is what is loaded.
    model = load_language_model(checkpoint_folder(base, revision))
    if not (folder / "adapter_model.safetensors").is_file():  # peft would read a pickle
        raise UserError(f"{folder} is damaged: it has no adapter_model.safetensors")
    if (folder / "tokenizer_config.json").is_file():
        size = len(load_tokenizer(folder))
        if size > model.get_input_embeddings().weight.shape[0]:
            model.resize_token_embeddings(size)
    return PeftModelForCausalLM.from_pretrained(model, folder, trust_remote_code=False).merge_and_unload()


# What was hashed of weights so far, by the files in their order. A value-guided checkpoint is hashed without its value
# model first, and then with it.
_hashed: dict[tuple[tuple[str | int, ...], ...], Any] = {}


def weights_digest(folder: Path, pattern: str = "*.safetensors") -> str:
    """A SHA-256 over the names and bytes of the weights in a folder. Files that did not change are read once.

    Args:
        folder (`Path`): a checkpoint.
        pattern (`str`, *optional*): its files; `"**/*.safetensors"` takes those of a value model, too.
    """
    paths = sorted(folder.glob(pattern))
    names = [path.relative_to(folder).as_posix() for path in paths]
    states = [path.stat() for path in paths]
    files = tuple(
        (name, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        for name, state in zip(names, states, strict=True)
    )
    done = next((count for count in range(len(files), 0, -1) if files[:count] in _hashed), 0)
    digest = _hashed[files[:done]].copy() if done else sha256()
    for name, path in zip(names[done:], paths[done:], strict=True):
        digest.update(name.encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    _hashed[files] = digest
    return digest.hexdigest()


# --- what is refused


def check_config(path: str, **kwargs: Any) -> None:
    """Refuses a configuration that names code to be run.

    Raises:
        UserError: if an attention implementation is a repository, or transformers has no class for the model and the
            checkpoint names its own.
        OSError, ValueError: if there is no configuration.
    """
    from transformers import PreTrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if Path(path).is_dir():
        check_files(Path(path))
    if (Path(path) / "config.json").is_file():
        read_object(Path(path) / "config.json")
    try:
        settings, _ = PreTrainedConfig.get_config_dict(path, **kwargs)
    except OSError:
        if (Path(path) / ADAPTERS).is_file():  # the base model has the configuration
            return
        raise
    for name, value in entries(settings):
        largest = LARGEST_NUMBERS.get(name, 1 << 16 if name.startswith("num_") else None)
        if largest is not None and isinstance(value, int) and abs(value) > largest:
            raise UserError(f"{path} is refused: its {name} is {str(value)[:40]}, more than any model's")
        if name.endswith("implementation") and "/" in str(value):
            raise UserError(f"{path} is refused: its {name} {str(value)[:80]!r} is code of a repository")
    if settings.get("auto_map") and settings.get("model_type") not in CONFIG_MAPPING:
        kind = str(settings.get("model_type"))[:80]
        raise UserError(
            f"{path} is refused: transformers has no model {kind!r}, and code of a checkpoint is never run"
        )


def check_files(folder: Path) -> None:
    """Refuses a checkpoint with pipes, devices and the like among its files, and weights of countless parts.

    Raises:
        UserError: if it has one: a pipe is waited for, and a device has no end.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            if path.suffix == ".safetensors":
                with path.open("rb") as file:
                    header = int.from_bytes(file.read(8), "little")
                if header > LARGEST_HEADER:
                    raise UserError(f"{path} is refused: its header has {header:,} bytes, more than any model's")
        elif path.exists() and not path.is_dir():
            raise UserError(f"{path} is refused: it is no ordinary file")


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint.

    Raises:
        UserError: if it is none, or too large.
    """
    try:
        settings = read_json_file(path, LARGEST_CONFIG)
        if not isinstance(settings, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        raise UserError(f"{path} is damaged ({str(error)[:100]})") from None
    return settings


def check_patterns(settings: dict[str, Any], name: str) -> None:
    """Refuses an adapter whose configuration has regular expressions: one can take for ever.

    Raises:
        UserError: if there is one; names of modules are allowed.
    """
    for field in PATTERNS:
        value = settings.get(field) or []
        for text in [value] if isinstance(value, str) else value:
            if not MODULE_NAME.fullmatch(str(text)):
                raise UserError(
                    f"{name} is refused: its {field} {str(text)[:60]!r} is a regular expression; list the names"
                )


def check_index(folder: Path) -> None:
    """Refuses weights whose index names files outside the folder.

    Raises:
        UserError: if it does.
    """
    for path in folder.rglob("*.index.json"):
        files = read_object(path).get("weight_map")
        for file in set(map(str, files.values())) if isinstance(files, dict) else set():
            if Path(file).name != file:
                raise UserError(
                    f"{folder} is refused: its {path.name} names the file {file[:80]!r}, which is outside it"
                )
