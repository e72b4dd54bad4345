"""A Hugging Face Hub on this machine, for tests only: `Hub` in `server`, the fixture `hub` in conftest.

It was written from what huggingface_hub 2.4 and datasets 5.2 send and read, and never compared with huggingface.co.
Programs that were not written here (those two, the `hf` command, git with git-lfs, olah) agree with it; see
test_other_programs.py.

Faithful, because a client or git checks it: the routes and the JSON they answer with, repositories in git, pointers of
large files, the storage on an origin of its own with signed addresses, redirects and their headers, ranges, pages of
long lists, error codes in headers, commits that are all or nothing, 412 for a parent that is no longer the newest.

Guessed: the wording of errors, who may open pull requests (everyone with a writing token, where the repository is
public), 409 for a merge with conflicts and the one commit that a merge makes, which text counts as binary, patterns
in .gitattributes (fnmatch), tags that the Hub derives from a card, what a leaderboard takes from open pull requests.

Not there: xet (set HF_HUB_DISABLE_XET=1), uploads of large files in parts, `git push`, gated repositories, rate limits
other than those ordered as a fault, branches. A request to a route that does not exist is answered by 404 and fails
the test that made it.
"""
