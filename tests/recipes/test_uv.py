"""One recipe's file outside the checkout, with `uv run` and the wheel: what its PEP 723 head promises."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from lmrl_recipes.training.start import recipes_folder

ROOT = Path(__file__).parents[2]


@pytest.mark.release
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_one_file_trains_with_what_its_head_names(workshop: Path, tmp_path: Path) -> None:
    """Needs a package index, or a cache of uv (UV_CACHE_DIR) that has the dependencies."""
    shutil.copytree(ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "runs", "results", "lmrl", "tests"))
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path / "source", check=True, capture_output=True)
    text = (recipes_folder() / "mc.py").read_text(encoding="utf-8")
    head = '# dependencies = ["lmrl[train]"]\n'
    assert head in text
    # The torch of this machine, which may be one for CPUs: that of the index is 3 GB larger.
    pin = f'# [tool.uv]\n# constraint-dependencies = ["torch=={version("torch")}"]\n'
    script = tmp_path / "mc.py"
    script.write_text(text.replace(head, head + pin), encoding="utf-8")
    for name in ("lmrl", "bc"):
        (tmp_path / name).symlink_to(workshop / name)
    links = [str(tmp_path), *os.environ.get("PIP_FIND_LINKS", "").split()]
    flags = [flag for link in links for flag in ("--find-links", link)]
    settings = ["--config", "maze", "--model_name_or_path", "bc", "--max_steps", "1", "--output_dir", "out"]
    subprocess.run(
        [
            "uv",
            "run",
            "--python",
            sys.executable,
            *flags,
            str(script),
            *settings,
            "--per_device_train_batch_size",
            "4",
        ],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1", "UV_SYSTEM_CERTS": "1"},
        check=True,
    )
    assert (tmp_path / "out" / "value_model" / "model.safetensors").is_file()
    assert "max_steps: 1" in (tmp_path / "out" / "recipe.yaml").read_text(encoding="utf-8")
