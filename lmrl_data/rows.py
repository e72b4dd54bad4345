"""The rows of a dataset: their columns, and the Arrow tables that episodes become."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lmrl_data.config import Config
from lmrl_data.episode import Episode, Turn
from lmrl_data.policy import Conversation


def _feature(kind: pa.DataType) -> Any:
    """A type as `datasets` writes it into a schema, which spares us importing it."""
    if isinstance(kind, pa.JsonType):
        return {"_type": "Json"}
    if pa.types.is_list(kind):
        return {"feature": _feature(kind.value_type), "_type": "List"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type) for field in kind}
    return {"dtype": "float64" if pa.types.is_float64(kind) else str(kind), "_type": "Value"}


def _schema(columns: Mapping[str, pa.DataType]) -> pa.Schema:
    features = {name: _feature(kind) for name, kind in columns.items()}
    return pa.schema(list(columns.items()), metadata={"huggingface": json.dumps({"info": {"features": features}})})


_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
SCHEMA = _schema(
    {
        "task": pa.string(),
        "config": pa.string(),
        "messages": _MESSAGES,
        "rewards": pa.list_(pa.float64()),
        "total_reward": pa.float64(),
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "policy": pa.string(),
        "seed": pa.int64(),
        "info": pa.json_(),
    }
)
STEP_SCHEMA = _schema(
    {
        "prompt": _MESSAGES,
        "completion": _MESSAGES,
        "reward": pa.float64(),
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "episode": pa.int64(),
        "turn": pa.int64(),
        "next_prompt": _MESSAGES,
    }
)


def episode_table(episodes: Sequence[Episode]) -> pa.Table:
    """The rows of `SCHEMA` that hold these episodes."""
    # `datasets` encodes JSON by pandas too; rows must not depend on whether it or we wrote them.
    from pandas.io.json import ujson_dumps  # type: ignore[attr-defined, unused-ignore]

    rows = [episode.to_row() for episode in episodes]
    infos = pa.array([ujson_dumps(row.pop("info")) for row in rows], pa.string())
    columns = [pa.array([row[field.name] for row in rows], field.type) for field in SCHEMA if field.name != "info"]
    columns.append(pa.ExtensionArray.from_storage(SCHEMA.field("info").type, infos))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def step_rows(episode: Episode, index: int, history: int | None) -> list[dict[str, Any]]:
    """One row an action, with the texts the policy sees before and after it.

    Args:
        episode (`Episode`): what was played.
        index (`int`): the episode's place in its split; fills the `episode` column.
        history (`int`, *optional*): how many of the latest texts the policy sees.
    """
    conversation = Conversation(episode.seed, history)
    prompts: list[list[dict[str, str]]] = []
    actions: list[Turn] = []
    for turn in episode.turns:
        conversation.turns.append(turn)
        if turn.role == "assistant":
            actions.append(turn)
        elif turn.role == "user":
            prompts.append([{"role": seen.role, "content": seen.content} for seen in conversation.visible])
    if len(prompts) == len(actions):
        prompts.append([])  # the episode ends on an action: there is no next observation
    last = len(actions) - 1
    return [
        {
            "prompt": prompts[i],
            "completion": [{"role": "assistant", "content": action.content}],
            "reward": float(action.reward),
            "terminated": episode.terminated and i == last,
            "truncated": episode.truncated and i == last,
            "episode": index,
            "turn": i,
            "next_prompt": prompts[i + 1],
        }
        for i, action in enumerate(actions)
    ]


def tables(rules: Config, episodes: Sequence[Episode], start: int) -> tuple[pa.Table, ...]:
    """The rows of a run of episodes, one table for each dataset config: the episodes, and a Markov config's steps.

    Args:
        rules (`Config`): what the episodes were played by.
        episodes (`Sequence[Episode]`): one after the other.
        start (`int`): the first one's place in its split.
    """
    if not rules.markov:
        return (episode_table(episodes),)
    steps = [row for i, episode in enumerate(episodes, start) for row in step_rows(episode, i, rules.history)]
    return episode_table(episodes), pa.Table.from_pylist(steps, schema=STEP_SCHEMA)


def stored_types(schema: pa.Schema = SCHEMA) -> dict[str, pa.DataType]:
    """The columns of a schema by the types that they have in a Parquet file, where JSON is text."""
    return {
        field.name: field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type
        for field in schema
    }
