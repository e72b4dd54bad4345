"""The trial of what a checkpoint computes with: its chat template and the rules of its tokenizer, in a child process.

A few bytes of either can take all time and memory. What cannot is recognized and not tried.
"""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from lmrl_data.errors import UserError
from lmrl_data.parsing import entries, read_json_file

LARGEST_TEMPLATE = 1 << 18  # bytes of a chat template
LARGEST_TOKENIZER = 1 << 26  # bytes of a tokenizer.json; the largest of known models have 35 MB
SMALL_TOKENIZER = 1 << 20  # bytes up to which a tokenizer.json is read here
LONGEST_STEPS = 4_000  # characters of its steps
# A template of these parts alone takes a time proportional to the length of the conversation.
TEMPLATE_PARTS = "Template Output TemplateData For If Name Getitem Getattr Const Add Concat Compare Operand And Or Not"
# And so do these steps of a tokenizer, with linear expressions: they put no long texts in place of short ones.
TOKENIZER_PARTS = (
    "BPE Unigram WordLevel WordPiece Sequence Split ByteLevel Metaspace Whitespace WhitespaceSplit BertPreTokenizer "
    "Digits Punctuation NFC NFD NFKC NFKD Lowercase StripAccents BertNormalizer ByteFallback Fuse BPEDecoder "
    "BertProcessing RobertaProcessing TemplateProcessing"
)
TRIAL_SECONDS = 10
TOKENIZER_SECONDS = 30  # of which the largest take ten on a busy machine
TRIAL_BYTES = 4 << 30
LIMITS = f"""
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, ({TRIAL_BYTES}, {TRIAL_BYTES}))
except (ImportError, ValueError, OSError):
    pass
"""
TEMPLATE_TRIAL = f"""{LIMITS}
from transformers.utils.chat_template_utils import render_jinja_template
template = sys.stdin.read()
for turns in (2, 40):
    roles = ["user", "assistant"] * turns
    try:
        render_jinja_template([[{{"role": role, "content": "move up"}} for role in roles]], chat_template=template)
    except MemoryError:
        sys.exit(3)
    except Exception:
        pass
"""
# No honest tokenizer makes more than a hundred tokens of a character.
TOKENIZER_TRIAL = f"""{LIMITS}
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.stdin.read())
texts = ("The goal is at 8, 6.\\nMove down! Don't you think it's $12,500?\\n", "a", "A", "1", " ", "\\n", ".,", "ab ")
for text in texts:
    text *= 500
    tokens = tokenizer.encode(text).ids
    if max(len(tokens), len(tokenizer.decode(tokens))) > 100 * len(text):
        sys.exit(3)
"""


def check_template(template: str, name: str) -> None:
    """Refuses a chat template that takes too much time or memory.

    A simple template is read; any other is tried in a child process.

    Raises:
        UserError: if it does, or is too long.
    """
    if len(template) > LARGEST_TEMPLATE:
        raise UserError(f"{name} is refused: its chat template has more than {LARGEST_TEMPLATE >> 10} kB")
    if not is_harmless(template) and (problem := _trial(TEMPLATE_TRIAL, template, TRIAL_SECONDS)):
        raise UserError(f"{name} is refused: its chat template needs more than {problem} for a short conversation")


def is_harmless(template: str) -> bool:
    """Whether a template is one loop over the messages that only joins texts."""
    import jinja2

    text = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)
    try:
        tree = jinja2.Environment().parse(text)
    except jinja2.TemplateSyntaxError:
        return False
    names = [type(node).__name__ for node in (tree, *tree.find_all(jinja2.nodes.Node))]
    loops = list(tree.find_all(jinja2.nodes.For))
    return set(names) <= set(TEMPLATE_PARTS.split()) and len(loops) <= 1 and not any(loop.recursive for loop in loops)


def check_tokenizer(path: Path, name: str) -> None:
    """Refuses a tokenizer whose rules take too much time or memory, or fail.

    One of simple steps is read; any other is tried in a child process on a few texts. A rule that only particular
    texts make slow is not noticed.

    Args:
        path (`Path`): its `tokenizer.json`.
        name (`str`): the checkpoint, for the message.

    Raises:
        UserError: if they do, or the file is too large.
    """
    size = path.stat().st_size
    if size > LARGEST_TOKENIZER:
        raise UserError(f"{name} is refused: its tokenizer.json has {size:,} bytes, more than any model's")
    if is_simple(path):
        return
    if problem := _trial(TOKENIZER_TRIAL, str(path.resolve()), TOKENIZER_SECONDS, path.stat().st_mtime_ns):
        raise UserError(f"{name} is refused: its tokenizer fails on a plain text, or needs more than {problem}")


def is_simple(path: Path) -> bool:
    """Whether a small `tokenizer.json` has simple steps only."""
    try:
        steps = dict(read_json_file(path, SMALL_TOKENIZER))
        model = dict(steps.pop("model"))
    except (ValueError, TypeError, KeyError):
        return False
    steps.pop("added_tokens", None)
    if steps.get("padding") is not None or len(json.dumps(steps)) > LONGEST_STEPS:
        return False
    values = [*entries(steps), ("type", model.get("type"))]
    kinds = {str(value) for name, value in values if name == "type"}
    return kinds <= set(TOKENIZER_PARTS.split()) and all(is_linear(value) for name, value in values if name == "Regex")


def is_linear(pattern: object) -> bool:
    """Whether no part of a text can be matched by a regular expression in more than one way.

    Examples:
        >>> is_linear(r" ?[a-z]+|[0-9]+"), is_linear(r"([a-z]+)+"), is_linear(r".*.*=")
        (True, False, False)
    """
    parts = str(pattern).split("|")
    return "(" not in str(pattern) and all(len(re.findall(r"[*+{]", re.sub(r"\\p\{", "", part))) < 2 for part in parts)


# In memory only: a file with verdicts would be one more file to trust.
@functools.cache
def _trial(program: str, text: str, seconds: float, version: int = 0) -> str | None:
    """What is needed too much of, as a child finds that gets a text; `None` if all is well.

    Args:
        program (`str`): what the child does.
        text (`str`): a template, or the path of a file.
        seconds (`float`): the longest that it may take.
        version (`int`, *optional*): another one for a file that changed.
    """
    # -P: without it, Python would import modules from the current folder, which may be the checkpoint's own.
    command = [sys.executable, "-P", "-c", program]
    environment = os.environ | {"TOKENIZERS_PARALLELISM": "false"}
    try:
        child = subprocess.run(
            command, input=text.encode(), timeout=seconds, stderr=subprocess.DEVNULL, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"{seconds} s"
    return f"{TRIAL_BYTES >> 30} GB of memory" if child.returncode else None
