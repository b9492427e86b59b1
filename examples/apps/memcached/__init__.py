"""A cache that speaks the text protocol of memcached."""
