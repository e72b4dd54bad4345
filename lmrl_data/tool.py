"""The tool: a task's action in the form in which models call functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def unchanged(text: str) -> str:
    """The text itself."""
    return text


def spelled(text: str) -> str:
    """A word or a move with one space between its characters, as the paper writes them.

    Examples:
        >>> spelled("Nf3"), spelled("N f 3")
        ('N f 3', 'N f 3')
    """
    return " ".join(text.replace(" ", ""))


def unspelled(text: str) -> str:
    """The text whose spelling `text` is; any other text stays as it is.

    Examples:
        >>> unspelled("N f 3"), unspelled("I resign.")
        ('Nf3', 'I resign.')
    """
    joined = text.replace(" ", "")
    return joined if spelled(joined) == text else text


@dataclass(frozen=True)
class Tool:
    """A task's action as a function with one argument, a text.

    Args:
        name (`str`): of the function, e.g. `"move"`.
        description (`str`): what a call does, for the model.
        argument (`str`): the name of the argument, e.g. `"direction"`.
        argument_description (`str`): what the argument says, for the model.
        choices (`tuple[str, ...]`, *optional*): the texts that the argument may be; any by default.
        to_action (`Callable[[str], str]`, *optional*): the action of an argument; the argument itself by default.
        to_argument (`Callable[[str], str]`, *optional*): the argument of an action, whatever text it is; the action
            itself by default.

    Examples:
        >>> tool = Tool("move", "Moves.", "direction", "Where to.", ("up", "down"), "move {}".format)
        >>> tool.to_action("up")
        'move up'
    """

    name: str
    description: str
    argument: str
    argument_description: str
    choices: tuple[str, ...] = ()
    to_action: Callable[[str], str] = unchanged
    to_argument: Callable[[str], str] = unchanged

    def __post_init__(self) -> None:
        for name in (self.name, self.argument):
            if not name.isidentifier() or not name.isascii():
                raise ValueError(f"a tool and its argument have names as in Python, got {name!r}")

    @property
    def rule(self) -> str:
        """The sentence that follows the task's instructions where this tool is called."""
        return f"Give that answer by calling the tool {self.name}, once a turn."

    def schema(self) -> dict[str, Any]:
        """The function as OpenAI's API describes it, with a JSON schema of its argument."""
        choices = {"enum": list(self.choices)} if self.choices else {}
        return {
            "name": self.name,
            "description": self.description,
            "parameters": {
                "type": "object",
                "properties": {self.argument: {"type": "string", "description": self.argument_description, **choices}},
                "required": [self.argument],
                "additionalProperties": False,
            },
        }


# Of a task that names none.
ACT = Tool("act", "Does one action.", "text", "The action, as the rules ask for it.")
