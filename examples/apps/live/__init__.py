"""A page that lives: chat rooms, a ticker, an upload with its progress, a list by htmx."""
