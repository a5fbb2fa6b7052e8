"""Dump the schemas of recsys to a file and restore them, with PostgreSQL's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from recsys.errors import DataError, MissingDependency, StorageError
from recsys.storage.server.address import Address
from recsys.storage.server.embedded import EmbeddedServer

SCHEMAS = ("recsys", "recsys_store")


def program(name: str, server: EmbeddedServer | None) -> str:
    """Return the path of a client program: the embedded server's, else the one on PATH."""
    found = str(server.program(name)) if server else shutil.which(name)
    if found is None:
        raise MissingDependency(
            f"{name} is not on PATH", hint="install PostgreSQL's client programs"
        )
    return found


def environment(address: Address) -> dict[str, str]:
    """Return the environment of a client program, with the password of the address."""
    # Other users of the machine can read the arguments of a process, not its environment.
    given = {"PGPASSWORD": address.password} if address.password else {}
    return {**os.environ, **given}


def dump(address: Address, path: Path, server: EmbeddedServer | None) -> None:
    """Write both schemas to a file in PostgreSQL's custom format, whole or not at all."""
    # Beside the target, for the rename at the end.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    schemas = [f"--schema={name}" for name in SCHEMAS]
    try:
        # Readable for its owner alone: it holds the ratings of persons.
        _run(
            "pg_dump", server, address, "--format=custom", f"--file={partial}", *schemas,
            f"--dbname={address.without_password}", umask=0o077,
        )  # fmt: skip
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def restore(address: Address, path: Path, server: EmbeddedServer | None) -> bool:
    """Restore a dump into a database without these schemas, whole or not at all.

    The connected role owns all objects; privileges are left out. Return whether the dumped database
    had been given to the roles.
    """
    if not path.is_file():
        raise DataError(f"{path} is not a file", hint="give a file that a dump has written")
    listed = _run("pg_restore", server, address, "--list", str(path))
    _run(
        "pg_restore", server, address, "--single-transaction", "--exit-on-error", "--no-owner",
        "--no-privileges", f"--dbname={address.without_password}", str(path),
    )  # fmt: skip
    return any(line.endswith("SCHEMA - recsys_store recsys_owner") for line in listed.splitlines())


def _run(
    name: str, server: EmbeddedServer | None, address: Address, *arguments: str, umask: int = -1
) -> str:
    done = subprocess.run(
        [program(name, server), *arguments],
        env=environment(address),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        umask=umask,
    )
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if "error:" in line] or ["it failed"]
        raise StorageError(told[0], hint=_hint(done.stderr))
    return done.stdout


def _hint(stderr: str) -> str | None:
    if "server version mismatch" in stderr:
        return "put the client programs of the server's version first on PATH"
    return None
