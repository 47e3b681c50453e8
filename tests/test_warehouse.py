"""One writer at a time, and nothing left of an interrupted one."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from lowtech_data.warehouse import Warehouse, WarehouseBusyError

HOLDER = """
import sys, time
from datetime import datetime
from pathlib import Path
from lowtech_data.warehouse import Warehouse
with Warehouse(Path(sys.argv[1])).writing("lowtech run", datetime(2026, 11, 20)):
    print("tenu", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_the_warehouse(tmp_path: Path, noon: datetime):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "tenu\n"
        with (
            pytest.raises(WarehouseBusyError, match=rf"lowtech run.*processus {holder.pid}"),
            Warehouse(tmp_path).writing("autre", noon),
        ):
            pytest.fail("deux écritures à la fois")
    finally:
        holder.kill()
        holder.wait()
    with Warehouse(tmp_path).writing("autre", noon):
        pass


def test_taking_the_lock_clears_what_an_interrupted_run_left(tmp_path: Path, noon: datetime):
    warehouse = Warehouse(tmp_path)
    warehouse.candidate.mkdir(parents=True)
    (warehouse.candidate / "index.json").write_text("{}")
    (tmp_path / ".part-entrepot.duckdb").write_text("")
    with warehouse.writing("lowtech run", noon):
        assert not warehouse.candidate.exists()
        assert sorted(p.name for p in tmp_path.iterdir()) == ["releases", "verrou"]
