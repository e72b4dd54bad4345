"""What goes to the Hub and comes from it: results and checkpoints."""
