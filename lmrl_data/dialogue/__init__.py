"""What the three word games share: simulators that know their answers, and what reads and words them."""
