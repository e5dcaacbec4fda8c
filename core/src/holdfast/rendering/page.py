"""A report as one page of HTML: without a script, and nothing that a browser would ask another host for."""

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files
from itertools import count

from holdfast.operations.report import Report, StoreReport
from holdfast.rendering import svg
from holdfast.rendering.attention import NumberedSource, Problem, attention
from holdfast.rendering.history import history
from holdfast.rendering.html import Column, age, counted, moment, scrolled, seconds, size, table, text

_MOST = 300  # histories on a page, those that need attention first: more nobody looks through, nor opens gladly
_KEY = (("p", "proven by a drill"), ("g", "good"), ("b", "damaged or not to be judged"), ("d", "no backup"))
_ALLOWED = "default-src 'none'; style-src 'unsafe-inline'"


def page(report: Report) -> str:
    """The page."""
    numbers = count(1)
    sources = [
        NumberedSource(number=next(numbers), location=store.location, report=each)
        for store in report.stores
        for each in store.sources
    ]
    problems = attention(report, sources)
    concerned = {problem.source.number for problem in problems if problem.source}
    verdict = _verdict(problems)
    chapters = [("attention", "Needs attention", _attention(report, problems))]
    if sources:
        chapters.append(("sources", "Sources", _sources(report, sources)))
        chapters.append(("history", "History", _history(report, sources, concerned)))
    if report.policy is not None:
        chapters.append(("prune", "What prune would do", _prune(sources)))
    chapters.append(("stores", "Stores", _stores(report)))
    links = "".join(f'<li><a href="#{mark}">{heading}</a>' for mark, heading, _ in chapters)
    body = "".join(
        f"<section aria-labelledby={mark}><h2 id={mark}>{heading}</h2>{inner}</section>\n"
        for mark, heading, inner in chapters
    )
    made_by = version("holdfast")
    return (
        f"<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv=Content-Security-Policy content="{_ALLOWED}">'
        '<meta name=viewport content="width=device-width, initial-scale=1"><meta name=referrer content=no-referrer>'
        f"<title>Backups: {verdict}</title>\n<style>{_style()}</style></head>\n"
        f"<body><header><nav aria-label=Chapters><ul>{links}</ul></nav></header>\n<main><h1>Backups</h1>"
        f"{_summary(report, sources)}<p class=verdict><span class={'bad' if problems else 'ok'}>"
        f"{verdict}</span></p>\n{svg.shared(report.read_at.date())}{body}</main>"
        f"<footer>Made by Holdfast {text(made_by)} from what lies in the stores. All times are in UTC.</footer>"
        "</body></html>\n"
    )


def _style() -> str:
    return files("holdfast.rendering").joinpath("style.css").read_text(encoding="utf-8")


def _verdict(problems: Sequence[Problem]) -> str:
    """How many of each kind there are, in the order of their urgency."""
    kinds = Counter(problem.what for problem in problems)
    return " · ".join(f"{number:,} {what}" for what, number in kinds.items()) or "nothing needs attention"


def _summary(report: Report, sources: Sequence[NumberedSource]) -> str:
    words = [
        f"{moment(report.read_at)} UTC",
        counted(len(report.stores), "store"),
        counted(len(sources), "source"),
        counted(sum(len(each.report.survey.entries) for each in sources), "backup"),
        f"{size(sum(each.report.stored_bytes for each in sources))} stored",
    ]
    return f"<p class=soft>{' · '.join(words)}</p>"


def _attention(report: Report, problems: Sequence[Problem]) -> str:
    limits = (
        f"<p class=soft>Overdue is a source without a good backup of the last {age(report.older_than)}, unproven "
        f"one of which no drill has proven a backup in the last {age(report.unproven_for)}.</p>"
    )
    if not problems:
        return f"<p>Nothing is overdue, unproven or damaged.</p>{limits}"
    several = len(report.stores) > 1
    columns = [Column(title="Source"), Column(title="What"), Column(title="Since", is_long=True)]
    columns += [Column(title="Store", is_extra=True, is_long=True)] if several else []
    rows = [
        [
            problem.source.link if problem.source else "-",
            f"<span class={'bad' if problem.is_urgent else 'warn'}>{problem.what}</span>",
            problem.detail,
            *([text(problem.location)] if several else []),
        ]
        for problem in problems
    ]
    return limits + scrolled("What needs attention", table("The most urgent first", columns, rows))


def _sources(report: Report, sources: Sequence[NumberedSource]) -> str:
    several = len(report.stores) > 1
    columns = [
        Column(title="Source"),
        Column(title="Engine", is_extra=True, is_long=True),
        Column(title="Newest good backup"),
        Column(title="Proven"),
        Column(title="Backups", is_number=True, is_extra=True),
        Column(title="Size", is_number=True, is_extra=True),
        Column(title="Stored", is_number=True, is_extra=True),
        Column(title="Took", is_number=True, is_extra=True),
        *(
            [Column(title="Copies", is_number=True), Column(title="Store", is_extra=True, is_long=True)]
            if several
            else []
        ),
    ]
    rows = []
    for each in sources:
        survey = each.report.survey
        newest = survey.newest.manifest if survey.newest else None
        rows.append(
            [
                each.link,
                text(survey.engine),
                _time(moment(survey.last_success), "bad" if each.report.is_overdue else ""),
                _time(moment(survey.last_proven), "warn" if each.report.is_unproven else ""),
                f"{len(survey.entries):,}",
                size(newest.size) if newest else "-",
                size(newest.stored_size) if newest else "-",
                seconds(newest.duration_seconds) if newest else "-",
                *([str(each.report.copies), text(each.location)] if several else []),
            ]
        )
    copies = " Copies: in how many of the stores that backup lies." if several else ""
    caption = f"Sizes and durations are of the newest good backup.{copies}"
    return scrolled("Sources", table(caption, columns, rows))


def _time(time: str, mark: str) -> str:
    return f'<span class="t {mark}">{time}</span>' if mark else f"<span class=t>{time}</span>"


def _history(report: Report, sources: Sequence[NumberedSource], concerned: set[int]) -> str:
    key = "".join(
        f'<li><svg viewBox="0 0 8 8" aria-hidden=true focusable=false><path class={kind} d="M4 0v8"/></svg>{label}'
        for kind, label in _KEY
    )
    several = len(report.stores) > 1
    ordered = sorted(sources, key=lambda each: each.number not in concerned)
    articles = "".join(
        history(
            each.number,
            each.report,
            f" <small>in {text(each.location)}</small>" if several else "",
            report.read_at,
        )
        for each in ordered[:_MOST]
    )
    left = len(sources) - _MOST
    more = f"<p>{counted(left, 'further source')} left out.</p>" if left > 0 else ""
    about = "<p class=soft>A year by days, and by weeks the size stored and the time that a backup took.</p>"
    return f"{about}<ul class=key>{key}</ul>{articles}{more}"


def _prune(sources: Sequence[NumberedSource]) -> str:
    columns = [
        Column(title="Source"),
        Column(title="Keeps", is_number=True),
        Column(title="Deletes", is_number=True),
        Column(title="Frees", is_number=True),
        Column(title="The oldest", is_extra=True),
        Column(title="The newest", is_extra=True),
        Column(title="Why"),
    ]
    rows, freed, deleted, kept = [], 0, 0, 0
    for each in sources:
        pruning = each.report.pruning
        if pruning is None:
            continue
        kept += pruning.kept
        if not pruning.deleted:
            continue
        deleted += len(pruning.deleted)
        bytes_of = sum(entry.stored_size for entry in pruning.deleted)
        freed += bytes_of
        reasons = sorted(pruning.reasons.items(), key=lambda reason: -reason[1])
        why = "; ".join(f"{text(reason)}{f' ({times})' if len(reasons) > 1 else ''}" for reason, times in reasons[:3])
        rows.append(
            [
                each.link,
                f"{pruning.kept:,}",
                f"{len(pruning.deleted):,}",
                size(bytes_of),
                _time(moment(pruning.deleted[0].created_at), ""),
                _time(moment(pruning.deleted[-1].created_at), ""),
                f"{why}{'; …' if len(reasons) > 3 else ''}",
            ]
        )
    told = (
        f"<p>With these rules it would delete {counted(deleted, 'backup')} of {counted(len(rows), 'source')}, keep "
        f"{kept:,}, and free {size(freed)}. This page deletes nothing.</p>"
    )
    return told + (scrolled("What prune would do", table("By source", columns, rows)) if rows else "")


def _stores(report: Report) -> str:
    columns = [
        Column(title="Store", is_long=True),
        Column(title="Sources", is_number=True),
        Column(title="Backups", is_number=True),
        Column(title="Stored", is_number=True),
    ]
    rows = [[text(store.location), *_amounts(store)] for store in report.stores]
    notes = [f"{text(store.location)}: {text(note)}" for store in report.stores for note in store.notes]
    lines = "".join(f"<li>{note}" for note in notes)
    return table("What was read", columns, rows) + (f"<h3>Notes</h3><ul>{lines}</ul>" if notes else "")


def _amounts(store: StoreReport) -> list[str]:
    if store.failure is not None:
        return ["not read", "-", "-"]
    backups = sum(len(source.survey.entries) for source in store.sources)
    stored = sum(source.stored_bytes for source in store.sources)
    return [f"{len(store.sources):,}", f"{backups:,}", size(stored)]
