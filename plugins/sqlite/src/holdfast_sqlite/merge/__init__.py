"""Selected tables into a database that holds more: they are put in, or take the place of their likes; all else stays.

`session` is the parent's part. The rest runs in a child process, in one transaction of the target: `plan` says what
happens to which object, `look` tells of it beforehand, `transaction` does it, `rows` copies, `consequences` looks at
what stays and refers to it.
"""
