"""The engines, each as a competent user would set it from its documentation.

Each reads `records.parquet` (see `records`) and gives groups at its default setting, and pairs with
a score, or groups at other settings, from which its best setting is sought on the truth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.matching.accuracy import components, labelled

SEED = 20261122


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an engine found. `clusters`: `rid`, `cluster`. `edges`: `a`, `b`, `score`."""

    clusters: pa.Table
    default: str
    """The default setting, in words."""
    edges: pa.Table | None = None
    variants: dict[str, pa.Table] = field(default_factory=dict)
    """Groups at other settings, for an engine that does not join by components."""
    note: str = ""


def ours(folder: Path) -> Outcome:
    """`lowtech_data.resolve.match`, on the columns it reads; its best threshold is on the score of
    its pairs, relations left out.
    """
    from lowtech_data.resolve import match
    from lowtech_data.resolve.files import limit_memory

    with duckdb.connect() as con:
        # As the command does.
        con.execute("SET temp_directory = $1", [str(folder)])
        _load(con, folder)
        limit_memory(con, con.table("records").count("*").fetchall()[0][0])
        found = match(con, "records")
        con.register("pairs", found.pairs)
        con.register("groups", found.clusters)
        edges = con.sql(
            "SELECT x.rid AS a, y.rid AS b, p.score FROM pairs p"
            " JOIN records x ON x.source = p.source_a AND x.cle_source = p.cle_a"
            " JOIN records y ON y.source = p.source_b AND y.cle_source = p.cle_b"
            " WHERE p.score IS NOT NULL AND p.decision <> 'lie' ORDER BY a, b"
        ).to_arrow_table()
        clusters = con.sql(
            "SELECT r.rid, g.cluster FROM groups g JOIN records r USING (source, cle_source)"
            " ORDER BY rid"
        ).to_arrow_table()
    to_review = found.pairs["decision"].to_pylist().count("a_revoir")
    return Outcome(clusters, "règles", edges, note=f"{to_review} paires à revoir")


SPLINK_LEAST_PAIRS = 20
"""A training block of fewer pairs teaches nothing, and stops Splink when it has none."""
_SPLINK_CERTAIN = (("nom_serre", "cp_cle"), ("siret_cle",), ("tel_cle", "cp_cle"))
_SPLINK_TRAINING = (("nom_serre",), ("tel_cle",), ("cp_cle", "adresse_cle"))


def splink(folder: Path) -> Outcome:
    """Splink on DuckDB, untrained by labels: u by random sampling, m by EM on three blocks.

    Columns that say one thing make one comparison, as its documentation advises.
    """
    from splink import Linker, SettingsCreator, block_on
    from splink import comparison_level_library as cll
    from splink import comparison_library as cl
    from splink.backends.duckdb import DuckDBAPI

    def exact(column: str) -> Any:
        return cl.ExactMatch(column).configure(term_frequency_adjustments=True)

    def custom(name: str, description: str, *levels: Any) -> Any:
        return cl.CustomComparison(
            output_column_name=name,
            comparison_description=description,
            comparison_levels=list(levels),
        )

    name = custom(
        "nom", "name",
        cll.NullLevel("nom_serre"),
        cll.ExactMatchLevel("nom_serre", term_frequency_adjustments=True),
        cll.JaroWinklerLevel("nom_serre", 0.95),
        cll.ArraySubsetLevel("mots"),
        cll.JaroWinklerLevel("nom_serre", 0.88),
        cll.ArrayIntersectLevel("mots", 2),
        cll.JaroWinklerLevel("nom_serre", 0.75),
        cll.ElseLevel(),
    )  # fmt: skip
    same_town = "(cp_cle_l = cp_cle_r OR ville_cle_l = ville_cle_r)"
    distance = "latitude", "longitude"
    place = custom(
        "lieu", "address, postcode, commune and distance, which say one thing",
        cll.CustomLevel(
            "coalesce(cp_cle_l, ville_cle_l) IS NULL OR coalesce(cp_cle_r, ville_cle_r) IS NULL",
            "missing",
        ).configure(is_null_level=True),
        cll.CustomLevel(f"adresse_cle_l = adresse_cle_r AND {same_town}", "address"),
        cll.CustomLevel(
            "jaro_winkler_similarity(adresse_cle_l, adresse_cle_r) >= 0.93 AND " + same_town,
            "nearly the address",
        ),
        cll.DistanceInKMLevel(*distance, 0.1),
        cll.CustomLevel(f"voie_cle_l = voie_cle_r AND {same_town}", "street"),
        cll.DistanceInKMLevel(*distance, 1),
        cll.CustomLevel("cp_cle_l = cp_cle_r AND ville_cle_l = ville_cle_r", "town and postcode"),
        cll.CustomLevel(same_town, "town or postcode"),
        cll.DistanceInKMLevel(*distance, 10),
        cll.ElseLevel(),
    )  # fmt: skip
    identifier = custom(
        "identifiant", "official identifiers",
        cll.CustomLevel(
            "(siret_cle_l IS NULL OR siret_cle_r IS NULL)"
            " AND (rna_cle_l IS NULL OR rna_cle_r IS NULL)",
            "missing",
        ).configure(is_null_level=True),
        cll.CustomLevel("siret_cle_l = siret_cle_r OR rna_cle_l = rna_cle_r", "same"),
        cll.ElseLevel(),
    )  # fmt: skip
    columns = {
        "cp_cle": place, "siret_cle": identifier, "tel_cle": exact("tel_cle"),
        "mail_cle": exact("mail_cle"), "hote_cle": exact("hote_cle"),
        "type_cle": cl.ExactMatch("type_cle"),
    }  # fmt: skip
    with duckdb.connect() as con:
        _load(con, folder)
        shared = [c for c in columns if _pairs(con, (c,))]
        if "cp_cle" not in shared and _pairs(con, ("ville_cle",)):
            shared.append("cp_cle")
        certain = [b for b in _SPLINK_CERTAIN if _pairs(con, b)] or [("nom_serre",)]
        training = [b for b in _SPLINK_TRAINING if shared and _pairs(con, b) >= SPLINK_LEAST_PAIRS]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="rid",
        comparisons=[name, *(columns[column] for column in shared)],
        blocking_rules_to_generate_predictions=[
            block_on("cp_cle", "mots", arrays_to_explode=["mots"]),
            block_on("ville_cle", "mots", arrays_to_explode=["mots"]),
            block_on("nom_serre", "zone_cle"),
            block_on("cp_cle", "adresse_cle"),
            block_on("tel_cle"),
            block_on("mail_cle"),
            block_on("hote_cle", "zone_cle"),
            block_on("siret_cle"),
            block_on("rna_cle"),
        ],
    )  # fmt: skip
    with duckdb.connect() as con:
        count = _load(con, folder)
        linker = Linker(DuckDBAPI(connection=con).register("records"), settings, log_level=40)
        train = linker.training
        train.estimate_probability_two_random_records_match(
            [block_on(*block) for block in certain], recall=0.7
        )
        pairs = min(max(100 * count, 2_000_000), 100_000_000)
        train.estimate_u_using_random_sampling(max_pairs=pairs, seed=SEED)
        for block in training:
            train.estimate_parameters_using_expectation_maximisation(block_on(*block))
        predicted = linker.inference.predict(threshold_match_weight=-2)
        scored = predicted.physical_name
        edges = con.sql(
            "SELECT least(rid_l, rid_r) AS a, greatest(rid_l, rid_r) AS b, match_weight AS score"
            f" FROM {scored} ORDER BY a, b"
        ).to_arrow_table()
        grouped = linker.clustering.cluster_pairwise_predictions_at_threshold(
            predicted, threshold_match_probability=0.95
        )
        clusters = con.sql(
            f"SELECT rid, cluster_id AS cluster FROM {grouped.physical_name} ORDER BY rid"
        ).to_arrow_table()
    return Outcome(clusters, "probabilité ≥ 0,95", edges)


DEDUPE_LABELS = 600
"""Labelled pairs that `dedupe` is trained on, half of them the same."""


def dedupe(folder: Path) -> Outcome:
    """`dedupe`, trained on pairs of the truth (`labels.parquet`), half of them hard negatives."""
    import dedupe as library
    from dedupe import variables

    random.seed(SEED)
    columns = ["rid", "nom_cle", "adresse_cle", "cp_cle", "ville_cle"]
    contacts = ["tel_cle", "mail_cle", "hote_cle"]
    rows = pq.read_table(
        folder / "records.parquet", columns=[*columns, *contacts, "latitude", "longitude"]
    ).to_pylist()
    records = {}
    for row in rows:
        latitude, longitude = row.pop("latitude"), row.pop("longitude")
        row["point"] = (latitude, longitude) if latitude is not None and longitude else None
        records[row.pop("rid")] = row
    fields = [
        variables.String("nom_cle"),
        variables.Text("nom_cle", name="mots"),
        variables.String("adresse_cle", has_missing=True),
        variables.ShortString("cp_cle", has_missing=True),
        variables.String("ville_cle", has_missing=True),
        *(variables.Exact(contact, has_missing=True) for contact in contacts),
        variables.LatLong("point", has_missing=True),
    ]
    engine = library.Dedupe(fields, num_cores=1)
    labels = pq.read_table(folder / "labels.parquet").to_pylist()
    pairs: dict[str, list[Any]] = {"match": [], "distinct": []}
    for row in labels:
        pairs["match" if row["same"] else "distinct"].append((records[row["a"]], records[row["b"]]))
    engine.prepare_training(records, sample_size=1500)
    engine.mark_pairs(pairs)
    engine.train(recall=0.95, index_predicates=False)
    scores = engine.score(engine.pairs(records))
    variants = {
        f"{threshold:.2f}": _members(len(records), engine.cluster(scores, threshold))
        for threshold in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    }
    default = variants["0.50"]
    note = f"entraîné sur {len(labels)} paires de la vérité"
    return Outcome(default, "seuil 0,5", variants=variants, note=note)


def _members(count: int, groups: Iterable[tuple[Any, Any]]) -> pa.Table:
    clusters = list(range(count))
    for members, _ in groups:
        first = min(int(member) for member in members)
        for member in members:
            clusters[int(member)] = first
    return labelled(clusters)


def ecm(folder: Path) -> Outcome:
    """`recordlinkage`: blocks and a sorted neighbourhood, binary comparisons, ECM, no labels."""
    import numpy as np
    import recordlinkage

    frame = pq.read_table(folder / "records.parquet").to_pandas().set_index("rid")
    indexer = recordlinkage.Index()
    for column in ("cp_cle", "ville_cle", "tel_cle", "mail_cle", "hote_cle"):
        indexer.block(column)
    indexer.sortedneighbourhood("nom_serre", window=3)
    pairs = indexer.index(frame)
    first, second = pairs.get_level_values(0), pairs.get_level_values(1)
    for column in ("tel_cle", "mail_cle", "hote_cle", "siret_cle", "adresse_cle"):
        frame[column] = frame[column].where(frame[column].notna(), None)
    compare = recordlinkage.Compare()
    compare.string("nom_serre", "nom_serre", "jarowinkler", threshold=0.9, label="nom")
    compare.string("adresse_cle", "adresse_cle", "jarowinkler", threshold=0.9, label="adresse")
    for column in ("cp_cle", "ville_cle", "tel_cle", "mail_cle", "hote_cle"):
        compare.exact(column, column, label=column)
    features = compare.compute(pairs, frame)
    features["distance"] = _near(np, frame, first, second)
    classifier = recordlinkage.ECMClassifier()
    classifier.fit(features.astype(int))
    probability = classifier.prob(features.astype(int))
    edges = pa.table(
        {
            "a": pa.array(np.minimum(first, second), pa.int64()),
            "b": pa.array(np.maximum(first, second), pa.int64()),
            "score": pa.array(probability.to_numpy(), pa.float64()),
        }
    )
    return Outcome(components(len(frame), edges, 0.5), "probabilité ≥ 0,5", edges)


def _near(np: Any, frame: Any, first: Any, second: Any) -> Any:
    """1 where two points are less than 500 m apart."""
    latitude, longitude = frame["latitude"], frame["longitude"]
    north = (latitude.loc[first].to_numpy() - latitude.loc[second].to_numpy()) * 111.2
    scale = np.cos(np.radians(latitude.loc[first].to_numpy()))
    east = (longitude.loc[first].to_numpy() - longitude.loc[second].to_numpy()) * 111.2 * scale
    return (np.hypot(north, east) < 0.5).astype(int)


RAPIDFUZZ_DEFAULT = 90.0
RAPIDFUZZ_LEAST = 60.0


def rapidfuzz(folder: Path) -> Outcome:
    """RapidFuzz's `token_sort_ratio` of names, within a postcode or a commune."""
    import numpy as np
    from rapidfuzz import fuzz, process

    names = pq.read_table(folder / "records.parquet", columns=["nom_cle"])["nom_cle"].to_pylist()
    found: dict[tuple[int, int], float] = {}
    with duckdb.connect() as con:
        _load(con, folder)
        for column in ("cp_cle", "ville_cle"):
            blocks = con.execute(
                f"SELECT list(rid ORDER BY rid) FROM records WHERE {column} IS NOT NULL"
                f" AND nom_cle IS NOT NULL GROUP BY {column} HAVING count(*) > 1"
            ).fetchall()
            for (members,) in blocks:
                block = [names[i] for i in members]
                scores = process.cdist(
                    block, block, scorer=fuzz.token_sort_ratio, score_cutoff=RAPIDFUZZ_LEAST
                )
                for i, j in np.argwhere(np.triu(scores, 1) > 0).tolist():
                    found[members[i], members[j]] = float(scores[i, j])
    pairs = sorted(found)
    edges = pa.table(
        {
            "a": pa.array([a for a, _ in pairs], pa.int64()),
            "b": pa.array([b for _, b in pairs], pa.int64()),
            "score": pa.array([found[pair] for pair in pairs], pa.float64()),
        }
    )
    return Outcome(components(len(names), edges, RAPIDFUZZ_DEFAULT), "ressemblance ≥ 90", edges)


_SQL_PAIRS = """
    WITH mots AS (SELECT rid, cp_cle, ville_cle, unnest(mots) AS mot FROM records),
    paires AS (
        SELECT x.rid AS a, y.rid AS b FROM mots x JOIN mots y USING (cp_cle, mot)
            WHERE x.rid < y.rid
        UNION SELECT x.rid, y.rid FROM mots x JOIN mots y USING (ville_cle, mot)
            WHERE x.rid < y.rid
        UNION SELECT x.rid, y.rid FROM records x JOIN records y USING (tel_cle)
            WHERE x.rid < y.rid
        UNION SELECT x.rid, y.rid FROM records x JOIN records y USING (mail_cle)
            WHERE x.rid < y.rid
        UNION SELECT x.rid, y.rid FROM records x JOIN records y USING (nom_serre, zone_cle)
            WHERE x.rid < y.rid
        UNION SELECT x.rid, y.rid FROM records x JOIN records y USING (cp_cle, adresse_cle)
            WHERE x.rid < y.rid
    ), mesures AS (
        SELECT a, b, jaro_winkler_similarity(x.nom_serre, y.nom_serre) AS nom,
               coalesce(jaro_winkler_similarity(x.adresse_cle, y.adresse_cle), 0.5) AS adresse,
               CASE WHEN x.cp_cle = y.cp_cle OR x.ville_cle = y.ville_cle THEN 1.0 ELSE 0.0 END
                   AS commune,
               CASE WHEN x.latitude IS NULL OR y.latitude IS NULL THEN 0.5 ELSE
                   exp(-sqrt(power((x.latitude - y.latitude) * 111.2, 2)
                     + power((x.longitude - y.longitude) * 111.2 * cos(radians(x.latitude)), 2)))
                   END AS proche,
               CASE WHEN x.tel_cle = y.tel_cle OR x.mail_cle = y.mail_cle
                      OR x.siret_cle = y.siret_cle OR x.hote_cle = y.hote_cle THEN 1.0
                    WHEN coalesce(x.tel_cle <> y.tel_cle, x.mail_cle <> y.mail_cle,
                                  x.siret_cle <> y.siret_cle, x.hote_cle <> y.hote_cle) THEN 0.0
                    ELSE 0.5 END AS contact
        FROM paires JOIN records x ON x.rid = a JOIN records y ON y.rid = b
    )
    SELECT a, b, 0.5 * nom + 0.15 * adresse + 0.1 * commune + 0.1 * proche + 0.15 * contact
        AS score
    FROM mesures WHERE score >= 0.6 ORDER BY a, b
"""


def sql(folder: Path) -> Outcome:
    """A weighted sum of similarities in plain SQL, with weights guessed once, never fitted."""
    with duckdb.connect() as con:
        count = _load(con, folder)
        edges = con.sql(_SQL_PAIRS).to_arrow_table()
    return Outcome(components(count, edges, 0.8), "score ≥ 0,8", edges)


def identifiers(folder: Path) -> Outcome:
    """Any shared SIRET, RNA, telephone, mail or host; at best, of values that few records share."""
    columns = ("siret_cle", "rna_cle", "tel_cle", "mail_cle", "hote_cle")
    shared = " UNION ALL ".join(
        f"SELECT min(rid) OVER (PARTITION BY {column}) AS a, rid AS b,"
        f" -(count(*) OVER (PARTITION BY {column}))::DOUBLE AS score"
        f" FROM records WHERE {column} IS NOT NULL"
        for column in columns
    )
    with duckdb.connect() as con:
        count = _load(con, folder)
        edges = con.sql(f"FROM ({shared}) WHERE a <> b ORDER BY ALL").to_arrow_table()
    return Outcome(components(count, edges, float("-inf")), "toute valeur partagée", edges)


ENGINES: dict[str, tuple[str, Callable[[Path], Outcome]]] = {
    "ours": ("lowtech match", ours),
    "splink": ("Splink", splink),
    "dedupe": ("dedupe", dedupe),
    "ecm": ("recordlinkage, ECM", ecm),
    "rapidfuzz": ("RapidFuzz, nom dans la commune", rapidfuzz),
    "sql": ("somme pondérée en SQL", sql),
    "identifiers": ("un identifiant partagé", identifiers),
}


def _pairs(con: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> int:
    """How many pairs of records share all of these columns."""
    row = con.execute(
        f"SELECT coalesce(sum(n * (n - 1) / 2), 0) FROM (SELECT count(*) AS n FROM records"
        f" WHERE {' AND '.join(f'{c} IS NOT NULL' for c in columns)} GROUP BY {', '.join(columns)})"
    ).fetchone()
    return int(row[0]) if row else 0


def _load(con: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Make the table `records`. Returns its count."""
    con.execute(f"CREATE TABLE records AS FROM '{folder / 'records.parquet'}'")
    row = con.execute("SELECT count(*) FROM records").fetchone()
    return int(row[0]) if row else 0
