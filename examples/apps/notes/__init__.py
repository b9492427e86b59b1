"""Notes with pictures: login, session, CSRF, upload, flash messages, error pages, SQLite both ways."""
