"""The leaderboard: collects published scores, verifies them, and writes a page, tables and a figure."""
