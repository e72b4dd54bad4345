"""What the recipes share: how a run starts and ends, and its two kinds of data, offline and online."""
