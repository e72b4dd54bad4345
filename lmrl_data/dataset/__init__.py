"""The dataset: building it, reading it, describing it and publishing it."""
