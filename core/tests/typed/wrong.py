"""What a type checker has to refuse, each at the line that says so. Never run."""

import hashlib

import holdfast
from holdfast import restroe  # error: attr-defined
from holdfast.tasks import backup_task, drill_task, prune_task, verify_task

URL = "sqlite:///app.db"

holdfast.bakcup(URL)  # error: attr-defined
holdfast.version()  # error: attr-defined
restroe("latest", URL)

holdfast.backup(URL, stroe="x")  # error: call-arg
holdfast.backup(URL, jobs="two")  # error: arg-type
holdfast.backup(URL, tags="nightly")  # error: arg-type
holdfast.backup(URL, codec=3)  # error: arg-type
holdfast.backup(URL, checksums=[3])  # error: list-item
holdfast.backup(URL, on_event="print")  # error: arg-type
holdfast.backup(5)  # error: arg-type
holdfast.backup()  # error: call-arg
print(holdfast.backup(URL).idd)  # error: attr-defined

holdfast.restore("latest", URL, replaec=True)  # error: call-arg
holdfast.restore("latest", URL, replace="yes")  # error: arg-type
holdfast.restore("latest", URL, store=5)  # error: arg-type
holdfast.restore(5, URL)  # error: arg-type
holdfast.verify("latest", read_dat=True)  # error: call-arg
holdfast.verify(5)  # error: arg-type
holdfast.drill("latest", int=URL)  # error: call-arg
holdfast.drill("latest", options=["a"])  # error: arg-type
holdfast.prune("store", keep_dayly=7)  # error: call-arg
holdfast.prune("store", keep_daily="7")  # error: arg-type
holdfast.prune("store", max_age=30)  # error: arg-type
holdfast.prune(names="app")  # error: arg-type
holdfast.pin("latest", pined=False)  # error: call-arg
holdfast.tag("latest", 5)  # error: arg-type
holdfast.delete("latest", force=True)  # error: call-arg
holdfast.list_backups(nmae="app")  # error: call-arg

holdfast.Pipeline(store="x")  # error: call-arg
holdfast.Pipeline(source=URL, sotre="x")  # error: call-arg
holdfast.Pipeline(source=URL, checksums=hashlib.blake2b)  # error: arg-type
pipeline = holdfast.Pipeline(source=URL)
pipeline.replace(jbos=3)  # error: call-arg
pipeline.run(on_event=3)  # error: arg-type
pipeline.plan = holdfast.BackupPlan(source=URL)  # error: misc

plan = holdfast.BackupPlan(source=URL)
holdfast.BackupPlan(source=URL, codec=holdfast)  # error: arg-type
holdfast.BackupPlan(source=URL, cdoec="zstd")  # error: call-arg
plan.replace(cdoec="zstd")  # error: call-arg
plan.jobs = 3  # error: misc
plan.options.update(a=1)  # error: attr-defined
restore_plan = holdfast.RestorePlan(backup="latest", target=URL)
holdfast.RestorePlan(backup="latest")  # error: call-arg
restore_plan.evolve(taget=URL)  # error: call-arg
restore_plan.evolve(live="yes")  # error: arg-type
holdfast.Policy(keep_lsat=3)  # error: call-arg

backup_task(URL, tag=["nightly"])  # error: call-arg
backup_task(URL, codec=hashlib)  # error: arg-type
verify_task("latest", read=True)  # error: call-arg
drill_task("latest", jobs="two")  # error: arg-type
prune_task("store", keep_days=3)  # error: call-arg

manager = holdfast.BackupManager("backups")
manager.backup(URL, stroe="x")  # error: call-arg
manager.create_backup(URL, jobs="two")  # error: arg-type
manager.restore("latest", URL, overwrite=True)  # error: call-arg
manager.prune(keep_weakly=3)  # error: call-arg
holdfast.backup_database(URL, "backups", cdoec="zstd")  # error: call-arg
backups = holdfast.DatabaseBackup("backups")
backups.backup_sqlite("app.db", jobs="two")  # error: arg-type
backups.backup_postgres(URL, fromat="sql")  # error: call-arg
