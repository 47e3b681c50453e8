"""The `lowtech` command. Messages are in French; what runs needs Dagster imports it late."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from lowtech_data import files
from lowtech_data.extract import load_registry
from lowtech_data.model import LISTS
from lowtech_data.redact import redacted
from lowtech_data.registry import Registry, RegistryError
from lowtech_data.settings import (
    ALLOWED_NETWORKS,
    CONTACT,
    CURATED,
    NO_CONTACT,
    SAMPLE,
    SOURCES,
    WAREHOUSE,
)
from lowtech_data.warehouse import Warehouse, WarehouseBusyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from lowtech_data import capture
    from lowtech_data.enrich import Report
    from lowtech_data.preview import Preview
    from lowtech_data.quality.reports import Refusal
    from lowtech_data.snapshot import Outcome

_LABELS = {code.code: code.label_fr.lower() for code in LISTS["moisson_statut"]}

EXIT_NOTHING = 1
EXIT_SOME_FAILED = 3
EXIT_INTERRUPTED = 130

LAST_RUN_FILE = "derniere_execution.json"

HARVESTS_SHOWN = 5

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

app = typer.Typer(
    help="Base nationale ouverte des initiatives low-tech en France.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
sources_app = typer.Typer(help="Les listes moissonnées.", no_args_is_help=True)
review_app = typer.Typer(help="La file des doublons incertains.")
release_app = typer.Typer(help="Les versions publiées.", no_args_is_help=True)
app.add_typer(sources_app, name="sources")
app.add_typer(review_app, name="review")
app.add_typer(release_app, name="release")
enrich_app = typer.Typer(
    help="Ce que des services officiels et les liens eux-mêmes ajoutent aux fiches.",
    no_args_is_help=True,
)
app.add_typer(enrich_app, name="enrich")

SourcesOption = Annotated[
    Path, typer.Option("--sources", help="Fichier des sources.", show_default="sources.yaml")
]
WarehouseOption = Annotated[
    Path,
    typer.Option("--warehouse", help="Dossier où tout s’écrit.", show_default="warehouse/data"),
]
CuratedOption = Annotated[
    Path,
    typer.Option("--curated", help="Dossier des décisions.", show_default="warehouse/curated"),
]
MaxOption = Annotated[
    int, typer.Option("--max", min=0, help="Questions posées en un passage, au plus.")
]
LastSourcesOption = Annotated[
    Path | None,
    typer.Option("--sources", help="Fichier des sources ; sinon celui de la dernière exécution."),
]
LastCuratedOption = Annotated[
    Path | None,
    typer.Option("--curated", help="Dossier des décisions ; sinon celui de la dernière exécution."),
]


_PREDICATES = ", ".join(code.code for code in LISTS["predicat"])


class PairDecision(StrEnum):
    """What can be decided of two fiches."""

    SAME = "identique"
    RELATED = "lie"
    DIFFERENT = "distinct"
    UNSURE = "a_revoir"


def main() -> None:
    """Entry point: known errors end in one message, never in a traceback."""
    from lowtech_data.acceptance import AcceptanceError
    from lowtech_data.capture import CaptureError
    from lowtech_data.enrich import EnrichmentError
    from lowtech_data.extract.base import PayloadError
    from lowtech_data.resolve.decisions import DecisionError
    from lowtech_data.resolve.identity import LedgerError

    known = (
        RegistryError, DecisionError, LedgerError, WarehouseBusyError, CaptureError, PayloadError,
        AcceptanceError, EnrichmentError, KeyError, OSError,
    )  # fmt: skip
    try:
        app()
    except known as error:
        err.print(f"[red]{escape(redacted(_said(error)))}[/red]")
        sys.exit(EXIT_NOTHING)
    except KeyboardInterrupt:
        err.print("Interrompu.")
        sys.exit(EXIT_INTERRUPTED)


def _said(error: Exception) -> str:
    """What an error has to say to the person who typed the command."""
    match error:
        case KeyError():
            return str(error.args[0])
        case PermissionError():
            return f"{error.filename} : accès refusé ; vérifier à qui est ce dossier"
        case OSError(filename=str() as name, strerror=str() as reason):
            return f"{name} : {reason}"
        case _:
            return str(error)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The registry and the decisions that a warehouse was last run with.

    Commands about a warehouse follow them, so that a decision on the sample goes to the sample's.
    """

    sources: Path
    curated: Path
    sample: bool

    @classmethod
    def of(cls, warehouse: Path) -> LastRun:
        """What was remembered, or the project's own."""
        path = warehouse / LAST_RUN_FILE
        if not path.is_file():
            return cls(SOURCES, CURATED, sample=False)
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(Path(found["sources"]), Path(found["curated"]), bool(found["echantillon"]))

    def remember(self, warehouse: Path) -> None:
        """Write it in the warehouse."""
        said = {"sources": str(self.sources.resolve()), "curated": str(self.curated.resolve())}
        text = json.dumps({**said, "echantillon": self.sample}, ensure_ascii=False)
        files.write_bytes(warehouse / LAST_RUN_FILE, text.encode())

    def command(self, warehouse: Path, *options: str) -> str:
        """The command that runs again with the same registry and decisions."""
        words = ["lowtech run", *options]
        if self.sample:
            words.append("--sample")
        else:
            words += ["--sources", _short(self.sources)] * (self.sources != SOURCES)
            words += ["--curated", _short(self.curated)] * (self.curated != CURATED)
        words += ["--warehouse", _short(warehouse)] * (warehouse != WAREHOUSE)
        return " ".join(words)


def _short(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _interrupted(warehouse: Path) -> Callable[[int, FrameType | None], None]:
    """What Ctrl-C does: leave at once. Everything is written beside then renamed, so that nothing
    is half done; the next run clears what this one left.
    """

    def leave(signum: int, frame: FrameType | None) -> None:
        current = Warehouse(warehouse).current_release()
        held = f"la version {current.name} reste en place" if current else "rien n’est publié"
        os.write(2, f"\nInterrompu : {held}.\n".encode())
        os._exit(EXIT_INTERRUPTED)

    return leave


@app.command()
def run(
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    sources: SourcesOption = SOURCES,
    warehouse: WarehouseOption = WAREHOUSE,
    curated: CuratedOption = CURATED,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Ne moissonner que ces sources.")
    ] = None,
    sample: Annotated[bool, typer.Option(help="Utiliser l’échantillon fourni.")] = False,
    offline: Annotated[bool, typer.Option(help="Rejouer les captures, sans réseau.")] = False,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Le jour qui tient lieu d’aujourd’hui.")
    ] = None,
) -> None:
    """Moissonne, dédoublonne et publie : tout le voyage, en un processus.

    Sort avec 0, avec 3 si des sources ont échoué mais que la version est publiée, avec 1 si rien
    n’a pu être publié.
    """
    if sample:
        sources, curated, offline = SAMPLE / "sources.yaml", SAMPLE / "curated", True
    if as_of:
        _day(as_of)
    registry = load_registry(sources)
    wanted = [*_split(only), *(more or [])]
    chosen = registry.only(wanted)
    harvested = chosen.active
    for source in chosen.sources if wanted else ():
        if source.etat != "active":
            why = escape(source.motif_etat or "")
            err.print(f"{source.id} : {source.etat}, pas moissonnée ({why}).")
            err.print("Pour l’activer : retirer etat et motif_etat de son bloc.")
    with Warehouse(warehouse).writing("lowtech run", datetime.now(UTC)):
        LastRun(sources, curated, sample).remember(warehouse)
    signal.signal(signal.SIGINT, _interrupted(warehouse))
    outcomes, release, problems = _execute(
        registry,
        [source.id for source in harvested],
        warehouse=warehouse, curated=curated, offline=offline, as_of=as_of,
    )  # fmt: skip
    _summary(outcomes)
    _first_harvests(registry, Warehouse(warehouse), curated)
    for problem in problems:
        err.print(f"[red]{escape(problem)}[/red]")
    if release is None:
        held = Warehouse(warehouse).current_release()
        kept = f" La version {held.name} reste en place." if held else ""
        err.print(f"[red]Rien n’a été publié.[/red]{kept}")
        raise typer.Exit(EXIT_NOTHING)
    _published(release)
    if any(outcome.failed for outcome in outcomes):
        raise typer.Exit(EXIT_SOME_FAILED)


def _execute(
    registry: Registry,
    wanted: Sequence[str],
    *,
    warehouse: Path,
    curated: Path,
    offline: bool,
    as_of: str | None,
) -> tuple[list[Outcome], Path | None, list[str]]:
    """Run the Dagster definitions in this process, showing each stage."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        console=err,
        transient=True,
    )
    with bar:
        task = bar.add_task("préparation", total=len(wanted))
        from pipelines.run import execute

        def report(event: str, value: Any) -> None:
            if event == "source":
                bar.update(task, description=f"moisson · {value.source_id}", advance=1)
            elif event == "etape":
                bar.update(task, description=str(value))

        return execute(
            registry,
            wanted,
            warehouse=warehouse,
            curated=curated,
            offline=offline,
            as_of=as_of,
            report=report,
        )


def _summary(outcomes: Sequence[Outcome]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source", no_wrap=True)
    table.add_column("moisson", no_wrap=True)
    for title in ("fiches", "rejets"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("données du", no_wrap=True)
    for outcome in outcomes:
        style = "red" if outcome.failed else "yellow" if outcome.message else "green"
        table.add_row(
            outcome.source_id,
            f"[{style}]{_LABELS[outcome.status]}[/{style}]",
            str(outcome.present),
            str(outcome.rejects),
            outcome.data_date or "–",
        )
    out.print(table)
    for outcome in outcomes:
        if outcome.message:
            out.print(f"[bold]{outcome.source_id}[/bold] : {escape(outcome.message)}")


def _first_harvests(registry: Registry, warehouse: Warehouse, curated: Path) -> None:
    """What was harvested and is not published, for want of a person's look."""
    from lowtech_data import acceptance

    for name, first in acceptance.waiting_in(registry, warehouse, curated).items():
        out.print(f"[bold]{name}[/bold] : {escape(first.what)}\n  à faire : {escape(first.advice)}")


def _published(release: Path) -> None:
    from lowtech_data.publish.release import read_index

    rows = read_index(release)["lignes"]
    out.print(
        f"\n[bold]{rows['initiatives']} initiatives[/bold] et {rows['ressources']} ressources, de "
        f"{rows['fiches']} fiches et {rows['sources']} sources ; {rows['relations']} liens."
    )
    out.print(f"Version {release.name} : {release}")


@sources_app.command("list")
def sources_list(sources: LastSourcesOption = None, warehouse: WarehouseOption = WAREHOUSE) -> None:
    """Liste les sources, leur état et ce qu’on en sait."""
    from lowtech_data import snapshot

    registry = load_registry(sources or LastRun.of(warehouse).sources)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("source", "état", "plateforme", "licence", "fiches", "données du", ""):
        table.add_column(title)
    for source in registry:
        known = snapshot.load(Warehouse(warehouse), source.id)
        table.add_row(
            source.id,
            source.etat,
            source.plateforme,
            source.licence,
            str(known.present()) if known else "–",
            (known.state.data_date if known else None) or "–",
            escape(source.motif_etat or ""),
        )
    out.print(table)


@sources_app.command("check")
def sources_check(
    source_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="Avec --live : ces sources.")
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Demander quelques pages, et dire ce qui diffère.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Avec --live : toutes les sources en ligne.")
    ] = False,
    sources: SourcesOption = SOURCES,
    warehouse: WarehouseOption = WAREHOUSE,
) -> None:
    """Vérifie le fichier des sources : chaque erreur dit fichier, ligne, source et champ.

    Avec --live, compare ce que les sources répondent à ce qui en est déclaré, sans rien publier ;
    sort avec 3 si quelque chose diffère.
    """
    registry = load_registry(sources)
    if live != bool(every or source_ids):
        raise typer.BadParameter("en ligne : --live ID…, ou --live --all ; sinon, sans argument")
    if live:
        _live(registry, source_ids or [], Warehouse(warehouse))
        return
    absent = [
        f"{sources} : source {source.id} : url : fichier introuvable : {source.url}"
        for source in registry.active
        if source.is_local and not registry.local_path(source).exists()
    ]
    if absent:
        raise RegistryError(absent)
    active, all_of_them = len(registry.active), len(registry.sources)
    out.print(f"{sources.name} : valide, sources actives : {active} sur {all_of_them}.")


def _live(registry: Registry, wanted: Sequence[str], warehouse: Warehouse) -> None:
    """A table of what differs, source by source, as the answers come."""
    from lowtech_data import live

    chosen = registry.only(wanted).sources if wanted else live.on_the_web(registry)
    now = datetime.now(UTC).replace(microsecond=0)
    differing = []
    with (
        warehouse.writing("lowtech sources check --live", now),
        closing(_polite_client()) as client,
    ):
        for source in chosen:
            report = live.check(source, registry, warehouse, client, now=now)
            differing += [source.id] if report.differs else []
            table = Table(box=None, pad_edge=False, show_header=False, title_justify="left")
            table.add_column(no_wrap=True)
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for point in report.points:
                mark = "[green]✓[/green]" if point.fine else "[red]✗[/red]"
                table.add_row(mark, point.name, escape(point.said))
            out.print(f"[bold]{source.id}[/bold]")
            out.print(table)
    fine = len(chosen) - len(differing)
    out.print(f"\nComme déclaré : {fine} sur {len(chosen)}.")
    if differing:
        out.print(f"À revoir : {', '.join(differing)}")
        raise typer.Exit(EXIT_SOME_FAILED)


@sources_app.command("add")
def sources_add(
    url: str,
    path: Annotated[
        Path | None, typer.Option("--out", help="Fichier des sources où ajouter le bloc.")
    ] = None,
    platform: Annotated[
        str | None, typer.Option("--plateforme", help="Laquelle, si plusieurs conviennent.")
    ] = None,
    warehouse: WarehouseOption = WAREHOUSE,
) -> None:
    """Reconnaît un site, une API ou un fichier, et propose le bloc de départ de la source.

    Ne demande que quelques pages, en respectant robots.txt. Le bloc s’écrit à l’écran, ou à la fin
    du fichier donné par --out ; il reste en pause tant qu’un responsable ne l’a pas complété.
    """
    from lowtech_data import capture, recognise

    with closing(_polite_client()) as client:
        fetch = recognise.Fetcher(
            client,
            capture.Store(Warehouse(warehouse).captures),
            now=datetime.now(UTC).replace(microsecond=0),
            folder=(path or SOURCES).parent,
        )
        found = recognise.recognise(url, fetch)
    proposals = [p for p in found.proposals if platform in (None, p.platform)]
    for line in found.tried:
        err.print(f"· {escape(redacted(line))}", highlight=False)
    if not proposals:
        asked = f" comme {escape(platform)}" if platform else ""
        err.print(
            f"[red]{escape(url)} : rien de reconnu{asked}. Donner l’adresse d’une carte, d’une API"
            " ou d’un fichier de la liste ; sinon, écrire un extracteur"
            " (docs/ajouter-une-source.md).[/red]"
        )
        raise typer.Exit(EXIT_NOTHING)
    chosen, *others = proposals
    err.print(f"Reconnue : {chosen.platform}, par {escape(chosen.evidence)}.")
    for other in others:
        how = f"{other.platform}, {other.url} ({other.evidence})"
        err.print(f"Aussi possible : {escape(how)}")
    if path is None:
        out.print(recognise.block(chosen), markup=False, highlight=False, end="")
        return
    recognise.append(path, chosen)
    out.print(f"{path} : source {chosen.source_id} ajoutée, en pause.")
    out.print(f"Compléter le bloc, puis : lowtech sources preview {chosen.source_id}")


@sources_app.command("preview")
def sources_preview(
    source_id: str,
    sources: SourcesOption = SOURCES,
    warehouse: WarehouseOption = WAREHOUSE,
    offline: Annotated[bool, typer.Option(help="Lire la dernière capture, sans réseau.")] = False,
    duplicates: Annotated[
        bool,
        typer.Option("--doublons/--sans-doublons", help="Comparer aux fiches des autres sources."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Le résultat en JSON.")] = False,
) -> None:
    """Essaie une source sans rien publier : fiches, remplissage, rejets, doublons, effet.

    L’effet est celui du bloc tel qu’il est écrit, face aux dernières fiches connues de la source.
    """
    from lowtech_data import preview

    registry = load_registry(sources)
    with closing(_polite_client()) as client:
        found = preview.preview(
            registry[source_id],
            registry,
            Warehouse(warehouse),
            now=datetime.now(UTC).replace(microsecond=0),
            client=None if offline else client,
            duplicates=duplicates,
        )
    if as_json:
        text = json.dumps(asdict(found), ensure_ascii=False, indent=1)
        out.print(text, markup=False, highlight=False)
        return
    out.print(
        f"{found.read} lus : [bold]{found.fiches} fiches[/bold], {found.left_out} hors sujet, "
        f"{found.repeated} répétées, {found.unreadable} illisibles, {found.refused} refusées"
    )
    _two_columns("hors sujet", "lus", [(rule, str(count)) for rule, count in found.left_out_by])
    _two_columns("champ", "rempli", [(n, f"{share:.0%}") for n, share in found.filled if share])
    _refusals(found.refusals)
    for example in found.examples:
        out.print(escape(f"· {example}"))
    _compared(found)


def _compared(found: Preview) -> None:
    """What a preview changes in the base: against the source's last fiches, then the others'."""
    if effect := found.effect:
        out.print(
            f"Fiches déjà connues : {effect.known} ; [bold]gagnées : {effect.gained}, perdues :"
            f" {effect.lost}, modifiées : {effect.changed}[/bold]"
        )
        changed = [f"{name} ({count})" for name, count in effect.changed_fields]
        if changed:
            out.print(f"  champs modifiés : {', '.join(changed)}")
        if effect.lost_examples:
            out.print(escape(f"  perdues, par exemple : {', '.join(effect.lost_examples)}"))
    if common := found.duplicates:
        out.print(
            f"Fiches des autres sources : {common.compared} ; [bold]se fondraient avec elles :"
            f" {common.merging}[/bold], à relire : {common.to_review}"
        )
        for pair in common.examples:
            out.print(escape(f"  {pair.name} = {pair.other_name} ({pair.other_source})"))
    if found.bounds:
        least, most = found.bounds["min"], found.bounds["max"]
        out.print(f"Bornes proposées : bornes: {{min: {least}, max: {most}}}", highlight=False)


@sources_app.command("accept")
def sources_accept(
    source_id: str,
    reason: Annotated[str, typer.Option("--motif", help="Ce qui a été vérifié, en une phrase.")],
    who: Annotated[str, typer.Option("--qui", help="Rôle ou pseudonyme.")],
    sources: LastSourcesOption = None,
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Jour de l’acceptation.")] = None,
) -> None:
    """Accepte la première moisson en ligne d’une source : ses fiches seront publiées."""
    from lowtech_data import acceptance

    day = _day(as_of) if as_of else datetime.now(UTC).date()
    last = LastRun.of(warehouse)
    path = (curated or last.curated) / acceptance.FILE
    source = load_registry(sources or last.sources)[source_id]
    line = acceptance.accept(source, Warehouse(warehouse), path, who=who, reason=reason, day=day)
    out.print(
        f"{source_id} : {_counted(line.fiches, 'fiche')} de {_counted(line.pages, 'page')} "
        f"({line.capture}…), dans {_short(path)}."
    )
    out.print(f"Elles seront publiées à la prochaine exécution : {last.command(warehouse)}")


@sources_app.command("report")
def sources_report(
    source_id: str,
    path: Annotated[
        Path | None, typer.Option("--out", help="Fichier à écrire : .md, ou .csv ligne à ligne.")
    ] = None,
    sources: LastSourcesOption = None,
    warehouse: WarehouseOption = WAREHOUSE,
) -> None:
    """Dit ce que la dernière moisson n’a pas pu reprendre, et comment y remédier."""
    from lowtech_data import snapshot
    from lowtech_data.quality import reports

    registry = load_registry(sources or LastRun.of(warehouse).sources)
    source = registry[source_id]
    known = snapshot.load(Warehouse(warehouse), source_id)
    if known is None or known.state.last is None:
        err.print(f"[red]{source_id} : jamais moissonnée ; lowtech run --only {source_id}[/red]")
        raise typer.Exit(EXIT_NOTHING)
    rejects = known.rejects()
    if path and path.suffix == ".csv":
        text = reports.table(rejects)
    else:
        text = reports.markdown(source, known.state, reports.refusals(rejects))
    if path is None:
        out.print(text, markup=False, highlight=False)
        return
    files.write_bytes(path, text.encode())
    out.print(f"{path} : {rejects.num_rows} rejets")


@app.command()
def match(
    records: Path,
    clusters: Annotated[Path, typer.Option("--out", help="Table source, clé, groupe à écrire.")],
    more: Annotated[list[str] | None, typer.Argument(hidden=True)] = None,
    pairs: Annotated[Path | None, typer.Option(help="Table des paires comparées à écrire.")] = None,
    decisions: Annotated[Path | None, typer.Option(help="Décisions à respecter.")] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", help="nôtre=vôtre : une colonne qui porte un autre nom."),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option(help="Registre où les groupes gardent leur identifiant d’une fois à l’autre."),
    ] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Le jour inscrit au registre ; sinon aujourd’hui.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Fichier qui garde ce passage : le suivant ne compare que ce qui change."
        ),
    ] = None,
    progress: Annotated[
        bool | None,
        typer.Option(
            help="Dire chaque étape ; par défaut, à l’écran seulement.", show_default=False
        ),
    ] = None,
) -> None:
    """Dédoublonne n’importe quelle table CSV ou Parquet."""
    from lowtech_data.resolve.files import MatchInputError, PermanentIds, match_file, read_renames

    if as_of and ledger is None:
        raise typer.BadParameter("--as-of : le jour ne s’inscrit qu’à un registre (--ledger)")
    day = _day(as_of) if as_of else datetime.now(UTC).date()
    try:
        report = match_file(
            records,
            clusters,
            pairs=pairs,
            decisions=decisions,
            renames=read_renames([*(mapping or []), *(more or [])]),
            permanent=PermanentIds(ledger, day) if ledger else None,
            state=state,
            progress=_steps() if progress or (progress is None and err.is_terminal) else None,
        )
    except MatchInputError as error:
        err.print(f"[red]{escape(str(error))}[/red]")
        raise typer.Exit(EXIT_NOTHING) from None
    for note in report.notes:
        err.print(escape(note))
    out.print(
        f"{_counted(report.records, 'ligne')}, {_counted(report.clusters, 'groupe')},"
        f" {_counted(report.to_review, 'paire')} à revoir"
    )


def _steps() -> Callable[[str], None]:
    """Says each step, and how long after the start it began."""
    start = monotonic()

    def tell(step: str) -> None:
        err.print(f"{monotonic() - start:6.1f} s  {escape(step)}", highlight=False)

    return tell


@review_app.callback(invoke_without_command=True)
def review_here(
    context: typer.Context,
    who: Annotated[str, typer.Option("--qui", help="Rôle ou pseudonyme.")] = "relecture",
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Jour des décisions.")] = None,
) -> None:
    """Relit la file au terminal, une touche par décision ; ou l’une des commandes ci-dessous."""
    from lowtech_data import review

    if context.invoked_subcommand:
        given = (
            name for name in context.params
            if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
        )  # fmt: skip
        if any(given):
            name = context.invoked_subcommand
            raise typer.BadParameter(f"placer les options après {name} : lowtech review {name} …")
        return
    if not sys.stdin.isatty():
        err.print("La relecture demande un terminal. Autrement : lowtech review list, show, decide")
        raise typer.Exit(EXIT_NOTHING)
    day = _day(as_of) if as_of else datetime.now(UTC).date()
    last = LastRun.of(warehouse)
    path = (curated or last.curated) / "decisions.jsonl"
    screen = Console(highlight=False)
    terminal = review.Terminal(screen, typer.getchar, screen.input)
    session = review.open_session(Warehouse(warehouse), path, terminal, who=who, day=day)
    written = session.run()
    out.print(f"\nÀ relire : {session.remaining} ; décidées : {written}, dans {_short(path)}")
    if written:
        again = last.command(warehouse, *(() if last.sample else ("--offline",)))
        out.print(f"Elles compteront à la prochaine exécution : {again}")


@review_app.command("list")
def review_list(
    warehouse: WarehouseOption = WAREHOUSE,
    limit: Annotated[int, typer.Option(help="Nombre de paires montrées.")] = 20,
    curated: LastCuratedOption = None,
) -> None:
    """Montre les paires à revoir, celles qui comptent le plus d’abord."""
    from lowtech_data import review

    path = (curated or LastRun.of(warehouse).curated) / "decisions.jsonl"
    decisions = review.load(Warehouse(warehouse), path)
    desk = review.Desk.of(Warehouse(warehouse), decisions)
    pairs = desk.waiting(decisions)
    for pair in pairs[:limit]:
        out.print(
            f"[bold]{escape(pair.names[0])}[/bold] / [bold]{escape(pair.names[1])}[/bold]"
            f" · {review.bits(pair.score)} bits · {escape(pair.a)} {escape(pair.b)}"
        )
        if pair.stale:
            out.print(f"  à redécider, {escape(decisions.describe(pair.stale.decision))}")
            out.print(f"  changé depuis : {escape(review.changed(pair.stale.changes))}")
    for line in desk.orphans(decisions):
        err.print(f"fiche absente de la base, décision gardée : {escape(decisions.describe(line))}")
    more = len(pairs) - limit
    hint = f" ; pour les {more} autres : --limit {len(pairs)}" if more > 0 else ""
    out.print(f"{_counted(len(pairs), 'paire')} à revoir{hint}.")


@review_app.command("show")
def review_show(a: str, b: str, warehouse: WarehouseOption = WAREHOUSE) -> None:
    """Montre deux fiches côte à côte et les parts de leur score."""
    from lowtech_data import review

    sheet = review.show(Warehouse(warehouse), a, b)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("champ", a, b):
        table.add_column(title, overflow="fold")
    for name, left, right in sheet.fields:
        mark = review.mark(left or "", right or "")
        table.add_row(f"{mark} {name}", escape(left or "–"), escape(right or "–"))
    out.print(table)
    _two_columns("part du score", "bits", sheet.parts)


@review_app.command("decide")
def review_decide(
    a: str,
    b: str,
    decision: PairDecision,
    reason: Annotated[str, typer.Option("--motif", help="Pourquoi, en une phrase.")],
    who: Annotated[str, typer.Option("--qui", help="Rôle ou pseudonyme.")],
    predicate: Annotated[
        str | None, typer.Option("--predicat", help=f"Si lie, ce que A est à B : {_PREDICATES}.")
    ] = None,
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Jour de la décision.")] = None,
) -> None:
    """Ajoute une décision ; elle compte à la prochaine exécution."""
    from lowtech_data import review

    day = _day(as_of) if as_of else datetime.now(UTC).date()
    last = LastRun.of(warehouse)
    path = (curated or last.curated) / "decisions.jsonl"
    line = review.decide(
        Warehouse(warehouse), path,
        a, b, decision, predicate=predicate, reason=reason, who=who, day=day,
    )  # fmt: skip
    again = last.command(warehouse, *(() if last.sample else ("--offline",)))
    out.print(f"Décision {line.id} : {decision} {a} {b}, dans {_short(path)}.")
    out.print(f"Elle comptera à la prochaine exécution : {again}")


@review_app.command("undo")
def review_undo(
    identifier: str,
    reason: Annotated[str, typer.Option("--motif", help="Pourquoi, en une phrase.")],
    who: Annotated[str, typer.Option("--qui", help="Rôle ou pseudonyme.")],
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Jour de l’annulation.")] = None,
) -> None:
    """Annule une décision par une nouvelle ligne."""
    from lowtech_data import review

    day = _day(as_of) if as_of else datetime.now(UTC).date()
    path = (curated or LastRun.of(warehouse).curated) / "decisions.jsonl"
    line = review.undo(path, identifier, reason=reason, who=who, day=day)
    out.print(f"Décision {identifier} annulée ({line.id}).")


@release_app.command("list")
def release_list(warehouse: WarehouseOption = WAREHOUSE) -> None:
    """Liste les versions publiées, la plus récente d’abord."""
    from lowtech_data.publish import release

    current = Warehouse(warehouse).current_release()
    if current is None:
        err.print(f"{warehouse} : aucune version publiée. Commencer par : lowtech run --sample")
        raise typer.Exit(EXIT_NOTHING)
    for row in release.versions(current):
        mark = "→" if row["id"] == current.name else " "
        out.print(f"{mark} {row['id']}  {row['nb_initiatives']} initiatives")


@release_app.command("verify")
def release_verify(
    version: Annotated[str | None, typer.Argument(help="Par défaut, la version en place.")] = None,
    warehouse: WarehouseOption = WAREHOUSE,
) -> None:
    """Vérifie les octets d’une version contre son index."""
    from lowtech_data.publish import release

    directory = _release(warehouse, version)
    problems = release.verify(directory)
    for problem in problems:
        err.print(f"[red]{escape(problem)}[/red]")
    if problems:
        raise typer.Exit(EXIT_NOTHING)
    out.print(f"{directory.name} : tous les fichiers sont conformes à l’index.")


@release_app.command("diff")
def release_diff(before: str, after: str, warehouse: WarehouseOption = WAREHOUSE) -> None:
    """Dit ce qui a changé entre deux versions."""
    from lowtech_data.publish import changes

    rows = changes.between(_release(warehouse, before), _release(warehouse, after))
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    writer.writerows(rows)


@enrich_app.command("adresses")
def enrich_addresses(
    warehouse: WarehouseOption = WAREHOUSE,
    maximum: MaxOption = 5_000,
    service: Annotated[
        str | None,
        typer.Option(envvar="LOWTECH_ADRESSES_URL", help="Adresse du service, si c’est le vôtre."),
    ] = None,
) -> None:
    """Cherche le point des adresses qui n’en ont pas, par la Base Adresse Nationale.

    Sans réseau, le dit et sort avec 0 : rien n’est perdu.
    """
    from lowtech_data import enrich
    from lowtech_data.enrich import addresses

    place = Warehouse(warehouse)
    fiches = enrich.present_fiches(place)
    with enrich.held(place), closing(_polite_client()) as client:
        cache = addresses.open_cache(place)
        report = addresses.ask(
            fiches, cache, client,
            today=datetime.now(UTC).date(), maximum=maximum, url=service or addresses.URL,
        )  # fmt: skip
    _enriched("adresse", report, addresses.LABELS)
    out.print(f"Fiches qui ont un point de plus : {addresses.positions(fiches, cache).num_rows}")


@enrich_app.command("entreprises")
def enrich_companies(
    warehouse: WarehouseOption = WAREHOUSE,
    maximum: MaxOption = 1_000,
    service: Annotated[
        str | None,
        typer.Option(envvar="LOWTECH_ENTREPRISES_URL", help="Adresse du service."),
    ] = None,
) -> None:
    """Demande si les organismes sont encore ouverts, par la recherche officielle d’entreprises.

    Sans réseau, le dit et sort avec 0 : rien n’est perdu.
    """
    from lowtech_data import enrich
    from lowtech_data.enrich import companies

    place = Warehouse(warehouse)
    fiches = enrich.present_fiches(place)
    with enrich.held(place), closing(_polite_client()) as client:
        cache = companies.open_cache(place)
        report = companies.ask(
            fiches, cache, client,
            today=datetime.now(UTC).date(), maximum=maximum, url=service or companies.URL,
        )  # fmt: skip
    _enriched("organisme", report, companies.LABELS)
    for row in companies.states(fiches, cache).to_pylist():
        if row["etat"] != "ouvert":
            when = f" le {row['date_fermeture']}" if row["date_fermeture"] else ""
            said = f"{companies.LABELS[row['etat']]}{when}, {row['siret']}"
            out.print(escape(f"· {row['source_id']}:{row['cle_source']} : {said}"))


@enrich_app.command("liens")
def enrich_links(warehouse: WarehouseOption = WAREHOUSE, maximum: MaxOption = 500) -> None:
    """Regarde si les sites web répondent ; mort : trois absences en deux semaines au moins.

    Sans réseau, le dit et sort avec 0 : rien n’est perdu.
    """
    from lowtech_data import enrich
    from lowtech_data.enrich import links

    place = Warehouse(warehouse)
    fiches = enrich.present_fiches(place)
    with enrich.held(place):
        cache = links.open_cache(place)
        report = links.check(
            fiches, cache, _polite_client,
            today=datetime.now(UTC).date(), maximum=maximum, is_online=enrich.is_online,
        )  # fmt: skip
    _enriched("lien", report, links.LABELS)
    for row in links.states(fiches, cache).to_pylist():
        if row["etat"] == links.State.DEAD:
            said = f"{row['site_web']} ({row['cause']})"
            out.print(escape(f"· {row['source_id']}:{row['cle_source']} : mort, {said}"))


def _polite_client() -> capture.Client:
    """What asks the sites and the services, in the name of whoever runs the command."""
    from lowtech_data import capture

    networks = [ip_network(text) for text in ALLOWED_NETWORKS]
    return capture.Client(contact=CONTACT or NO_CONTACT, allowed_networks=networks)


def _enriched(noun: str, report: Report, labels: Mapping[str, str]) -> None:
    """What a pass did, and what it could not."""
    if report.problem and not report.asked:
        err.print(f"Rien n’a pu être demandé : {escape(redacted(report.problem))}")
        err.print("Ce qui était connu est gardé ; recommencer quand le service répond.")
    elif report.problem:
        err.print(f"Arrêté avant la fin : {escape(redacted(report.problem))}")
        err.print("Ce qui a été reçu est gardé ; la même commande continuera.")
    out.print(
        f"{_counted(report.due, noun)} à demander, "
        f"{report.asked} avec réponse, {report.left} pour une autre fois."
    )
    counts = sorted(report.outcomes.items(), key=lambda item: (-item[1], item[0]))
    _two_columns("réponse", "nombre", [(labels[code], str(count)) for code, count in counts])


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Adresse d’écoute.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port d’écoute.")] = 8001,
    public_url: Annotated[
        str | None, typer.Option(help="Adresse publique du site, s’il est derrière un mandataire.")
    ] = None,
    warehouse: WarehouseOption = WAREHOUSE,
) -> None:
    """Sert les pages et Datasette sur la dernière version publiée."""
    from lowtech_data import site

    if Warehouse(warehouse).current_release() is None:
        again = LastRun.of(warehouse).command(warehouse)
        err.print(f"{warehouse} : aucune version publiée. Commencer par : {again}")
        raise typer.Exit(EXIT_NOTHING)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            err.print(f"[red]{host}:{port} : {error.strerror} ; choisir un autre --port[/red]")
            raise typer.Exit(EXIT_NOTHING) from None
    out.print(f"http://{host}:{port}/  (Ctrl+C pour arrêter)")
    site.serve(warehouse, host, port, public_url=public_url, contact=CONTACT)


@app.command()
def diagnose(
    source_id: Annotated[str | None, typer.Argument(help="Une source ; toutes sans.")] = None,
    sources: LastSourcesOption = None,
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
) -> None:
    """Dit ce qui échoue, depuis quand, pourquoi et que faire."""
    from lowtech_data import acceptance
    from lowtech_data import diagnose as diagnosis

    last = LastRun.of(warehouse)
    registry = load_registry(sources or last.sources)
    wanted = registry.only([source_id] if source_id else [])
    waiting = acceptance.waiting_in(wanted, Warehouse(warehouse), curated or last.curated)
    findings = diagnosis.diagnose(wanted, Warehouse(warehouse), waiting)
    for finding in findings:
        style = "red" if finding.failing else "yellow"
        out.print(f"[{style}]{finding.source_id}[/{style}] {escape(finding.what)}")
        out.print(escape(f"  depuis : {finding.since or '–'}\n  à faire : {finding.advice}"))
    if not findings:
        out.print("Rien à signaler.")
    if source_id:
        _history(Warehouse(warehouse), source_id)


def _history(warehouse: Warehouse, source_id: str) -> None:
    """The last harvests of a source, and what they refused."""
    from lowtech_data import snapshot
    from lowtech_data.quality import reports

    known = snapshot.load(warehouse, source_id)
    if known is None:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("moisson", "résultat"):
        table.add_column(title, no_wrap=True)
    for title in ("lus", "fiches", "nouvelles", "modifiées", "absentes"):
        table.add_column(title, justify="right")
    for row in known.state.harvests[-HARVESTS_SHOWN:]:
        counts = (row.nb_lus, row.nb_valides, row.nb_nouveaux, row.nb_modifies, row.nb_absents)
        table.add_row(
            row.debut[:10],
            _LABELS[row.statut],
            *("–" if count is None else str(count) for count in counts),
        )
    out.print(table)
    _refusals(reports.refusals(known.rejects()))
    out.print(f"Pour le producteur de la liste : lowtech sources report {source_id}")


@app.command()
def digest(
    since: Annotated[
        str | None, typer.Option("--since", help="Premier jour raconté ; sinon il y a 7 jours.")
    ] = None,
    send: Annotated[
        bool, typer.Option("--send", help="L’envoyer par courriel et webhook (docs/veiller.md).")
    ] = False,
    sources: LastSourcesOption = None,
    warehouse: WarehouseOption = WAREHOUSE,
    curated: LastCuratedOption = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Le jour qui tient lieu d’aujourd’hui.")
    ] = None,
) -> None:
    """Raconte la semaine : pannes, données anciennes, arrivées et départs, ce qui attend."""
    from lowtech_data import alerts
    from lowtech_data import digest as weekly

    last = LastRun.of(warehouse)
    today = _day(as_of) if as_of else datetime.now(UTC).date()
    text = weekly.compose(
        load_registry(sources or last.sources),
        Warehouse(warehouse),
        curated or last.curated,
        since=_day(since) if since else today - timedelta(days=7),
        today=today,
    )
    out.print(text, markup=False, highlight=False, end="")
    if not send:
        return
    try:
        ways = alerts.channels()
    except ValueError as error:
        raise typer.BadParameter(f"--send : {error}") from None
    if not ways:
        raise typer.BadParameter("--send : ni LOWTECH_SMTP_HOTE ni LOWTECH_WEBHOOK n’est donné")
    failures = alerts.deliver(ways, weekly.subject(today), text)
    for failure in failures:
        err.print(f"[red]non envoyé : {escape(failure)}[/red]")
    if failures:
        raise typer.Exit(EXIT_NOTHING)


@app.command()
def doctor(warehouse: WarehouseOption = WAREHOUSE) -> None:
    """Dit ce qui est installé et accessible."""
    from lowtech_data import diagnose as diagnosis

    for name, fine, detail in diagnosis.installation(Warehouse(warehouse)):
        mark = "[green]✓[/green]" if fine else "[red]✗[/red]"
        out.print(f"{mark} {name} : {escape(detail)}")


def _refusals(refusals: Sequence[Refusal]) -> None:
    if not refusals:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rejet")
    table.add_column("champ")
    table.add_column("nombre", justify="right")
    table.add_column("par exemple", overflow="fold")
    for refusal in refusals:
        key, value = refusal.examples[0]
        shown = f"{key} : {value}" if value else key
        table.add_row(
            f"[red]{escape(refusal.label)}[/red]" if refusal.loses_records else refusal.label,
            "fiche entière" if refusal.loses_records else escape(refusal.field),
            str(refusal.count),
            escape(shown[:80]),
        )
    out.print(table)


def _two_columns(left: str, right: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(left)
    table.add_column(right, justify="right")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)


def _release(warehouse: Path, version: str | None) -> Path:
    stored = Warehouse(warehouse)
    directory = stored.current_release()
    if version:
        # By its name among the releases: a path could lead anywhere.
        directory = next((d for d in stored.releases.glob("*") if d.name == version), None)
    if directory is None or not directory.is_dir():
        err.print(f"[red]version introuvable : {escape(version or 'courante')}[/red]")
        raise typer.Exit(EXIT_NOTHING)
    return directory


def _split(values: Sequence[str] | None) -> list[str]:
    return [part for value in values or () for part in value.split(",") if part]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text} : attendu AAAA-MM-JJ") from None


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
