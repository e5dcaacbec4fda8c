"""Several threads may be the first to decode into a class."""

import subprocess
import sys

# In a process of its own, which a thread that comes between would end by a segmentation fault.
_RACE = """
import sys, threading
from dataclasses import field, make_dataclass
import msgspec
from holdfast.decodable import decodable

def race(kind):
    barrier, wrong = threading.Barrier(8), []
    def work():
        barrier.wait()
        try:
            msgspec.json.decode(b'{"inner": {"field_3": 1}}', type=decodable(kind))
        except Exception as error:
            wrong.append(error)
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]

sys.setswitchinterval(1e-6)
for _ in range(40):
    inner = make_dataclass("Inner", [(f"field_{number}", "int", field(default=0)) for number in range(12)])
    more = [(f"more_{number}", "int", field(default=0)) for number in range(8)]
    race(make_dataclass("Outer", [("inner", inner), *more]))
print("alive")
"""


def test_a_class_is_decoded_into_by_several_threads_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", _RACE], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
