"""The indefinite article of a noun."""

import re

_AN = re.compile(r"[AEIOaeio]|[Uu](?!s|ni)|[FHLMNRSX](?![a-z])|\$?(?:8|1[18](?:[,k]|\.\d+k|$))")


def with_article(noun: str) -> str:
    """A noun behind a or an, by its sound.

    Examples:
        >>> [with_article(noun) for noun in ("SUV", "used Audi", "orange", "truck")]
        ['an SUV', 'a used Audi', 'an orange', 'a truck']
    """
    return f"{'an' if _AN.match(noun) else 'a'} {noun}"
