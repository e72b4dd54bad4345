"""What the three word games share: the simulator, numbers, articles, asset files and the diversity of questions."""
