"""A process that does one system call after the other, as it is told on standard input.

Each line is a JSON list: the name of a function below and its arguments. Each answer is a line too:
{"ok": VALUE} or {"errno": NAME}.
"""

import errno
import json
import os
import sys

MODES = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "xa": os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND,
}


def read(fd):
    return os.pread(fd, 1 << 20, 0).decode()


def cat(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return read(fd)
    finally:
        os.close(fd)


def create(path):
    fd = os.open(path, MODES["x"])
    try:
        os.write(fd, str(os.getpid()).encode())
    finally:
        os.close(fd)


def append(path, text):
    fd = os.open(path, MODES["a"])
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


CALLS = {
    "append": append,
    "open": lambda path, mode: os.open(path, MODES[mode]),
    "read": read,
    "cat": cat,
    "create": create,
    "truncate": lambda fd, size: os.ftruncate(fd, size),
    "write": lambda fd, text: os.pwrite(fd, text.encode(), 0),
    "fsync": os.fsync,
    "close": os.close,
    "rename": os.rename,
    "unlink": os.unlink,
    "mkdir": os.mkdir,
}

for line in sys.stdin:
    name, *arguments = json.loads(line)
    try:
        answer = {"ok": CALLS[name](*arguments)}
    except OSError as error:
        answer = {"errno": errno.errorcode[error.errno]}
    print(json.dumps(answer), flush=True)
