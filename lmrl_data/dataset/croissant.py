"""Croissant: the JSON-LD by which catalogues, search engines and `mlcroissant` know a dataset and read its rows."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.dataset.card import LICENCES, page_section, task_page
from lmrl_data.task import Task

if TYPE_CHECKING:
    from datasets import DatasetInfo

PARQUET = "application/x-parquet"
PAPER = "https://arxiv.org/abs/2311.18232"
TYPES = {"string": "sc:Text", "bool": "sc:Boolean", "int64": "sc:Integer", "float64": "sc:Float"}
# The terms of Croissant 1.0, as the standard asks every file to spell them out.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        term: f"cr:{term}"
        for term in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileObject", "fileProperty", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
}  # fmt: skip


class Shard(NamedTuple):
    """What is said of a Parquet file."""

    path: str  # beside the JSON-LD
    size: int
    sha256: str


def _field(owner: str, files: str, column: str, feature: Any) -> dict[str, Any]:
    """A column as a field: a list of messages has a field for the role and one for the content of each."""
    from datasets import Json, List

    field: dict[str, Any] = {"@type": "cr:Field", "@id": f"{owner}/{column}", "name": column}
    source = {"fileSet": {"@id": files}, "extract": {"column": column}}
    if isinstance(feature, Json):
        return field | {"description": "a JSON object", "dataType": "sc:Text", "source": source}
    if not isinstance(feature, List):
        return field | {"dataType": TYPES[feature.dtype], "source": source}
    if not isinstance(feature.feature, dict):
        return field | {"dataType": TYPES[feature.feature.dtype], "repeated": True, "source": source}
    parts = [
        _field(field["@id"], files, name, each) | {"source": source | {"transform": {"jsonPath": name}}}
        for name, each in feature.feature.items()
    ]
    return field | {"repeated": True, "subField": parts}


def _record_set(name: str, info: "DatasetInfo") -> dict[str, Any]:
    """A dataset config: its columns, and the split, which the name of a file tells."""
    splits = "|".join(info.splits)
    split = {
        "@type": "cr:Field",
        "@id": f"{name}/split",
        "name": "split",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{name}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": f"({splits})-.*"},
        },
    }
    fields = [_field(name, f"{name}-files", column, feature) for column, feature in info.features.items()]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": [split, *fields]}


def render_croissant(
    task: Task, infos: Mapping[str, "DatasetInfo"], shards: list[Shard], url: str | None = None
) -> str:
    """The JSON-LD of a dataset folder; its file paths are relative to itself.

    Args:
        task (`Task`): whose data it is.
        infos (`Mapping[str, DatasetInfo]`): the features and splits of each dataset config.
        shards (`list[Shard]`): the files of all of them.
        url (`str`, *optional*): where the dataset is published; without it the paper's address stands there.
    """
    page = task_page(task)
    files = [
        {
            "@type": "cr:FileObject",
            "@id": each.path,
            "name": each.path,
            "contentUrl": each.path,
            "contentSize": f"{each.size} B",
            "encodingFormat": PARQUET,
            "sha256": each.sha256,
        }
        for each in shards
    ]
    # A set names its files by a pattern and not by the objects above: only so does mlcroissant read files beside it.
    sets = [
        {
            "@type": "cr:FileSet",
            "@id": f"{name}-files",
            "name": f"{name}-files",
            "encodingFormat": PARQUET,
            "includes": f"{name}/*.parquet",
        }
        for name in infos
    ]
    croissant = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": page.title,
        "description": task.summary,
        "version": task.version,
        "license": LICENCES[page.licence].url,
        "url": url or PAPER,
        "citeAs": page_section(page, "Citation").removeprefix("```bibtex\n").removesuffix("\n```"),
        "creator": {"@type": "sc:Organization", "name": "The lmrl contributors"},
        "inLanguage": "en",
        "keywords": ["reinforcement learning", "language models", "multi-turn", task.id],
        "rai:dataCollection": page_section(page, "How the data was generated"),
        "rai:dataLimitations": page_section(page, "Limitations and bias"),
        "rai:personalSensitiveInformation": "None: every text was made by a program.",
        "distribution": [*files, *sets],
        "recordSet": [_record_set(name, info) for name, info in infos.items()],
    }
    return json.dumps(croissant, indent=2, ensure_ascii=False) + "\n"
