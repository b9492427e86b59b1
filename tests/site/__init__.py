"""The website: `make site` builds it from the README, the guide, the docstrings and the examples.

`pages` gives each file its page, and writes the links anew; `reference` lists the public names. Zensical, in
build/site-venv, makes HTML of them by examples/guide/site/zensical.toml. `html` looks for what is broken,
`looks` opens the site in a browser. No text stands here that stands in the checkout already.
"""
