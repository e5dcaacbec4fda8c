"""The example of docs/executors.md with executorlib, on this host: `make executors` installs it and runs this."""

import os
import sys
from pathlib import Path

from support.commandline import make_shell
from support.databases import make_database
from support.snippets import snippets
from support.venvs import ROOT

FILES = '[defaults]\nverify.every = "1d"\n[job.files]\nsource = "sqlite:///data/*.db"\ndatabases = "*"\n'


def test_the_executors_of_executorlib_carry_jobs_out(tmp_path: Path) -> None:
    (module,) = (
        block.body
        for block in snippets((ROOT / "docs" / "executors.md").read_text())
        if block.body.startswith("# holdfast_slurm.py")
    )
    plugin = tmp_path / "plugin"
    info = plugin / "holdfast_slurm-1.dist-info"
    info.mkdir(parents=True)
    (plugin / "holdfast_slurm.py").write_text(module)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: holdfast-slurm\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[holdfast]\nslurm = holdfast_slurm\n")
    python = os.environ.get("HOLDFAST_TEST_EXECUTORLIB", sys.executable)
    variables = {"PYTHONPATH": str(plugin), "PYTHONWARNINGS": "default"}
    shell = make_shell(tmp_path, holdfast=(python, "-m", "holdfast"), variables=variables)
    (tmp_path / "data").mkdir()
    for number in range(4):
        make_database(tmp_path / "data" / f"{number}.db")
    (tmp_path / "holdfast.toml").write_text(FILES)
    words = ("run", "--due", "--config", "holdfast.toml", "--json")
    lines = shell.run(*words, "--executor", "processes").lines
    assert [line["exit_code"] for line in lines] == [0] * 4
    records = shell.listing()
    assert (len(records), len({record["run"] for record in records})) == (4, 4)
    assert {record["state"] for record in records} == {"verified"}
    assert shell.run(*words, "--executor", "processes").stdout == ""
