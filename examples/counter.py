#!/usr/bin/env python3
"""Adds to a number in a file of an etagfs mount, whoever else does the same elsewhere.

usage: counter.py FILE [BY]

The file must exist (echo 0 > FILE). The loop is the whole recipe: read, change, save; if the save
fails with EAGAIN, somebody else saved first, so begin again with a fresh read. Nothing else means
"try again": any other error is an error.
"""

import errno
import os
import random
import sys
import time


def update(path, change):
    """Replaces the text of a file by change(text); the new text."""
    for attempt in range(100):
        try:
            with open(path, "r+") as file:
                text = change(file.read())
                file.seek(0)
                file.truncate()
                file.write(text)
                file.flush()
                # Here the save happens, or is refused. (Without the fsync, when the file is closed.)
                os.fsync(file.fileno())
            return text
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        # Give the others time: up to 2 ms, 4 ms, 8 ms, ... but never more than a second.
        time.sleep(random.uniform(0, min(1, 0.002 * 2**attempt)))
    raise TimeoutError(f"{path}: somebody else was first 100 times")


def main():
    path = sys.argv[1]
    by = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(update(path, lambda text: f"{int(text) + by}\n"), end="")


if __name__ == "__main__":
    main()
