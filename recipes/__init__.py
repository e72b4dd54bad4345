"""Training recipes, one file an algorithm; installed as `lmrl_recipes`."""
