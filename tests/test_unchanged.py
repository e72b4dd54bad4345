"""What release 1.0 wrote still loads, scores and verifies; commands, options and golden transcripts are its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from cases import release

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "unchanged.py"


@pytest.mark.parametrize("part", ["golden", "commands", release("folders")])
def test_the_quick_parts_of_the_record_are_unchanged(part: str) -> None:
    line = [sys.executable, str(SCRIPT), "--part", part]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
