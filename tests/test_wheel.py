"""The wheel ships every file of the packages: code, assets with their notices, templates, recipes."""

import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"lmrl_data": "lmrl_data", "lmrl_eval": "lmrl_eval", "cards": "lmrl_cards", "recipes": "lmrl_recipes"}


@pytest.mark.slow
def test_the_wheel_has_every_file_of_the_packages(tmp_path: Path) -> None:
    for name in (*FOLDERS, "pyproject.toml", "setup.py", "README.md", "LICENSE"):
        source, target = ROOT / name, tmp_path / "source" / name
        target.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    code = f"from setuptools.build_meta import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "source", capture_output=True, text=True, check=True
    )
    with ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
        facts = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}
    expected = {
        f"{package}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(expected - shipped) == []
    assert sorted(shipped - expected) == []
    assert "Project-URL: Paper, https://arxiv.org/abs/2311.18232\n" in facts["METADATA"]
    assert "Classifier: Programming Language :: Python :: 3\n" in facts["METADATA"]
    for place in re.findall(r"^lmrl-\w+ = (.*)$", facts["entry_points.txt"], re.MULTILINE):
        module, name = place.split(":")
        assert callable(getattr(import_module(module), name))
    assert "lmrl_data/tasks/wordle/assets/SCOWL-NOTICE.txt" in shipped
