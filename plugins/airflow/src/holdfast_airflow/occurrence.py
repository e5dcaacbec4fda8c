"""The name of what a DAG run does: the same for each attempt of a task."""

import hashlib

_LONGEST = 200  # bytes that Holdfast keeps of the name of a run; ids of Airflow may have 250 each

#: A template that is the same for each attempt, and for a run that is cleared, and no other task.
OCCURRENCE = "{{ dag.dag_id }}/{{ task.task_id }}/{{ run_id }}"


def occurrence(text: str) -> str:
    """Return the name of an occurrence as Holdfast can keep it: what is too long ends in a digest of it all."""
    if len(text.encode()) <= _LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return f"{text.encode()[: _LONGEST - 33].decode(errors='ignore').rstrip()}-{digest}"
