"""Run recsys commands as another operating-system user: as_user.py UID COMMAND [-- COMMAND]...

Starts as root and imports everything before it changes the user: the interpreter and the checkout
may be closed to that user. Prints one JSON document per command. With `--foreground` before
the only command it becomes that command.
"""

from __future__ import annotations

import json
import os
import pkgutil
import sys
import tempfile
from importlib import import_module
from itertools import groupby

import recsys
from recsys.storage.server import embedded, server_paths


def main() -> None:
    uid, *rest = sys.argv[1:]
    commands = [list(words) for separator, words in groupby(rest, "--".__eq__) if not separator]
    for module in pkgutil.walk_packages(recsys.__path__, "recsys."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    binaries = server_paths._reachable(embedded._wheel_binaries())
    embedded._wheel_binaries = lambda: binaries
    os.setgroups([])
    os.setgid(int(uid))
    os.setuid(int(uid))
    os.chdir("/")
    if commands[0][0] == "--foreground":
        sys.argv = ["recsys", *commands[0][1:]]
        import_module("recsys.__main__").main()
        return
    for command in commands:
        sys.stdout.write(f"{json.dumps(run(command))}\n")
        sys.stdout.flush()


def run(command: list[str]) -> dict[str, object]:
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(errors.fileno(), 2)
            sys.argv = ["recsys", *command]
            try:
                import_module("recsys.__main__").main()
            except SystemExit as end:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for file in (output, errors):
            file.seek(0)
        return {"command": command, "code": code, "out": output.read(), "err": errors.read()}


if __name__ == "__main__":
    main()
