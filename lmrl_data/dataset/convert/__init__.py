"""The original release's files as rows of ours: reads each of its formats and writes a folder for `load_dataset`.

What the files say is kept to the letter, but for one newline at the end of a text. What they do not say is made up
nowhere: there is no seed (-1), no name of who played (`"original"`), and mostly no text after the last action.
How an episode ended is told from its rewards and texts, since the generators also set `done` where a limit cut in;
each task says how in its `original`.
"""
