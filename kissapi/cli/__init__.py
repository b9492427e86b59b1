"""The command line: `kissapi app:router`, its options, --reload, and the subcommands routes and check.

Nothing imports it but `kissapi.__main__`.
"""
