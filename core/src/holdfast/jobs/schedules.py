"""What has `holdfast run --due` called every few minutes: units of systemd, a line of cron, a CronJob of Kubernetes.

They are printed, and installed by whoever likes them. Each gives the run as little as it needs: a root file system that
cannot be written, a /tmp of its own, no further rights.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from holdfast.command_text import command_text
from holdfast.errors import UsageError
from holdfast.jobs.model import Config
from holdfast.jobs.reading import ConfigFile
from holdfast.jobs.settings import settings_of

_UNIT = """\
# /etc/systemd/system/holdfast.service
[Unit]
Description=Back up what is due
Wants=network-online.target
After=network-online.target
{mounts}
[Service]
Type=oneshot
User={user}
ExecStart={command}
Environment=HOLDFAST_STATE=%S/holdfast-run HOLDFAST_CACHE=%C/holdfast-run
StateDirectory=holdfast-run
StateDirectoryMode=0700
CacheDirectory=holdfast-run
CacheDirectoryMode=0700
Nice=10
TimeoutStopSec=60
UMask=0077
NoNewPrivileges=true
PrivateTmp=true
PrivateDevices=true
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=true
ProtectControlGroups=true
RestrictSUIDSGID=true
{paths}
# /etc/systemd/system/holdfast.timer, started by: systemctl enable --now holdfast.timer
[Unit]
Description=Back up what is due, every {every}

[Timer]
OnBootSec=2m
OnUnitInactiveSec={seconds}s
AccuracySec=30s

[Install]
WantedBy=timers.target
"""
_UID = 54321  # without an entry in any passwd


def stores_in_files(config: Config, file: ConfigFile) -> list[str]:
    """The folders that the jobs write to."""
    folders: dict[str, None] = {}
    for name in config.job:
        settings = settings_of(name, config, file)
        stores = (str(address.store) for address in (settings.store, *settings.copies))
        folders |= dict.fromkeys(store.removeprefix("file://") for store in stores if _is_path(store))
    return [*folders]


def _is_path(store: str) -> bool:
    return store.startswith(("/", "file:///"))


def systemd(file: ConfigFile, folders: Sequence[str], *, every: str, seconds: float, user: str) -> str:
    """A service and a timer."""
    quoted = [_unit_word(folder) for folder in folders]
    return _UNIT.format(
        user=user,
        command=" ".join(map(_unit_word, _words(file))),
        mounts="".join(f"RequiresMountsFor={folder}\n" for folder in quoted),
        paths="".join(f"ReadWritePaths={folder}\n" for folder in quoted),
        every=every,
        seconds=f"{seconds:.0f}",
    )


def cron(file: ConfigFile, *, seconds: float, user: str) -> str:
    """A line for /etc/cron.d."""
    command = f"{command_text(*_words(file))} > /dev/null"
    return f"# /etc/cron.d/holdfast\n{cron_times(seconds)}  {user}  {command.replace('%', chr(92) + '%')}\n"


def kubernetes(folders: Sequence[str], *, seconds: float, image: str) -> str:
    """A CronJob as JSON, which kubectl takes; the file is in a ConfigMap, each store that is a folder on a volume."""
    claims = [(f"store-{number}", folder) for number, folder in enumerate(folders, 1)]
    mounts = [{"name": name, "mountPath": folder} for name, folder in claims]
    volumes: list[dict[str, Any]] = [
        {"name": name, "persistentVolumeClaim": {"claimName": f"holdfast-{name}"}} for name, _ in claims
    ]
    environment = {
        "HOLDFAST_STATE": "/tmp/state",  # noqa: S108 (a volume of the pod alone)
        "HOLDFAST_CACHE": "/tmp/cache",  # noqa: S108
        "HOLDFAST_HOST": "holdfast",
        "TMPDIR": "/tmp",  # noqa: S108
    }
    container = {
        "name": "holdfast",
        "image": image,
        "command": ["holdfast", "-q", "run", "--due", "--config", "/etc/holdfast/holdfast.toml"],
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "securityContext": {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "config", "mountPath": "/etc/holdfast", "readOnly": True},
            *mounts,
        ],
    }
    pod = {
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "runAsUser": _UID, "runAsGroup": _UID, "fsGroup": _UID},
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "config", "configMap": {"name": "holdfast"}},
            *volumes,
        ],
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "holdfast"},
        "spec": {
            "schedule": cron_times(seconds),
            "concurrencyPolicy": "Allow",  # each job is run by one at a time, and a long one keeps out no other
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pod}}},
        },
    }
    return msgspec.json.format(msgspec.json.encode(job), indent=2).decode() + "\n"


def cron_times(seconds: float) -> str:
    """When cron calls it, for what divides an hour or a day."""
    minutes = seconds / 60
    if minutes in (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30):
        return f"*/{minutes:.0f} * * * *"
    if minutes / 60 in (1, 2, 3, 4, 6, 8, 12, 24):
        return f"0 */{minutes / 60:.0f} * * *" if minutes < 1440 else "0 0 * * *"
    raise UsageError(
        "cron cannot count these times", hint="use 1m, 2m, 5m, 10m, 15m, 20m, 30m, 1h, 2h, 4h, 6h, 12h or 24h"
    )


def _words(file: ConfigFile) -> list[str]:
    program = shutil.which("holdfast", path=os.path.dirname(sys.executable))
    start = [program] if program else [sys.executable, "-m", "holdfast"]
    return [*start, "-q", "run", "--due", "--config", file.path]


def _unit_word(word: str) -> str:
    """A word of a unit, in which % and spaces have a meaning."""
    word = word.replace("\\", "\\\\").replace("%", "%%").replace("$", "$$")
    return '"' + word.replace('"', '\\"') + '"' if set(word) & set(" '\"") else word
