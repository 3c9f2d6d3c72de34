"""Recipes as plain data: every file has `get_config(argument)`."""
