"""What a push tells whoever ran it: how much went where, and which name was no name."""

from dataclasses import replace
from pathlib import Path

import pytest

from lmrl_data import UserError, get_task
from lmrl_data.dataset.push import push_dataset
from lmrl_data.hub import Published, check_repo_id

PUSHED = Published("me/maze", "dataset", "http://hub/me/maze", "c0ffee", sent=1, sent_bytes=900, kept=0, deleted=0)


@pytest.mark.parametrize(
    ("published", "told"),
    [
        (PUSHED, "sent 1 file (900 bytes)"),
        (replace(PUSHED, sent=12, sent_bytes=2_340_000, kept=1), "sent 12 files (2.3 MB), 1 file there already"),
        (replace(PUSHED, sent=0, kept=3, deleted=1), "removed 1 file, 3 files there already"),
        (replace(PUSHED, sent=0, kept=12), "nothing to do, 12 files there"),
        (replace(PUSHED, pull_request=3), "sent 1 file (900 bytes); the pull request waits to be merged"),
    ],
)
def test_a_push_says_in_plain_words_what_it_did(published: Published, told: str) -> None:
    assert published.describe() == f"http://hub/me/maze: {told}"


@pytest.mark.parametrize("name", ["maze", "a/b/c", "a b/maze", "../maze", "naïve\x1b/maze", ""])
def test_a_name_that_is_no_repo_id_is_said_again(name: str) -> None:
    with pytest.raises(UserError, match="a repo id is NAMESPACE/NAME") as error:
        check_repo_id(name)
    assert str(error.value).endswith(repr(name))


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "a b",
        "main",
        "x..y",
        "v1~",
        "refs/tags/v1",
        "-v1",
        "v1.lock",
        "x" * 65,
        "HEAD",
        "0a" * 20,
        "v1\n",
        "\u202ev1",
    ],
)
def test_a_tag_that_is_none_is_refused_before_anything_is_asked(
    tag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmrl_data.dataset.push._finished", lambda task, folder: ({}, {}))
    monkeypatch.setattr("lmrl_data.dataset.push.connect", lambda: pytest.fail("it was asked"))
    with pytest.raises(UserError, match="cannot be a tag"):
        push_dataset(get_task("maze"), tmp_path, "me/maze", revision_tag=tag)
