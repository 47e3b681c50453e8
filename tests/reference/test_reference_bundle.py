"""The bundled files: complete, coherent, and what look-ups expect of them."""

import csv
import hashlib
import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowtech_data import reference
from lowtech_data.model import LISTS, TABLES, codes_of

DISTRICTS = {"75056": 20, "69123": 9, "13055": 16}
OVERSEAS = ("971", "972", "973", "974", "976")
COLLECTIVITIES = ("975", "977", "978", "986", "987", "988")


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as connection:
        reference.install(connection)
        yield connection


def rows(con, sql, *parameters):
    return con.execute(sql, list(parameters)).fetchall()


def value(con, sql, *parameters):
    [(found,)] = rows(con, sql, *parameters)
    return found


def folded(con, name):
    return value(con, "SELECT cle_commune(?)", name)


# The folding of names


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("St-Étienne", "saint etienne"),
        ("SAINT ETIENNE", "saint etienne"),
        ("Ste.-Foy-lès-Lyon", "sainte foy les lyon"),
        ("Stes-Maries-de-la-Mer", "saintes maries de la mer"),
        ("Saint-Ouen-l'Aumône", "saint ouen l aumone"),
        ("Saint-Ouen-l’Aumône", "saint ouen l aumone"),
        ("Crèvecœur-le-Grand", "crevecoeur le grand"),
        ("ŒUILLY", "oeuilly"),
        ("L'Haÿ-les-Roses", "l hay les roses"),
        ("  Bors (Canton de\tCharente-Sud) ", "bors canton de charente sud"),
        ("Stains", "stains"),
        ("Brest", "brest"),
    ],
)
def test_spellings_of_one_name_have_one_key(con, written, key):
    assert folded(con, written) == key


def test_no_name_has_no_key(con):
    assert folded(con, None) is None


@given(st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")))
def test_folding_is_stable_and_leaves_words_only(con, text):
    key = folded(con, text)
    assert folded(con, key) == key
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789 ")
    assert key == " ".join(key.split())


def test_bundled_keys_are_those_of_the_macro(con):
    different = "SELECT nom FROM ref_communes WHERE nom_cle IS DISTINCT FROM cle_commune(nom)"
    assert rows(con, different) == []


def test_an_abbreviated_saint_finds_its_commune(con):
    found = rows(
        con,
        "SELECT code FROM ref_communes WHERE nom_cle = cle_commune('st denis') "
        "AND nature = 'commune' AND code_departement IN ('93', '974') ORDER BY code",
    )
    assert found == [("93066",), ("97411",)]


# Communes


def test_a_row_is_named_by_code_nature_and_name(con):
    repeated = "SELECT code FROM ref_communes GROUP BY code, nature, nom HAVING count(*) > 1"
    assert rows(con, repeated) == []
    assert value(con, "SELECT count(*) FROM ref_communes WHERE nom_cle = ''") == 0


@pytest.mark.parametrize(
    ("nature", "low", "high"),
    [
        ("commune", 34_500, 35_500),
        ("com", 80, 110),
        ("arrondissement", 45, 45),
        ("deleguee", 1_500, 3_000),
        ("associee", 300, 800),
        ("ancienne", 3_000, 8_000),
    ],
)
def test_every_nature_has_about_its_number(con, nature, low, high):
    assert low <= value(con, "SELECT count(*) FROM ref_communes WHERE nature = ?", nature) <= high


def test_every_commune_has_a_departement_and_a_region_that_exist(con):
    astray = """
        SELECT code FROM ref_communes AS c
        WHERE NOT EXISTS (FROM ref_territoires AS t
                          WHERE t.niveau = 'departement' AND t.code = c.code_departement
                            AND t.parent = c.code_region)
           OR NOT EXISTS (FROM ref_territoires AS t
                          WHERE t.niveau = 'region' AND t.code = c.code_region)
           OR (code_epci IS NOT NULL AND NOT EXISTS (
                   FROM ref_territoires AS t WHERE t.niveau = 'epci' AND t.code = c.code_epci))
    """
    assert rows(con, astray) == []


def test_every_row_leads_to_a_current_commune_of_the_same_place(con):
    astray = """
        SELECT code, nom FROM ref_communes AS c
        WHERE NOT EXISTS (FROM ref_communes AS now
                          WHERE now.code = c.code_actuel AND now.nature IN ('commune', 'com')
                            AND now.code_actuel = now.code
                            AND now.code_departement = c.code_departement)
    """
    assert rows(con, astray) == []


@pytest.mark.parametrize(("commune", "districts"), DISTRICTS.items())
def test_districts_lead_to_their_commune(con, commune, districts):
    count = "SELECT count(*) FROM ref_communes WHERE nature = 'arrondissement' AND code_actuel = ?"
    assert value(con, count, commune) == districts


@pytest.mark.parametrize(
    ("code", "name", "now"),
    [
        ("69114", "Liergues", "69114"),
        ("51108", "Châlons-sur-Marne", "51108"),
        ("20004", "Ajaccio", "2A004"),
        ("01340", "Saint-Bois", "01015"),
        ("50129", "Cherbourg-Octeville", "50129"),
        ("50383", "Octeville", "50129"),
    ],
)
def test_a_former_commune_leads_to_the_one_of_today(con, code, name, now):
    found = rows(
        con,
        "SELECT DISTINCT code_actuel FROM ref_communes WHERE code = ? AND nom = ?",
        code,
        name,
    )
    assert found == [(now,)]


@pytest.mark.parametrize("departement", OVERSEAS)
def test_overseas_departements_are_complete(con, departement):
    known = rows(
        con,
        "SELECT count(*) > 15, count(code_epci) = count(*), count(population) = count(*), "
        "count(latitude) = count(*), bool_and(code_region <> code_departement) "
        "FROM ref_communes WHERE nature = 'commune' AND code_departement = ?",
        departement,
    )
    assert known == [(True, True, True, True, True)]


@pytest.mark.parametrize("collectivity", COLLECTIVITIES)
def test_overseas_collectivities_are_present_at_every_level(con, collectivity):
    communes = "SELECT count(*) FROM ref_communes WHERE nature = 'com' AND code_departement = ?"
    levels = "SELECT niveau FROM ref_territoires WHERE code = ? ORDER BY niveau"
    assert value(con, communes, collectivity) >= 1
    assert rows(con, levels, collectivity) == [("departement",), ("region",)]


def test_centres_are_where_their_departement_is(con):
    far = """
        SELECT c.code, c.nom
        FROM ref_communes AS c
        JOIN ref_territoires AS d ON d.niveau = 'departement' AND d.code = c.code_departement
        WHERE abs(c.latitude - d.latitude) > 1.2
           OR abs(c.longitude - d.longitude) * cos(radians(d.latitude)) > 1.2
    """
    found = [row for row in rows(con, far) if not row[0].startswith("973")]
    assert found == []


def test_nearly_every_commune_has_a_centre_and_no_centre_is_half_known(con):
    share = "SELECT count(latitude) / count(*) FROM ref_communes WHERE nature = 'commune'"
    half = "SELECT count(*) FROM ref_communes WHERE (latitude IS NULL) <> (longitude IS NULL)"
    assert value(con, share) > 0.999
    assert value(con, half) == 0


@pytest.mark.parametrize(
    ("code", "latitude", "longitude"),
    [
        ("44109", 47.218, -1.554),
        ("79191", 46.324, -0.465),
        ("13004", 43.677, 4.628),
        ("97411", -20.879, 55.449),
    ],
)
def test_a_centre_is_where_people_look_for_the_town(con, code, latitude, longitude):
    [(found_latitude, found_longitude)] = rows(
        con,
        "SELECT latitude, longitude FROM ref_communes WHERE code = ? AND nature = 'commune'",
        code,
    )
    assert found_latitude == pytest.approx(latitude, abs=0.01)
    assert found_longitude == pytest.approx(longitude, abs=0.01)


# Postcodes


def test_a_postcode_may_have_several_communes_and_a_commune_several_postcodes(con):
    many = "SELECT count(DISTINCT code_insee) FROM ref_codes_postaux WHERE code_postal = '51300'"
    assert value(con, many) > 20
    paris = "SELECT count(DISTINCT code_postal) FROM ref_codes_postaux WHERE code_insee = '75056'"
    assert value(con, paris) >= 20


def test_postcodes_are_well_formed_and_lead_to_current_communes(con):
    astray = """
        SELECT * FROM ref_codes_postaux AS p
        WHERE NOT regexp_full_match(code_postal, '[0-9]{5}')
           OR NOT EXISTS (FROM ref_communes AS c
                          WHERE c.code = p.code_insee AND c.nature IN ('commune', 'com'))
    """
    assert rows(con, astray) == []


def test_districts_are_told_by_postcode_in_the_three_towns_only(con):
    by_town = "SELECT code_insee, count(DISTINCT code_arrondissement) FROM ref_codes_postaux "
    by_town += "WHERE code_arrondissement IS NOT NULL GROUP BY code_insee"
    assert dict(rows(con, by_town)) == DISTRICTS
    assert rows(
        con, "SELECT code_arrondissement FROM ref_codes_postaux WHERE code_postal = '69003'"
    ) == [("69383",)]


def test_postcodes_agree_with_those_of_communes(con):
    difference = """
        (SELECT code_insee, code_postal FROM ref_codes_postaux
         EXCEPT SELECT code, unnest(codes_postaux) FROM ref_communes
                WHERE nature IN ('commune', 'com'))
        UNION ALL
        (SELECT code, unnest(codes_postaux) FROM ref_communes WHERE nature IN ('commune', 'com')
         EXCEPT SELECT code_insee, code_postal FROM ref_codes_postaux)
    """
    assert rows(con, difference) == []


# Territories


def test_territories_have_the_published_columns_and_levels():
    table = reference.territories()
    assert table.schema.equals(TABLES["territoires"].arrow_schema())
    assert set(table["niveau"].to_pylist()) == codes_of("niveau")
    assert set(table["annee_cog"].to_pylist()) == {reference.vintage()}


def test_territories_are_unique_and_sorted_by_level_and_code():
    keys = [
        (row["niveau"], row["code"])
        for row in reference.territories().select(["niveau", "code"]).to_pylist()
    ]
    assert keys == sorted(set(keys))


def test_every_territory_has_a_parent_at_the_level_above(con):
    above = "CASE niveau WHEN 'commune' THEN 'departement' WHEN 'epci' THEN 'departement' "
    above += "WHEN 'departement' THEN 'region' WHEN 'region' THEN 'pays' END"
    orphans = f"""
        SELECT niveau, code FROM (SELECT *, {above} AS au_dessus FROM ref_territoires) AS t
        WHERE niveau <> 'pays' AND NOT EXISTS (
            FROM ref_territoires AS p WHERE p.niveau = t.au_dessus AND p.code = t.parent)
    """
    assert rows(con, orphans) == []


def test_populations_add_up_from_communes_to_the_country(con):
    by_level = dict(
        rows(con, "SELECT niveau, sum(population)::BIGINT FROM ref_territoires GROUP BY niveau")
    )
    assert by_level["commune"] == by_level["departement"] == by_level["region"] == by_level["pays"]
    assert 68_000_000 < by_level["pays"] < 71_000_000
    assert by_level["epci"] < by_level["pays"]


# What a type says by default


def test_types_cover_the_published_list_with_published_codes(con):
    found = rows(con, "SELECT type, nature, themes, familles FROM ref_types")
    assert {row[0] for row in found} == codes_of("type")
    assert len(found) == len(codes_of("type"))
    assert {row[1] for row in found} <= codes_of("nature")
    assert {theme for row in found for theme in row[2]} <= codes_of("theme")
    assert {famille for row in found for famille in row[3]} <= codes_of("famille")


@pytest.mark.parametrize(
    ("kind", "nature", "themes", "familles"),
    [
        ("atelier_velo", "lieu", ["mobilite", "reparation"], ["mobilite_douce"]),
        ("repair_cafe", "lieu", ["reparation"], ["revalorisation_dechets"]),
        ("association", "organisation", [], []),
    ],
)
def test_a_type_says_what_can_be_said_and_no_more(con, kind, nature, themes, familles):
    found = rows(con, "SELECT nature, themes, familles FROM ref_types WHERE type = ?", kind)
    assert found == [(nature, themes, familles)]


# The folder


def test_sums_and_counts_of_the_manifest_are_true():
    manifest = json.loads((reference.REFERENCE_DIR / "reference.json").read_text("utf-8"))
    present = {path.name for path in reference.REFERENCE_DIR.iterdir()}
    assert set(manifest["fichiers"]) == present - {"README.md", "reference.json"}
    for name, known in manifest["fichiers"].items():
        content = (reference.REFERENCE_DIR / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == known["sha256"], name


def test_line_counts_of_the_manifest_are_true(con):
    manifest = json.loads((reference.REFERENCE_DIR / "reference.json").read_text("utf-8"))
    for name, known in manifest["fichiers"].items():
        path = str(reference.REFERENCE_DIR / name)
        read = "read_parquet(?)" if name.endswith(".parquet") else "read_csv(?)"
        assert value(con, f"SELECT count(*) FROM {read}", path) == known["lignes"], name


def test_the_bundle_stays_small():
    total = sum(path.stat().st_size for path in reference.REFERENCE_DIR.iterdir())
    assert total < 6_000_000


def test_types_file_has_one_line_per_type_in_the_published_order():
    with (reference.REFERENCE_DIR / "types.csv").open(encoding="utf-8", newline="") as file:
        listed = [row["type"] for row in csv.DictReader(file)]
    assert listed == [code.code for code in LISTS["type"]]


def test_install_leaves_nothing_in_a_database_file(tmp_path):
    path = tmp_path / "base.duckdb"
    with duckdb.connect(str(path)) as connection:
        reference.install(connection)
        reference.install(connection)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM duckdb_tables()").fetchone() == (0,)
        functions = "SELECT count(*) FROM duckdb_functions() WHERE function_name = 'cle_commune'"
        assert connection.execute(functions).fetchone() == (0,)


def test_a_missing_file_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "REFERENCE_DIR", tmp_path)
    with (
        duckdb.connect() as connection,
        pytest.raises(
            reference.ReferenceMissingError, match=r"communes\.parquet.*LOWTECH_REFERENCE"
        ),
    ):
        reference.install(connection)
