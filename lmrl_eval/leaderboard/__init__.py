"""The leaderboard: collected from published results, drawn as a table, a figure and a page."""
