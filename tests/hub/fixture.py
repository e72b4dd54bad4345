"""The fixture `hub`: a fresh Hub for one test, and this process turned towards it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.server import Hub


def turn_to(url: str, home: Path, patch: pytest.MonkeyPatch) -> None:
    """Sets what huggingface_hub and datasets read from the environment when they are imported."""
    import datasets
    import huggingface_hub
    from huggingface_hub import constants, hf_api

    of_hub: dict[str, object] = {
        "ENDPOINT": url, "HUGGINGFACE_CO_URL_TEMPLATE": f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HUGGINGFACE_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"), "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
    }  # fmt: skip
    patch.setattr(hf_api.api, "endpoint", url)
    of_datasets: dict[str, object] = {
        "HF_ENDPOINT": url, "HUB_DATASETS_URL": f"{url}/datasets/{{repo_id}}/resolve/{{revision}}/{{path}}",
        "HF_HUB_OFFLINE": False, "HF_DATASETS_OFFLINE": False, "HF_UPDATE_DOWNLOAD_COUNTS": False,
        "HF_DATASETS_CACHE": home / "datasets", "HF_CACHE_HOME": str(home),
        "DOWNLOADED_DATASETS_PATH": home / "datasets" / "downloads", "HF_MODULES_CACHE": home / "modules",
        "EXTRACTED_DATASETS_PATH": home / "datasets" / "downloads" / "extracted",
    }  # fmt: skip
    settings: list[tuple[object, dict[str, object]]] = [(constants, of_hub), (datasets.config, of_datasets)]
    for module, values in settings:
        for name, value in values.items():
            patch.setattr(module, name, value)
    huggingface_hub.HfFileSystem.clear_instance_cache()


def running_hub(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub for one test; what no test may do is checked at its end."""
    import huggingface_hub

    with Hub(folder / "hub") as hub:
        for name, setting in hub.environment().items():
            if name.startswith("HF_"):
                patch.setenv(name, setting)
        patch.delenv("HF_TOKEN")
        patch.setenv("HF_HOME", str(folder / "hf"))
        turn_to(hub.url, folder / "hf", patch)
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()
        huggingface_hub.HfFileSystem.clear_instance_cache()
    assert hub.crashes == []
    assert hub.unlisted == [], "requests that the real Hub would not know either, or that ours should learn"
    for request in hub.log:
        if request.origin == "storage":
            text = f"{request.path} {request.query} {request.headers}"
            assert "authorization" not in request.headers, "the storage was told who asks"
            assert not [token for token in hub.tokens if token in text], "a token reached the storage"
