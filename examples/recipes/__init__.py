"""Recipes: what many apps need, each a file to copy; examples/guide/recipes.md explains them."""
