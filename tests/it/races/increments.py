"""Adds one to a number in a file, COUNT times: read, add, save, and again after an EAGAIN.

usage: increments.py STYLE FILE COUNT

STYLE is how the number is saved:
  in-place   open r+, read, truncate, write, fsync, close
  reopen     read, close; then a truncating open, write, close
  rename     read, close; write a temporary file, rename it over the number

Prints one JSON object: the values it saved, and how often each call failed with each errno. It ends
with status 1 at the first error that is no EAGAIN: after that nobody knows what the number should be.
"""

import errno
import json
import os
import sys


class Watch:
    """Which call is under way."""

    call = None


def in_place(path):
    Watch.call = "open"
    with open(path, "r+") as file:
        Watch.call = "read"
        value = int(file.read()) + 1
        Watch.call = "truncate"
        file.seek(0)
        file.truncate()
        Watch.call = "write"
        file.write(f"{value}\n")
        file.flush()
        Watch.call = "fsync"
        os.fsync(file.fileno())
        Watch.call = "close"
    return value


def read(path):
    Watch.call = "open to read"
    with open(path) as file:
        Watch.call = "read"
        return int(file.read())


def write(path, value):
    Watch.call = "open to write"
    with open(path, "w") as file:
        Watch.call = "write"
        file.write(f"{value}\n")
        file.flush()
        Watch.call = "close"


def reopen(path):
    value = read(path) + 1
    write(path, value)
    return value


def rename(path):
    value = read(path) + 1
    temporary = f"{path}.new-{os.getpid()}"
    try:
        write(temporary, value)
        Watch.call = "rename"
        os.rename(temporary, path)
    except OSError:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return value


STYLES = {"in-place": in_place, "reopen": reopen, "rename": rename}


def main():
    style, path, count = STYLES[sys.argv[1]], sys.argv[2], int(sys.argv[3])
    values, refused, failed = [], {}, None
    while len(values) < count and failed is None:
        try:
            values.append(style(path))
        except OSError as error:
            if error.errno == errno.EAGAIN:
                refused[Watch.call] = refused.get(Watch.call, 0) + 1
            else:
                failed = f"{errno.errorcode[error.errno]} from {Watch.call}"
        except ValueError as error:
            failed = f"{error} at {Watch.call}"
    print(json.dumps({"values": values, "refused": refused, "failed": failed}))
    return 0 if failed is None else 1


sys.exit(main())
