"""Stands in for a small Python: runs a program in this one with what a small build lacks hidden from it.

To run a program with its arguments:

    python -S -P tests/blocker.py program.py argument ...
"""

# First what the small build does have, loaded with all that it needs: in a larger Python the standard library
# itself leans on modules hidden below.
import argparse
import ast
import base64
import email.utils
import encodings.idna
import enum
import functools
import hashlib
import importlib.util
import inspect
import ipaddress
import logging
import pathlib
import random
import re
import runpy
import selectors
import signal
import socket
import ssl
import sys
import tempfile
import threading
import traceback
import typing
import urllib.parse
import weakref
import zlib

HAD = (
    argparse, ast, base64, email.utils, encodings.idna, enum, functools, hashlib, importlib.util, inspect,
    ipaddress, logging, pathlib, random, re, runpy, selectors, signal, socket, ssl, sys, tempfile, threading,
    traceback, typing, urllib.parse, weakref, zlib,
)  # fmt: skip

# The modules absent from python3.11-minimal that a server could want, and kissapi's dependencies.
HIDDEN = frozenset(
    "asyncio bz2 cgi concurrent contextvars ctypes curses dataclasses decimal difflib fractions gettext "
    "graphlib gzip hmac html http json lzma mimetypes mmap multiprocessing pty queue resource sched secrets "
    "shlex shutil socketserver sqlite3 statistics termios tomllib tty unittest uuid wsgiref xml zoneinfo "
    "colorama httptools uvloop".split()
)


class Blocker:
    """An import hook: it stands first, and no hidden module gets past it."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r} (hidden by tests/blocker.py)", name=name)


if __name__ == "__main__":
    # Debian's argparse is changed to do without gettext and shutil: so is its width where shutil is missing.
    argparse.HelpFormatter.__init__.__defaults__ = (2, 24, 70)
    for module in [name for name in sys.modules if name.partition(".")[0] in HIDDEN]:
        del sys.modules[module]
    sys.meta_path.insert(0, Blocker)
    sys.argv = sys.argv[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
