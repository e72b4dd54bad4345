"""The packages to install; everything else about the project is in pyproject.toml.

Two folders have another name when installed: `recipes/` is the package `lmrl_recipes`, `cards/` is `lmrl_cards`.
"""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["lmrl_data*", "lmrl_eval*"]),
        "lmrl_cards",
        "lmrl_recipes",
        *(f"lmrl_recipes.{name}" for name in find_packages("recipes")),
    ],
    package_dir={"lmrl_cards": "cards", "lmrl_recipes": "recipes"},
    package_data={"": ["**/*"]},
    exclude_package_data={"": ["**/__pycache__/*", "*.pyc"]},
)
