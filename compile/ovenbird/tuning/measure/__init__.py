"""Measuring candidates: processes that may die of them, here or on other machines."""
