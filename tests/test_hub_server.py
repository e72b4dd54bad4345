"""The Hub of the tests, asked by the real clients: what is written is read back, what is refused stays undone."""

from pathlib import Path

import pytest
from hub.server import Hub
from huggingface_hub import HfApi, hf_hub_download


@pytest.fixture
def api(hub: Hub) -> HfApi:
    return HfApi(endpoint=hub.url, token=hub.user("alice", orgs=["lmrl"]))


def test_small_and_large_files_come_back_byte_for_byte(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Maze")
    (folder / "data" / "train.parquet").write_bytes(bytes(range(256)) * 100)
    api.create_repo("lmrl/maze", repo_type="dataset")
    api.upload_folder(folder_path=folder, repo_id="lmrl/maze", repo_type="dataset")
    files = hub.files("dataset", "lmrl/maze")
    assert {path: files[path] for path in ("README.md", "data/train.parquet")} == {
        "README.md": (folder / "README.md").read_bytes(),
        "data/train.parquet": (folder / "data" / "train.parquet").read_bytes(),
    }
    for path in ("README.md", "data/train.parquet"):
        local = hf_hub_download("lmrl/maze", path, repo_type="dataset", cache_dir=tmp_path / "c", endpoint=hub.url)
        assert Path(local).read_bytes() == files[path]
    assert [r.route for r in hub.log if r.origin == "storage"] == [
        "PUT /objects/{key}/{oid}", "GET /objects/{key}/{oid}",
    ]  # fmt: skip
