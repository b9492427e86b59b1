"""Extras: what an app may want and the core never imports: one small file each, its docstring its manual."""
