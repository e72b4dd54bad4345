"""The model card: the README of a checkpoint, rendered from its training record."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmrl_data.dataset.page import front_matter, task_page, templates
from lmrl_data.tasks import get_task
from lmrl_eval.training_record import RECIPE, TrainingRecord
from lmrl_eval.untrusted import TAG


def render_model_card(
    record: TrainingRecord, *, recipe: bool = False, repo: str | None = None, figures: Sequence[str] = ()
) -> str:
    """The README of a policy or an oracle.

    Args:
        record (`TrainingRecord`): what the checkpoint was made from.
        recipe (`bool`, *optional*, defaults to `False`): whether its `recipe.yaml` is beside it.
        repo (`str`, *optional*): the repository that the card is published in.
        figures (`Sequence[str]`, *optional*): paths of pictures beside the card.

    Raises:
        ValueError: for a policy without limitations.
    """
    task, base_model = get_task(record.task), record.base_model or "not recorded"
    settings: dict[str, Any] = dict(record.settings)
    if record.kind == "oracle":
        template, tags = "oracle.md.jinja", ["simulator", task.id]
    else:
        if not record.limitations.strip():
            raise ValueError("a model card says what the policy cannot do: limitations is empty")
        template, tags = "model.md.jinja", ["reinforcement-learning", task.id, record.algorithm]
        settings = {"dataset_config": record.config, **settings}
    base = hub_ids(base_model)
    # A build in the folder `lmrl` is byte for byte the dataset of that name.
    datasets = [record.dataset] if record.dataset == f"lmrl/{task.id}" else hub_ids(record.dataset)
    head = front_matter(
        license="apache-2.0",
        library_name="transformers",
        **({"base_model": base[0]} if base else {}),
        **({"datasets": datasets} if datasets else {}),
        pipeline_tag="text-generation",
        tags=[TAG, *tags],
    )
    local = "/" in base_model and not base
    return head + templates().get_template(template).render(
        record=record,
        task=task,
        title=task_page(task).title,
        base_model=f"{base_model}, a folder of whoever trained it" if local else base_model,
        hyperparameters=settings,
        recipe=RECIPE if recipe else None,
        repo=repo,
        figures=figures,
    )


def hub_ids(name: str) -> list[str]:
    """The name if it is a repository `owner/name` and no folder here; the Hub refuses a card that links a folder."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return []
    return [name] if "/" in name and not Path(name).exists() else []
