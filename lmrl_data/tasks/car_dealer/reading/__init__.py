"""Reads what a seller's line says: its prices, its car, and what it does."""
