"""The process that serves: its signals, its restarts, its workers and its loop threads.

program.py         the servers of a process, from their start to its end
signals.py         which signal does what, as a table
restart.py         graceful restarts: when a successor is started, and when the old process stops accepting
handover.py        how listening sockets get from one process to the next
line.py            what two processes say to each other
master.py          looks after worker processes
worker_factory.py  forks them
watchdog.py        finds those that hang, or have too much memory
worker.py          a worker
worker_handle.py   what its master knows of it
accept_balance.py  which worker accepts the next client
loop_threads.py    several event loops in one process
systemd.py         what systemd is told
import_guard.py    no server is started while the command line imports its app
member.py          what a program begins and stops: a running server, or a master

It uses servers. Servers import nothing of it, but for the doors that tests/house/test_imports.py lists.
"""
