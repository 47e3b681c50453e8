"""One listing per platform, in its real shape, with what a whole harvest of it must give.

Records are few and pages short, so that every way of paging turns at least one page.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.conftest import PLACES
from tests.extract.support import FIXTURES
from tests.platforms.server import Answer, Host, Resource, Web

PAUSE_S = 0.05

NONE = frozenset[str]()
TAG = frozenset({"ETag"})
DATE = frozenset({"Last-Modified"})
BOTH = TAG | DATE


@dataclass(frozen=True, slots=True)
class Listing:
    """A source of the registry, and the keys of the fiches that it gives."""

    id: str
    block: Mapping[str, Any]
    keys: frozenset[str]
    host: str
    """Name of the host that its `url` is on; a host may have several listings."""
    requests: int
    """How many a whole harvest takes, on all of its hosts, without robots.txt."""

    @property
    def platform(self) -> str:
        return str(self.block["plateforme"])


def declared(listing: Listing) -> dict[str, Any]:
    """The listing as `sources.yaml` has it."""
    return {
        "id": listing.id,
        "nom": f"Liste {listing.id}",
        "editeur": f"Éditeur {listing.id}",
        "licence": "odbl-1.0",
        "republication": "complete",
        "preuve": "vu",
        "defauts": {"type": "fablab", "nature": "lieu"},
        "limites": {"pause_s": PAUSE_S, "delai_s": 20},
        **listing.block,
    }


def all_listings(web: Web) -> list[Listing]:
    """Every listing, with its hosts started on `web`."""
    return [make(web) for make in MAKERS]


MAKERS: list[Callable[[Web], Listing]] = []


def _maker(make: Callable[[Web], Listing]) -> Callable[[Web], Listing]:
    MAKERS.append(make)
    return make


@dataclass(frozen=True, slots=True)
class Place:
    """An invented initiative in a real commune."""

    key: str
    name: str
    street: str
    postcode: str
    town: str
    latitude: float
    longitude: float


def places(prefix: str, count: int) -> list[Place]:
    """Places that no other listing has: the prefix is a part of their names."""
    return [
        Place(
            f"{prefix}-{n}", f"{name} {prefix.upper()}", street, postcode, town,
            round(float(latitude) + n / 1_000, 6), float(longitude),
        )
        for n, (name, street, postcode, town, latitude, longitude) in enumerate(PLACES[:count])
    ]  # fmt: skip


def keys(found: Sequence[Place]) -> frozenset[str]:
    return frozenset(place.key for place in found)


def document(
    content: Any, validators: frozenset[str] = BOTH, headers: Mapping[str, str] | None = None
) -> Resource:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Resource(body, headers=headers or {}, validators=validators)


def always(resource: Resource) -> Answer:
    return lambda origin, query, headers: resource


def fixture(name: str, media_type: str, validators: frozenset[str] = BOTH) -> Answer:
    return always(Resource((FIXTURES / name).read_bytes(), media_type, validators=validators))


def page_of(given: str, media_type: str = "text/html; charset=utf-8") -> Resource:
    return Resource(given.encode(), media_type)


def json_ld(place: Place) -> dict[str, Any]:
    return {
        "@context": "https://schema.org",
        "@type": "LocalBusiness",
        "@id": f"#{place.key}",
        "name": place.name,
        "address": {
            "@type": "PostalAddress",
            "streetAddress": place.street,
            "postalCode": place.postcode,
            "addressLocality": place.town,
        },
        "geo": {
            "@type": "GeoCoordinates",
            "latitude": place.latitude,
            "longitude": place.longitude,
        },
    }


COLUMNS = {
    "cle_source": "id", "nom": "nom", "adresse": "adresse", "code_postal": "cp",
    "commune": "ville", "latitude": "lat", "longitude": "lon",
}  # fmt: skip


def as_columns(place: Place) -> dict[str, Any]:
    return {
        "id": place.key, "nom": place.name, "adresse": place.street, "cp": place.postcode,
        "ville": place.town, "lat": place.latitude, "lon": place.longitude,
    }  # fmt: skip


def as_csv(found: Sequence[Place]) -> str:
    lines = [COLUMNS.values(), *(as_columns(place).values() for place in found)]
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


@_maker
def communecter(web: Web) -> Listing:
    """`meta.next` in the path, until a page holds no entity; PHP, so no validators."""
    host, found, root = web.host("reseau"), places("co", 5), "/api/organization/get/key/ateliers"

    def entity(place: Place) -> dict[str, Any]:
        return {
            "@type": "Organization",
            "name": place.name,
            "address": {
                "streetAddress": place.street,
                "postalCode": place.postcode,
                "addressLocality": place.town,
                "addressCountry": "FR",
            },
            "geo": {"latitude": str(place.latitude), "longitude": str(place.longitude)},
            "phone": [],
            "tags": [],
        }

    def answer(start: int) -> Answer:
        held = {place.key: entity(place) for place in found[start : start + 2]}

        def page(origin: str, query: Any, headers: Any) -> Resource:
            following = f"{origin}{root}/limit/2/indexMin/{start + 2}"
            meta = {"limit": 2, "next": following, "previous": None}
            return document({"meta": meta, "entities": held or []}, NONE)

        return page

    host.answers[f"{root}/limit/2"] = answer(0)
    host.answers |= {f"{root}/limit/2/indexMin/{start}": answer(start) for start in (2, 4, 6)}
    block = {"plateforme": "communecter", "url": f"{host.origin}{root}/limit/2"}
    return Listing("communecter", block, keys(found), "reseau", 4)


@_maker
def csv_file(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("csv", 4)
    host.answers["/liste.csv"] = always(page_of(as_csv(found), "text/csv; charset=utf-8"))
    block = {"plateforme": "csv", "url": f"{host.origin}/liste.csv", "champs": COLUMNS}
    return Listing("csv", block, keys(found), "fichiers", 1)


@_maker
def curated_tsv(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("tsv", 3)
    lines = ["cle_source\tnom\tadresse\tcode_postal\tcommune\tlatitude\tlongitude"]
    lines += ["\t".join(map(str, as_columns(place).values())) for place in found]
    host.answers["/liste.tsv"] = always(page_of("\n".join(lines) + "\n", "text/plain"))
    block = {"plateforme": "curated_tsv", "url": f"{host.origin}/liste.tsv"}
    return Listing("curated_tsv", block, keys(found), "fichiers", 1)


@_maker
def data_fair(web: Web) -> Listing:
    """`next` when a page is full, even when nothing follows; `total` on the first page alone."""
    host, found = web.host("donnees"), places("df", 4)
    path = "/data-fair/api/v1/datasets/lieux/lines"

    def lines(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        size, after = int(query.get("size", 12)), int(query.get("after", 0))
        asked = query["select"].split(",")
        page = [
            {name: value for name, value in as_columns(place).items() if name in asked}
            for place in found[after : after + size]
        ]
        total = {} if after else {"total": len(found)}
        following = {**query, "after": str(after + size)}
        more = {"next": f"{origin}{path}?{urlencode(following)}"} if len(page) == size else {}
        return document({**total, **more, "results": page})

    host.answers[path] = lines
    block = {
        "plateforme": "data_fair",
        "url": f"{host.origin}{path}",
        "champs": COLUMNS,
        "options": {"lot": 2, "geopoint": False},
    }
    return Listing("data_fair", block, keys(found), "donnees", 3)


@_maker
def data_gouv(web: Web) -> Listing:
    """The stable address of a file redirects to another host."""
    host, static, found = web.host("portail"), web.host("statique"), places("dg", 3)
    name, path = "3a7be1f2", "/resources/lieux/20260220-040000/lieux.csv"
    resources = [
        {"id": "notice", "title": "Notice", "format": "pdf", "last_modified": "2026-01-01"},
        {"id": name, "title": "Lieux", "format": "csv", "last_modified": "2026-02-20"},
    ]
    dataset = {"id": "65f0", "slug": "lieux", "license": "lov2", "resources": resources}
    moved = Resource(status=302, headers={"Location": f"{static.origin}{path}"})
    host.answers["/api/1/datasets/lieux/"] = always(document(dataset))
    host.answers[f"/api/1/datasets/r/{name}"] = always(moved)
    static.answers[path] = always(page_of(as_csv(found), "text/csv; charset=utf-8"))
    block = {
        "plateforme": "data_gouv",
        "url": f"{host.origin}/api/1/datasets/lieux/",
        "hotes": [static.address],
        "champs": COLUMNS,
        "options": {"ressource": {"format": "csv"}},
    }
    return Listing("data_gouv", block, keys(found), "portail", 3)


@_maker
def discourse(web: Web) -> Listing:
    """`more_topics_url` is a web page; each topic is asked for, and its first message read."""
    host = web.host("forum")
    found = [
        Place(str(70 + n), *(getattr(p, name) for name in Place.__slots__[1:]))
        for n, p in enumerate(places("di", 3))
    ]

    def topic(place: Place) -> dict[str, Any]:
        stamp = "2024-03-11T08:12:45.102Z"
        return {"id": int(place.key), "title": place.name, "slug": "lieu", "created_at": stamp}

    def latest(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start = 2 * int(query.get("page", 0))
        listing: dict[str, Any] = {"topics": [topic(place) for place in found[start : start + 2]]}
        if start + 2 < len(found):
            listing["more_topics_url"] = "/c/lieux/12?no_definitions=true&page=1"
        return document({"users": [], "topic_list": listing}, NONE)

    def described(place: Place) -> Resource:
        card = (
            f'<dl class="h-geo"><dt>Adresse</dt><dd>{place.street}, {place.postcode} {place.town}'
            f"</dd><dt>Latitude</dt><dd>{place.latitude}</dd><dt>Longitude</dt>"
            f"<dd>{place.longitude}</dd></dl>"
        )
        posts = [{"id": 1, "post_number": 1, "username": "lea", "cooked": card}]
        return document({**topic(place), "post_stream": {"posts": posts}}, TAG)

    host.answers["/c/lieux/12.json"] = latest
    host.answers |= {f"/t/{place.key}.json": always(described(place)) for place in found}
    block = {
        "plateforme": "discourse",
        "url": f"{host.origin}/c/lieux/12.json",
        "options": {"lieux": True},
    }
    return Listing("discourse", block, keys(found), "forum", 5)


@_maker
def feed(web: Web) -> Listing:
    """`link rel="next"`; on the same host as the WordPress site that it is the feed of."""
    host, found = web.host("site"), places("fl", 3)

    def entries(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start = 2 * (int(query.get("paged", 1)) - 1)
        more = f'<link rel="next" href="{origin}/feed/?paged=2"/>' if start == 0 else ""
        items = "".join(
            f"<entry><id>{place.key}</id><title>{place.name}</title>"
            f'<link href="{origin}/{place.key}/"/><updated>2024-03-11T09:41:45+01:00</updated>'
            f"<geo:lat>{place.latitude}</geo:lat><geo:long>{place.longitude}</geo:long></entry>"
            for place in found[start : start + 2]
        )
        return page_of(
            '<feed xmlns="http://www.w3.org/2005/Atom"'
            ' xmlns:geo="http://www.w3.org/2003/01/geo/wgs84_pos#"><title>Lieux</title>'
            f"{more}{items}</feed>",
            "application/atom+xml; charset=utf-8",
        )

    host.answers["/feed/"] = entries
    block = {"plateforme": "flux", "url": f"{host.origin}/feed/"}
    return Listing("flux", block, keys(found), "site", 2)


@_maker
def geojson(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("geo", 4)
    features = [
        {
            "type": "Feature",
            "properties": {"id": place.key, "name": place.name, "ville": place.town},
            "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        }
        for place in found
    ]
    collection = {"type": "FeatureCollection", "features": features}
    host.answers["/carte.geojson"] = always(document(collection, DATE))
    block = {
        "plateforme": "geojson",
        "url": f"{host.origin}/carte.geojson",
        "champs": {"commune": "ville"},
    }
    return Listing("geojson", block, keys(found), "fichiers", 1)


@_maker
def gogocarto(web: Web) -> Listing:
    host, found = web.host("carte"), places("gg", 6)
    data = [
        {
            "id": place.key,
            "name": place.name,
            "status": 1,
            "geo": {"latitude": place.latitude, "longitude": place.longitude},
            "address": {
                "streetAddress": place.street,
                "addressLocality": place.town,
                "postalCode": place.postcode,
            },
            "categories": [],
        }
        for place in found
    ]
    dump = {"licence": "https://opendatacommons.org/licenses/odbl/summary/", "ontology": "gogofull"}
    host.answers["/api/elements.json"] = always(document({**dump, "data": data}, TAG))
    block = {"plateforme": "gogocarto", "url": f"{host.origin}/api/elements.json"}
    return Listing("gogocarto", block, keys(found), "carte", 1)


@_maker
def html_listing(web: Web) -> Listing:
    """A list in two pages that only leads to the pages of its records."""
    host, found = web.host("annuaire"), places("ht", 4)

    def listed(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start = 2 * (int(query.get("page", 1)) - 1)
        items = "".join(
            f'<li class="lieu"><a href="/lieux/{place.key}">{place.name}</a></li>'
            for place in found[start : start + 2]
        )
        more = '<a rel="next" href="?page=2#haut">Suivant</a>' if start == 0 else ""
        return page_of(f"<html><body><ul>{items}</ul>{more}</body></html>")

    def detail(place: Place) -> Resource:
        return page_of(
            f'<html><body><article data-id="{place.key}"><h1>{place.name}</h1>'
            f'<p class="rue">{place.street}</p><p class="cp">{place.postcode}</p>'
            f'<p class="ville">{place.town}</p></article></body></html>'
        )

    host.answers["/lieux"] = listed
    host.answers |= {f"/lieux/{place.key}": always(detail(place)) for place in found}
    fields = {"id": "@data-id", "nom": "h1", "rue": ".rue", "cp": ".cp", "ville": ".ville"}
    details = {"lien": "a@href", "fiche": "article", "champs": fields}
    block = {
        "plateforme": "html_listing",
        "url": f"{host.origin}/lieux",
        "options": {"fiche": "li.lieu", "suivant": "a[rel=next]", "details": details},
        "champs": {
            "cle_source": "id",
            "nom": "nom",
            "adresse": "rue",
            "code_postal": "cp",
            "commune": "ville",
        },
    }
    return Listing("html_listing", block, keys(found), "annuaire", 6)


@_maker
def javascript(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("js", 3)
    items = ",\n".join(
        f'  {{ id: \'{p.key}\', nom: "{p.name}", ville: "{p.town}",'
        f" lattitude: {p.latitude}, longitude: {p.longitude} }}"
        for p in found
    )
    script = f"// Liste des lieux\nexport const lieux = [\n{items}\n]\n"
    host.answers["/lieux.js"] = always(page_of(script, "text/javascript; charset=utf-8"))
    block = {
        "plateforme": "javascript",
        "url": f"{host.origin}/lieux.js",
        "options": {"variable": "lieux"},
        "champs": {
            "cle_source": "id",
            "nom": "nom",
            "commune": "ville",
            "latitude": "lattitude",
            "longitude": "longitude",
        },
    }
    return Listing("javascript", block, keys(found), "fichiers", 1)


@_maker
def json_ld_page(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("ld", 3)
    graph = {"@context": "https://schema.org", "@graph": [json_ld(place) for place in found]}
    script = f'<script type="application/ld+json">{json.dumps(graph)}</script>'
    host.answers["/lieux.html"] = always(page_of(f"<html><head>{script}</head></html>"))
    url = f"{host.origin}/lieux.html"
    block = {"plateforme": "json_ld", "url": url, "options": {"types": ["LocalBusiness"]}}
    named = frozenset(f"{url}#{place.key}" for place in found)
    return Listing("json_ld", block, named, "fichiers", 1)


@_maker
def json_by_offset(web: Web) -> Listing:
    """Repair Cafés: a position and a number, until a page is empty."""
    host, found = web.host("cafes"), places("rc", 5)

    def cafes(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start = int(query["offset"])
        page = [
            {
                "name": place.name,
                "link": f"https://repaircafe.example/{place.key}/",
                "address": f"{place.street}, {place.postcode} {place.town}, France",
                "coordinate": f"{place.latitude},{place.longitude}",
            }
            for place in found[start : start + int(query["limit"])]
        ]
        return document(page, TAG)

    host.answers["/wp-json/v1/map"] = cafes
    block = {
        "plateforme": "json",
        "url": f"{host.origin}/wp-json/v1/map",
        "options": {"decalage": {"nombre": 2}, "latitude_longitude": "coordinate"},
        "champs": {
            "cle_source": "link",
            "nom": "name",
            "adresse": "address",
            "latitude": "latitude",
            "longitude": "longitude",
        },
        "ignorer": ["coordinate"],
    }
    named = frozenset(f"https://repaircafe.example/{place.key}/" for place in found)
    return Listing("json_offset", block, named, "cafes", 4)


@_maker
def json_by_page(web: Web) -> Listing:
    """A directory of trades whose pages have numbers, until one is empty."""
    host, found = web.host("metiers"), places("cm", 3)

    def trades(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start = 2 * (int(query["page"]) - 1)
        return document({"items": [as_columns(place) for place in found[start : start + 2]]})

    host.answers["/api/reparateurs"] = trades
    paging = {"parametre": "page", "parametre_nombre": None, "nombre": 2, "unite": "page"}
    block = {
        "plateforme": "json",
        "url": f"{host.origin}/api/reparateurs",
        "options": {"chemin": "items", "decalage": {**paging, "premier": 1}},
        "champs": COLUMNS,
    }
    return Listing("json_pages", block, keys(found), "metiers", 3)


@_maker
def json_in_one_piece(web: Web) -> Listing:
    """Emmaüs: everything in one object, which a script makes each time."""
    host, found = web.host("boutiques"), places("em", 4)
    shops = [
        {
            "ID": place.key,
            "title": place.name,
            "gps": f"{place.latitude},{place.longitude}",
            "adresse": f"{place.street} {place.postcode} {place.town}",
            "telephone": "0612345678",
        }
        for place in found
    ]
    host.answers["/boutiquesjson.php"] = always(document({"listsrcfull": shops}, NONE))
    block = {
        "plateforme": "json",
        "url": f"{host.origin}/boutiquesjson.php",
        "options": {"chemin": "listsrcfull", "latitude_longitude": "gps"},
        "champs": {
            "cle_source": "ID",
            "nom": "title",
            "adresse": "adresse",
            "latitude": "latitude",
            "longitude": "longitude",
        },
        "ignorer": ["gps"],
        "ecarter": ["telephone"],
    }
    return Listing("json_emmaus", block, keys(found), "boutiques", 1)


def wiki_api(found: Mapping[int, tuple[str, str]], validators: frozenset[str]) -> Answer:
    """The API of a MediaWiki whose category has these pages: number → title and wikitext."""

    def members(query: Mapping[str, str]) -> dict[str, Any]:
        start = int(query.get("cmcontinue", "page|0").rpartition("|")[2])
        numbers = sorted(found)[start : start + 2]
        listed = [{"pageid": n, "ns": 0, "title": found[n][0]} for n in numbers]
        following = {"cmcontinue": f"page|{start + 2}", "continue": "-||"}
        more = {"continue": following} if start + 2 < len(found) else {"batchcomplete": True}
        return {**more, "query": {"categorymembers": listed}}

    def contents(query: Mapping[str, str]) -> dict[str, Any]:
        pages = [
            {
                "pageid": n,
                "ns": 0,
                "title": found[n][0],
                "pagelanguage": "fr",
                "revisions": [
                    {"revid": n, "timestamp": "2024-01-01T00:00:00Z", "content": found[n][1]}
                ],
            }
            for n in map(int, query["pageids"].split("|"))
        ]
        return {"batchcomplete": True, "query": {"pages": pages}}

    def answer(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        given = contents(query) if "pageids" in query else members(query)
        return document(given, validators)

    return answer


@_maker
def mediawiki_dokit(web: Web) -> Listing:
    host = web.host("wiki")
    template = "{{Tuto Details\n|Description=Un objet simple\n|Type=Tutorial\n|Area=Energy\n}}"
    titles = {4: "Four solaire", 6: "Petite éolienne", 9: "Poêle de masse"}
    found = {number: (title, template) for number, title in titles.items()}
    host.answers["/api.php"] = wiki_api(found, NONE)
    block = {
        "plateforme": "mediawiki_dokit",
        "url": f"{host.origin}/api.php",
        "entite": "ressource",
        "defauts": {"nature_ressource": "tutoriel"},
    }
    return Listing("mediawiki_dokit", block, frozenset(map(str, found)), "wiki", 4)


@_maker
def mediawiki_modele(web: Web) -> Listing:
    host = web.host("communs")
    template = "{{Commun\n|shortDescription=Un commun\n|auteur=Prenom Nom\n}}"
    titles = {12: "Presse à briques", 14: "Séchoir à bois", 15: "Remorque à vélo"}
    found = {number: (title, template) for number, title in titles.items()}
    host.answers["/w/api.php"] = wiki_api(found, TAG)
    block = {
        "plateforme": "mediawiki_modele",
        "url": f"{host.origin}/w/api.php",
        "options": {"categorie": "Category:commun", "modeles": ["Commun"]},
        "champs": {"description": "shortDescription"},
        "entite": "ressource",
        "defauts": {"nature_ressource": "document"},
    }
    return Listing("mediawiki_modele", block, frozenset(map(str, found)), "communs", 4)


@_maker
def okh(web: Web) -> Listing:
    host = web.host("forge")
    files = {"/concasseur.yml": "okh_v1.yml", "/metier.toml": "okh_losh.toml"}
    for path, name in files.items():
        host.answers[path] = fixture(name, "text/plain; charset=utf-8")
    block = {
        "plateforme": "okh",
        "url": f"{host.origin}/",
        "options": {"adresses": [path.lstrip("/") for path in files]},
        "entite": "ressource",
        "defauts": {"nature_ressource": "outil"},
    }
    return Listing("okh", block, frozenset(host.origin + path for path in files), "forge", 2)


@_maker
def okw(web: Web) -> Listing:
    host, found = web.host("fichiers"), places("ok", 3)
    facilities = [
        {
            "geocoding": {"latitude": place.latitude, "longitude": place.longitude},
            "address": None,
            "region": {"country": "FR", "city_town": place.town},
            "facility": {"name": place.name, "url": f"https://labs.example/{place.key}"},
        }
        for place in found
    ]
    host.answers["/okw.json"] = always(document(facilities))
    block = {"plateforme": "okw", "url": f"{host.origin}/okw.json"}
    named = frozenset(f"https://labs.example/{place.key}" for place in found)
    return Listing("okw", block, named, "fichiers", 1)


@_maker
def opendatasoft(web: Web) -> Listing:
    host, found = web.host("regional"), places("od", 5)
    path = "/api/explore/v2.1/catalog/datasets/lieux/records"

    def records(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        start, limit = int(query.get("offset", 0)), int(query["limit"])
        page = [
            {
                "identifiant": place.key,
                "nom": place.name,
                "commune": place.town,
                "geo_point_2d": {"lon": place.longitude, "lat": place.latitude},
            }
            for place in found[start : start + limit]
        ]
        return document({"total_count": len(found), "results": page}, DATE)

    host.answers[path] = records
    block = {
        "plateforme": "opendatasoft",
        "url": f"{host.origin}{path}",
        "options": {"lot": 2, "order_by": "identifiant"},
        "champs": {"cle_source": "identifiant", "nom": "nom", "commune": "commune"},
    }
    return Listing("opendatasoft", block, keys(found), "regional", 3)


@_maker
def overpass(web: Web) -> Listing:
    """One answer to a query, computed each time: no validators."""
    host, found = web.host("osm"), places("osm", 3)

    def interpreter(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        tags = {"leisure": "hackerspace"}
        elements = [
            {
                "type": "node",
                "id": 4_100_000_000 + n,
                "lat": place.latitude,
                "lon": place.longitude,
                "user": "Camille_Exemple",
                "tags": {**tags, "name": place.name, "addr:city": place.town},
            }
            for n, place in enumerate(found)
        ]
        known = '"leisure"="hackerspace"' in query["data"]
        return document({"version": 0.6, "elements": elements if known else []}, NONE)

    host.answers["/api/interpreter"] = interpreter
    block = {
        "plateforme": "overpass",
        "url": f"{host.origin}/api/interpreter",
        "options": {"filtres": {"hackerspace": [{"leisure": "hackerspace"}]}},
        "codes": {"hackerspace": {"type": "hackerspace"}},
    }
    named = frozenset(f"node/{4_100_000_000 + n}" for n in range(len(found)))
    return Listing("overpass", block, named, "osm", 1)


@_maker
def semapps(web: Web) -> Listing:
    """A container of links; each record is asked for in JSON-LD, and nothing else is accepted."""
    host, found = web.host("semapps"), places("sa", 3)

    def linked(content: Callable[[str], dict[str, Any]]) -> Answer:
        def answer(origin: str, query: Any, headers: Mapping[str, str]) -> Resource:
            if "application/ld+json" not in headers.get("Accept", ""):
                return Resource(status=406)
            return document(content(origin), TAG)

        return answer

    def container(origin: str) -> dict[str, Any]:
        return {
            "@context": f"{origin}/context.json",
            "id": f"{origin}/organizations",
            "type": ["ldp:Container", "ldp:BasicContainer"],
            "ldp:contains": [f"{origin}/organizations/{place.key}" for place in found],
        }

    def record(place: Place) -> Callable[[str], dict[str, Any]]:
        return lambda origin: {
            "@context": f"{origin}/context.json",
            "id": f"{origin}/organizations/{place.key}",
            "type": "pair:Organization",
            "pair:label": place.name,
            "pair:hasLocation": {
                "type": "pair:Place",
                "pair:latitude": place.latitude,
                "pair:longitude": place.longitude,
            },
        }

    host.answers["/organizations"] = linked(container)
    for place in found:
        host.answers[f"/organizations/{place.key}"] = linked(record(place))
    block = {"plateforme": "semapps", "url": f"{host.origin}/organizations"}
    named = frozenset(f"{host.origin}/organizations/{place.key}" for place in found)
    return Listing("semapps", block, named, "semapps", 4)


@_maker
def sitemap(web: Web) -> Listing:
    """An index leads to a compressed sitemap, which leads to the pages."""
    host, found = web.host("vitrine"), places("sm", 3)
    space = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
    plan = "".join(f"<url><loc>{host.origin}/lieux/{place.key}</loc></url>" for place in found)
    plan = f"<urlset {space}>{plan}<url><loc>{host.origin}/mentions</loc></url></urlset>"
    index = f"<sitemap><loc>{host.origin}/plan-lieux.xml.gz</loc></sitemap>"
    index = f"<sitemapindex {space}>{index}</sitemapindex>"
    packed = Resource(gzip.compress(plan.encode(), mtime=0), "application/gzip")
    host.answers["/sitemap.xml"] = always(page_of(index, "application/xml"))
    host.answers["/plan-lieux.xml.gz"] = always(packed)
    for place in found:
        script = f'<script type="application/ld+json">{json.dumps(json_ld(place))}</script>'
        host.answers[f"/lieux/{place.key}"] = always(page_of(f"<html>{script}</html>"))
    block = {
        "plateforme": "sitemap",
        "url": f"{host.origin}/sitemap.xml",
        "options": {"pages": "/lieux/", "json_ld": {"types": ["LocalBusiness"]}},
        "champs": {"nom": "name"},
    }
    named = frozenset(f"{host.origin}/lieux/{place.key}#{place.key}" for place in found)
    return Listing("sitemap", block, named, "vitrine", 5)


@_maker
def spaceapi(web: Web) -> Listing:
    """A directory leads to the file of each space, on the host of the space."""
    host, found = web.host("espaces"), places("sp", 2)
    spaces = [web.host(f"espace_{n}") for n in range(len(found))]

    def status(place: Place, home: Host) -> dict[str, Any]:
        where = {"address": place.street, "lat": place.latitude, "lon": place.longitude}
        return {
            "api_compatibility": ["14"],
            "space": place.name,
            "url": f"{home.origin}/",
            "location": where,
            "state": {"open": True, "trigger_person": "Camille Exemple"},
        }

    directory = {}
    for place, home in zip(found, spaces, strict=True):
        directory[place.name] = f"{home.origin}/spaceapi.json"
        home.answers["/spaceapi.json"] = always(document(status(place, home)))
    host.answers["/"] = always(document(directory))
    block = {
        "plateforme": "spaceapi",
        "url": f"{host.origin}/",
        "hotes": [home.address for home in spaces],
    }
    named = frozenset(place.name for place in found)
    return Listing("spaceapi", block, named, "espaces", 3)


@_maker
def spreadsheet(web: Web) -> Listing:
    host = web.host("fichiers")
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    host.answers["/tableur.xlsx"] = fixture("tableur.xlsx", kind, DATE)
    block = {
        "plateforme": "tableur",
        "url": f"{host.origin}/tableur.xlsx",
        "champs": {"cle_source": "Référence", "nom": "Nom du lieu", "code_postal": "Code postal"},
        "ignorer": ["Adhérents", "Ouvert", "Ouvert depuis", "Part de bénévoles", "colonne_7"],
    }
    return Listing("tableur", block, frozenset({"101", "102"}), "fichiers", 1)


@_maker
def sparql(web: Web) -> Listing:
    host, found = web.host("wikidata"), places("wd", 3)
    numbers = {f"Q90000{n}": place for n, place in enumerate(found)}
    bindings = [
        {
            "item": {"type": "uri", "value": f"http://www.wikidata.org/entity/{number}"},
            "itemLabel": {"type": "literal", "xml:lang": "fr", "value": place.name},
            "coord": {"type": "literal", "value": f"Point({place.longitude} {place.latitude})"},
        }
        for number, place in numbers.items()
    ]
    variables = {"vars": ["item", "itemLabel", "coord"]}
    answer = document({"head": variables, "results": {"bindings": bindings}}, NONE)
    host.answers["/sparql"] = always(answer)
    query = "SELECT ?item ?itemLabel ?coord WHERE { ?item wdt:P31 wd:Q900100; wdt:P625 ?coord }"
    block = {
        "plateforme": "sparql",
        "url": f"{host.origin}/sparql",
        "options": {"requete": query, "position": "coord"},
    }
    return Listing("sparql", block, frozenset(numbers), "wikidata", 1)


@_maker
def umap(web: Web) -> Listing:
    """The page of a map leads to its description, which leads to its layers."""
    host, found = web.host("umap"), places("um", 4)
    layers = {"0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9": found[:2], "1a2b3c4d-5e6f": found[2:]}
    properties = {
        "name": "Lieux",
        "umap_id": 123,
        "urls": {"datalayer_view": "/fr/datalayer/{map_id}/{pk}/"},
        "datalayers": [{"id": name, "name": f"Calque {name[0]}"} for name in layers],
    }
    described = {"type": "Feature", "geometry": None, "properties": properties}
    host.answers["/fr/map/123/geojson/"] = always(document(described, NONE))
    for name, held in layers.items():
        features = [
            {
                "type": "Feature",
                "id": place.key,
                "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
                "properties": {"name": place.name},
            }
            for place in held
        ]
        layer = {"type": "FeatureCollection", "features": features}
        host.answers[f"/fr/datalayer/123/{name}/"] = always(document(layer, DATE))
    block = {"plateforme": "umap", "url": f"{host.origin}/fr/map/lieux_123"}
    return Listing("umap", block, keys(found), "umap", 3)


@_maker
def wordpress(web: Web) -> Listing:
    """`X-WP-TotalPages` says how many pages there are; one more is an error."""
    host = web.host("site")
    found = dict(enumerate(places("wp", 5), 400))

    def contents(origin: str, query: Mapping[str, str], headers: Any) -> Resource:
        size, number = int(query["per_page"]), int(query["page"])
        page = [
            {
                "id": n,
                "title": {"rendered": place.name},
                "link": f"{origin}/lieu/{n}/",
                "modified": "2025-05-17T18:21:03",
                "acf": {"ville": place.town, "lat": place.latitude, "lng": place.longitude},
            }
            for n, place in list(found.items())[(number - 1) * size : number * size]
        ]
        if not page:
            error = json.dumps({"code": "rest_post_invalid_page_number"}).encode()
            return Resource(error, status=400)
        total = {"X-WP-Total": str(len(found)), "X-WP-TotalPages": str(-(-len(found) // size))}
        return document(page, TAG, total)

    host.answers["/wp-json/wp/v2/lieux"] = contents
    block = {
        "plateforme": "wordpress",
        "url": f"{host.origin}/wp-json/wp/v2",
        "options": {"contenu": "lieux", "lot": 2},
        "champs": {"commune": "acf.ville", "latitude": "acf.lat", "longitude": "acf.lng"},
    }
    return Listing("wordpress", block, frozenset(map(str, found)), "site", 3)


@_maker
def yeswiki_bazar(web: Web) -> Listing:
    """The form, then its entries, told apart by the query alone."""
    host, found = web.host("yeswiki"), places("yw", 3)
    entries = {
        place.key: {
            "id_fiche": place.key,
            "bf_titre": place.name,
            "checkboxListeTypelieu": "11",
            "bf_ville": place.town,
            "bf_latitude": str(place.latitude),
            "bf_longitude": str(place.longitude),
            "url": f"{host.origin}/?{place.key}",
        }
        for place in found
    }
    choices = {
        "propertyname": "checkboxListeTypelieu",
        "label": "Type de lieu",
        "options": {"11": "Fablab / Hackerspace"},
    }
    form = {"bn_id_nature": "1", "bn_label_nature": "Lieux", "prepared": [choices]}

    def wiki(origin: str, query: Mapping[str, str], headers: Any) -> Resource | None:
        given = {"api/forms/1": form, "api/forms/1/entries": entries}
        asked: Iterator[Any] = (given[name] for name in query if name in given)
        return next((document(content, TAG) for content in asked), None)

    host.answers["/"] = wiki
    block = {
        "plateforme": "yeswiki_bazar",
        "url": f"{host.origin}/?api/forms/1/entries",
        "options": {"choix": ["checkboxListeTypelieu"]},
        "codes": {"Fablab / Hackerspace": {"type": "fablab"}},
    }
    return Listing("yeswiki_bazar", block, keys(found), "yeswiki", 2)
