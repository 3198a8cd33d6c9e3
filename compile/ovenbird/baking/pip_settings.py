"""This machine's pip settings for a build, as secrets: files that it may read and that do not become part of the image.

    secrets = pip_secrets(Path("/tmp/build"))       # {"pip": Path("/tmp/build/pip.conf"), "ca": Path("/etc/ssl/...")}

As a program it prints them as options of docker's, podman's and buildah's `build`, a line each; it needs no package:

    python3 compile/ovenbird/baking/pip_settings.py /tmp/build
"""

from __future__ import annotations

import ast
import contextlib
import os
import subprocess
import sys
from pathlib import Path

KEYS = ("index-url", "extra-index-url", "trusted-host", "timeout", "proxy")
CERTIFICATES = "/run/ca.crt"
"""Where a build finds the certificates."""


def pip_secrets(folder: Path) -> dict[str, Path]:
    """Write pip's settings into `folder`, and return the secrets by name. Folders of this machine are left out: they do
    not exist in a build. Raises OSError.
    """
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    settings: dict[str, str] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):
            settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    lines, secrets = ["[global]", "disable-pip-version-check = true", "root-user-action = ignore"], {}
    for key in KEYS:
        urls = [word for word in settings.get(key, "").split() if not word.startswith(("file:", "/"))]
        if urls:
            lines.append(f"{key} = {' '.join(urls)}")
    certificates = settings.get("cert") or os.environ.get("SSL_CERT_FILE", "")
    if certificates and Path(certificates).is_file():
        lines.append(f"cert = {CERTIFICATES}")
        secrets["ca"] = Path(certificates)
    secrets["pip"] = folder / "pip.conf"
    secrets["pip"].write_text("\n".join(lines) + "\n", encoding="utf-8")
    secrets["pip"].chmod(0o600)  # an index's address may carry a password
    return secrets


if __name__ == "__main__":
    for name, path in pip_secrets(Path(sys.argv[1])).items():
        print(f"--secret=id={name},src={path}")
