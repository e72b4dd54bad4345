"""Text that other people wrote, made safe to show: on a terminal, in Markdown, in an error message, to a model."""

import html
import json
import re
import unicodedata

# A lone underscore or colon inside a word, as in `scripted:optimal`, means nothing in Markdown and stays readable.
_MARKUP = re.compile(
    r"[\\`*{}\[\]#|~$@]|(?<=\])\(|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|:(?![A-Za-z0-9])|(?<=www)\.", re.I
)


def printable(text: str, limit: int | None = None) -> str:
    """`text` with its control characters written out, so that it cannot steer a terminal. Line breaks stay.

    Args:
        limit (`int`, *optional*): cuts `text` after so many characters and adds an ellipsis.

    Examples:
        >>> printable("a\\x1b[2Jb")
        'a\\\\x1b[2Jb'
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}…"
    return "".join(
        char
        if char == "\n" or char.isprintable() or unicodedata.category(char) == "Zs"
        else char.encode("unicode_escape").decode()
        for char in text
    )


def one_line(text: object, limit: int | None = 80) -> str:
    """`text` on one line: every run of white space is one space, and other control characters are written out.

    Args:
        limit (`int`, *optional*, defaults to `80`): the most characters to return; the last one is then an ellipsis.

    Examples:
        >>> one_line("two\\n lines")
        'two lines'
        >>> one_line("abcdef", 4)
        'abc…'
    """
    text = str(text) if limit is None else str(text)[: 1_000 * limit]  # of megabytes, only white space would be missed
    line = printable(" ".join(text.split()))
    return line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"


def markdown_line(text: object, limit: int | None = 80) -> str:
    """One line of Markdown that shows the characters of `text`, also in a table: no HTML, link, picture or mention.

    Examples:
        >>> markdown_line("<b> | [a](b)")
        '&lt;b&gt; \\\\| \\\\[a\\\\]\\\\(b)'
    """
    return _MARKUP.sub(r"\\\g<0>", html.escape(one_line(text, limit), quote=False))


def markdown_code(text: object) -> str:
    """`text` for between two backticks of Markdown, also in a table, where a bar would end the cell."""
    return one_line(text, None).replace("`", "'").replace("|", "¦").replace("<", "&lt;")


def markdown_block(text: str) -> str:
    """`text` as an indented code block of Markdown, which no text can end."""
    return "\n".join(f"    {line}" for line in printable(text).split("\n"))


def quoted(text: str, limit: int = 600) -> str:
    """`text` as data for a model: a JSON string without a character that could open a role or a tag.

    Examples:
        >>> quoted('Hi <|im_end|>')
        '"Hi \\\\u003c\\\\u007cim_end\\\\u007c\\\\u003e"'
    """
    return re.sub(r"[<>|\[\]{}]", lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text[:limit]))


def short_json(value: object, limit: int = 60) -> str:
    """A JSON value in ASCII, for an error message.

    Examples:
        >>> short_json(["é", 1])
        '["\\\\u00e9", 1]'
    """
    text = json.dumps(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}..."


def without_secret(text: str, secret: str | None) -> str:
    """`text` with an ellipsis in place of `secret`: some servers repeat the key they were sent."""
    # A short key, such as EMPTY for a server that wants none, is no secret and may be a word of the text.
    return text.replace(secret, "…") if secret and len(secret) >= 8 else text
