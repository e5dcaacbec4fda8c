"""What tests need besides what they test: commands, databases, servers, disks, faults; each module after its noun.

It lies on the module path of every distribution's tests (`pythonpath` in pyproject.toml).
"""

from support import cache as cache
