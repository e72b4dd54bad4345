"""Templates of cards and pages, and a page for each task; installed as `lmrl_cards`."""
