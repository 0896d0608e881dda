"""Loses races, one after the other, and says what Python showed of each.

Orders come on standard input, a line each: `STEP KEY`. The program reads KEY and prepares the step,
says `ready`, waits for the line `go`, does it, says what each call came to (`CALL: RESULT`), and
ends with `done`.
"""

import errno
import os
import pathlib
import sys


def say(line):
    print(line, flush=True)


def call(name, function, *arguments):
    try:
        function(*arguments)
        say(f"{name}: ok")
    except OSError as error:
        say(f"{name}: {type(error).__name__} {errno.errorcode[error.errno]}")


def race():
    say("ready")
    assert sys.stdin.readline() == "go\n"


def read(key):
    return pathlib.Path(key).read_text()


def fsync(key):
    file = open(key, "r+")
    file.read()
    file.seek(0)
    file.write("from python")
    file.truncate()
    file.flush()
    race()
    call("fsync", os.fsync, file.fileno())
    file.write(", and more")
    call("write", file.flush)
    call("close", file.close)


def close(key):
    read(key)
    file = open(key, "w")
    file.write("from python")
    file.flush()
    race()
    call("close", file.close)


def rename(key):
    read(key)
    pathlib.Path(f"{key}.new").write_text("from python")
    race()
    call("rename", os.replace, f"{key}.new", key)


def open_(key):
    read(key)
    race()
    call("open", open, key, "w")


def whole(key):
    race()
    call("write_text", pathlib.Path(key).write_text, "from python")


def dropped(key):
    def drop():
        open(key, "w").write("from python")

    race()
    call("no close", drop)


STEPS = {
    "fsync": fsync,
    "close": close,
    "rename": rename,
    "open": open_,
    "whole": whole,
    "dropped": dropped,
}

for line in sys.stdin:
    step, key = line.split()
    STEPS[step](key)
    say("done")
