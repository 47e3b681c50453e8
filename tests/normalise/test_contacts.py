from .support import clean, one, read, rules, rules_of_each


def test_only_landlines_are_published():
    cases = [
        ("02.40.12.34.56", "+33240123456"),
        ("+33 (0)2 40 12 34 56", "+33240123456"),
        ("0033240123456", "+33240123456"),
        ("240123456", "+33240123456"),
        ("01 99 00 12 34", "+33199001234"),
        ("0262 12 34 56", "+262262123456"),
        ("02 40 12 34 56 / 06 12 34 56 78", "+33240123456"),
        ("06 12 34 56 78 ; 02 40 12 34 56", "+33240123456"),
        ("Tél : 02 40 12 34 56", "+33240123456"),
        ("0692 12 34 56", None),
        ("+33612345678", None),
        ("612345678", None),
        ("12 34", None),
        ("NULL", None),
    ]
    assert read("telephone", "telephone", cases) == cases


def test_a_refused_number_leaves_a_masked_row():
    rows = [{"telephone": written} for written in ("06 12 34 56 78", "12 34", "NULL")]
    assert rules_of_each(*rows) == [
        {("telephone", "mobile_ecarte")},
        {("telephone", "telephone_invalide")},
        set(),
    ]


def test_numbers_are_judged_by_the_numbering_plan():
    cases = [
        ("01 99 00 12 34", "+33199001234"),
        ("02 61 91 12 34", "+33261911234"),
        ("03 53 01 12 34", "+33353011234"),
        ("04 65 71 12 34", "+33465711234"),
        ("05 36 49 12 34", "+33536491234"),
        ("05 55 55 55 55", "+33555555555"),
        ("09 72 12 34 56", "+33972123456"),
        ("0 800 123 456", "+33800123456"),
        ("0810 12 34 56", "+33810123456"),
        ("0892 12 34 56", "+33892123456"),
        ("08 06 00 12 34", "+33806001234"),
        ("0262 12 34 56", "+262262123456"),
        ("0263 12 34 56", "+262263123456"),
        ("0269 60 12 34", "+262269601234"),
        ("0590 12 34 56", "+590590123456"),
        ("+594 594 12 34 56", "+594594123456"),
        ("+596 (0)596 12 34 56", "+596596123456"),
        ("+687 27 12 34", "+687271234"),
        ("+508 41 12 34", "+508411234"),
        ("+32 2 456 78 90", "+3224567890"),
        ("0041 22 123 45 67", "+41221234567"),
        ("+352 27 12 34 56", "+35227123456"),
        ("+376 812 345", "+376812345"),
        ("+377 93 15 00 00", "+37793150000"),
        ("'+331 99 00 04 90", "+33199000490"),
        ("01.99.00.02.54.", "+33199000254"),
        ("01 99 00 03 45 (mairie)", "+33199000345"),
        ("01 99 00 08 98 - 06 39 98 08 99", "+33199000898"),
        ("06 39 98 10 06 - 01 99 00 10 07", "+33199001007"),
        ("06.39.98.06.32 // 01.99.00.06.31", "+33199000631"),
        ("01 99 00 10 28; 01 99 00 10 29", "+33199001028"),
        ("01 99 00 10 28 poste 12", "+33199001028"),
    ]
    assert read("telephone", "telephone", cases) == cases


def test_a_number_that_cannot_be_is_refused_with_its_reason():
    cases = {
        "00 00 00 00 00": "telephone_invalide",
        "01 00 00 00 00": "telephone_invalide",
        "01 02 03 04 05": "telephone_invalide",
        "0123456789": "telephone_invalide",
        "04 00 12 34 56": "telephone_invalide",
        "08 70 12 34 56": "telephone_invalide",
        "01 99 00 12": "telephone_invalide",
        "3949": "telephone_court",
        "36 31": "telephone_court",
        "32 2 456 78 90": "telephone_etranger",
        "41221234567": "telephone_etranger",
        "+32 470 12 34 56": "mobile_ecarte",
        "+1 514 555 0123": "mobile_ecarte",
        "+596 696 12 34 56": "mobile_ecarte",
        "à la mairie": "telephone_illisible",
        "boite382@labo.fr": "telephone_illisible",
    }
    assert rules_of_each(*({"telephone": written} for written in cases)) == [
        {("telephone", rule)} for rule in cases.values()
    ]
    assert read("telephone", "telephone", [(written, None) for written in cases]) == [
        (written, None) for written in cases
    ]


def test_the_first_landline_of_the_texts_fills_an_empty_field():
    cases = [
        ({"description": "Appeler au 02 40 12 34 56 ou 02 51 12 34 56."}, "+33240123456"),
        ({"description": "Tél.02.40.12.34.56"}, "+33240123456"),
        ({"description": "Tél : +33 (0)2 40 12 34 56"}, "+33240123456"),
        ({"description": "<p>T&eacute;l 02&nbsp;40&nbsp;12&nbsp;34&nbsp;56</p>"}, "+33240123456"),
        ({"description": "Fax : 02 51 00 00 01, tél : 02 40 12 34 56"}, "+33240123456"),
        ({"description": "06 41 72 83 95 ou 02 40 12 34 56"}, "+33240123456"),
        ({"horaires": "sur rendez-vous au 02 40 12 34 56"}, "+33240123456"),
        ({"adresse": "3 rue Haute, 0240123456"}, "+33240123456"),
        ({"nom": "Repair Café 02 40 12 34 56"}, "+33240123456"),
        ({"horaires": "02 51 12 34 56", "description": "02 40 12 34 56"}, "+33240123456"),
        ({"telephone": "06 41 72 83 95", "description": "02 40 12 34 56"}, "+33240123456"),
        ({"telephone": "02 51 12 34 56", "description": "02 40 12 34 56"}, "+33251123456"),
        ({"description": "Appeler au 06 41 72 83 95"}, None),
        ({"description": "Le 01/02/2019 10:30, puis le 02.03.2020 14 h"}, None),
        ({"description": "SIRET 802 402 123 00045, parcelle 0240123456789"}, None),
        ({"description": "Voir https://labo.fr/0240123456"}, None),
        ({"description": "Fax 02 40 12 34 56"}, None),
        ({"description": "Appeler le 01 02 03 04 05"}, None),
        ({"description": "Numéro vert 0 800 123 456"}, None),
        ({"horaires": "09 00 12 00 14 00 18 00"}, None),
        ({"nom": "Jean Dupont", "description": "02 40 12 34 56"}, None),
    ]
    result = clean(*(row for row, _ in cases))
    found = {f["cle_source"]: f["telephone"] for f in result.fiches.to_pylist()}
    assert [(row, found[str(n)]) for n, (row, _) in enumerate(cases)] == cases
    taken = [
        (row["cle_source"], row["valeur_source"])
        for row in result.transformations.to_pylist()
        if (row["champ"], row["regle"]) == ("telephone", "tire_du_texte")
    ]
    assert len(taken) == 11
    assert ("0", "02 40 12 34 56") in taken


def test_only_role_addresses_on_an_own_domain_are_published():
    cases = [
        ("Contact@Labo.fr", "contact@labo.fr"),
        ("contact[at]labo.fr", "contact@labo.fr"),
        ("mailto:info@labo.fr", "info@labo.fr"),
        ("jean.dupont@labo.fr; accueil@labo.fr", "accueil@labo.fr"),
        ("contact@gmail.com", None),
        ("contact@orange.fr", None),
        ("jean.dupont@labo.fr", None),
        ("jd@labo.fr", None),
        ("hidden", None),
        ("contact", None),
    ]
    assert read("courriel", "courriel", cases) == cases


def test_the_first_role_address_of_the_texts_fills_an_empty_field():
    site = {"site_web": "https://www.labo.fr/accueil"}
    cases = [
        ({"description": "Écrire à contact@labo.fr."} | site, "contact@labo.fr"),
        ({"description": "Écrire à contact@labo.fr."}, "contact@labo.fr"),
        ({"description": "accueil [at] labo (point) fr"} | site, "accueil@labo.fr"),
        ({"description": "contact&#64;labo.fr"} | site, "contact@labo.fr"),
        (
            {"description": '<a href="mailto:contact@labo.fr?subject=x">écrire</a>'},
            "contact@labo.fr",
        ),
        ({"description": "jean.dupont@labo.fr, puis info@labo.fr"} | site, "info@labo.fr"),
        ({"description": "contact@ville.fr puis info@labo.fr"} | site, "info@labo.fr"),
        ({"description": "info@asso.labo.fr"} | site, "info@asso.labo.fr"),
        ({"description": "info@labo.fr", "site_web": "https://fab.labo.fr"}, "info@labo.fr"),
        ({"description": "info@labo.fr", "site_web": "https://facebook.com/x"}, "info@labo.fr"),
        ({"horaires": "sur rendez-vous : contact@labo.fr"}, "contact@labo.fr"),
        ({"adresse": "3 rue Haute, contact@labo.fr"}, "contact@labo.fr"),
        ({"nom": "Labo - contact@labo.fr"}, "contact@labo.fr"),
        ({"nom": "Labo info@labo.fr", "description": "contact@labo.fr"}, "contact@labo.fr"),
        ({"courriel": "labo@gmail.com", "description": "contact@labo.fr"}, "contact@labo.fr"),
        ({"courriel": "info@labo.fr", "description": "contact@labo.fr"}, "info@labo.fr"),
        ({"site_web": "contact@labo.fr"}, "contact@labo.fr"),
        ({"site_web": "boite@labo.fr"}, None),
        ({"site_web": "https://contact:x@labo.fr/"}, None),
        ({"description": "contact@ville.fr"} | site, None),
        ({"description": "contact@gmail.com"}, None),
        ({"description": "contact@yahoo.co.uk"}, None),
        ({"description": "jean.dupont@labo.fr"} | site, None),
        ({"description": "contact.dupont@labo.fr"} | site, None),
        ({"description": "dupont.contact@labo.fr"} | site, None),
        ({"description": "contact@xlabo.fr"} | site, None),
        ({"nom": "Jean Dupont", "description": "contact@labo.fr"}, None),
    ]
    result = clean(*(row for row, _ in cases))
    fiches = {f["cle_source"]: f for f in result.fiches.to_pylist()}
    assert [(row, fiches[str(n)]["courriel"]) for n, (row, _) in enumerate(cases)] == cases
    assert [f["resume"] for f in fiches.values() if "@" in (f["resume"] or "")] == []
    taken = [
        row["valeur_source"]
        for row in result.transformations.to_pylist()
        if (row["champ"], row["regle"]) == ("courriel", "tire_du_texte")
    ]
    assert len(taken) == 16


def test_only_web_addresses_without_secrets_are_published():
    cases = [
        ("https://labo.fr/a?id=2", "https://labo.fr/a?id=2"),
        ("www.Labo.fr", "https://www.labo.fr"),
        ("HTTP://Labo.FR/Page", "http://labo.fr/Page"),
        ("http://jean:secret@labo.fr/", "http://labo.fr/"),
        ("https://labo.fr/?utm_source=x&id=2&fbclid=y", "https://labo.fr/?id=2"),
        ("https://facebook.com/labo;https://labo.fr", "https://labo.fr"),
        ("https://www.facebook.com/labo", "https://www.facebook.com/labo"),
        ("http://http://labo.fr", "http://labo.fr"),
        ("https://mastodon.social/@labo", "https://mastodon.social/@labo"),
        ("javascript:alert(1)", None),
        ("&#106;avascript:alert(1)", None),
        ("data:text/html,x", None),
        ("mailto:jean@labo.fr", None),
        ("http://", None),
        ("NULL", None),
        ("/relative", None),
        ("http://127.0.0.1/", None),
        ("http://localhost:8000/x", None),
        ("https://labo.fr/" + "a" * 10_000, None),
        ("https://labo.fr/?email=jean@labo.fr", "https://labo.fr/"),
        ("https://labo.fr/jean%40labo.fr", None),
    ]
    assert read("site_web", "site_web", cases) == cases


def test_damaged_web_addresses_are_mended():
    cases = [
        ("labo.fr/page", "https://labo.fr/page"),
        ("//labo.fr/x", "https://labo.fr/x"),
        ("https//labo.fr", "https://labo.fr"),
        ("http:labo.fr", "http://labo.fr"),
        ("http:/labo.fr", "http://labo.fr"),
        ("http\\c//labo.fr", "http://labo.fr"),
        ("https\\c//labo.fr/a", "https://labo.fr/a"),
        ("http\\://labo.fr", "http://labo.fr"),
        ("http;//labo.fr", "http://labo.fr"),
        ("htpp://labo.fr", "http://labo.fr"),
        ("ttps://labo.fr", "https://labo.fr"),
        ("http:// labo.fr", "http://labo.fr"),
        ("http://https://labo.fr", "https://labo.fr"),
        ("http://www.http://labo.fr", "http://labo.fr"),
        ("  https://labo.fr \n", "https://labo.fr"),
        ("https://labo.fr/\u200b", "https://labo.fr/"),
        ("https://labo.fr./", "https://labo.fr/"),
        ("labo.fr.", "https://labo.fr"),
        ("HTTPS://LABO.FR/Page", "https://labo.fr/Page"),
        ("https://labo.fr:443/x", "https://labo.fr/x"),
        ("https://labo.fr:8080/x", "https://labo.fr:8080/x"),
        ("https://café.fr/", "https://xn--caf-dma.fr/"),
        ("https://labo.fr/?a=1&amp;b=2", "https://labo.fr/?a=1&b=2"),
        ("https://labo.fr/?a=1&amp;amp;b=2", "https://labo.fr/?a=1&b=2"),
        ("https://labo.fr/;jsessionid=12AB", "https://labo.fr/"),
        ("https://labo.fr/?a=1;b=2", "https://labo.fr/?a=1;b=2"),
        ("(https://labo.fr)", "https://labo.fr"),
        ("https://fr.wikipedia.org/wiki/Labo_(lieu)", "https://fr.wikipedia.org/wiki/Labo_(lieu)"),
        ("[Site](https://labo.fr)", "https://labo.fr"),
        ('<a href="https://labo.fr">site</a>', "https://labo.fr"),
        ("Site : https://labo.fr", "https://labo.fr"),
    ]
    assert read("site_web", "site_web", cases) == cases
    assert read("url", "url", cases) == cases


def test_tracking_and_credentials_are_taken_out():
    cases = [
        ("https://labo.fr/?utm_source=x&utm_campaign=y", "https://labo.fr/"),
        ("https://labo.fr/?gclid=1#plan", "https://labo.fr/#plan"),
        ("https://labo.fr/?fbclid=1&page=2", "https://labo.fr/?page=2"),
        ("https://labo.fr/?token=abc&id=2", "https://labo.fr/?id=2"),
        ("https://jean@labo.fr/", "https://labo.fr/"),
        ("https://jean:secret@labo.fr/", "https://labo.fr/"),
    ]
    assert read("site_web", "site_web", cases) == cases


def test_the_own_site_is_preferred_in_a_list():
    cases = [
        ("https://labo.fr;https://autre.fr", "https://labo.fr"),
        ("labo.fr;autre.fr", "https://labo.fr"),
        ("https://labo.fr ; NULL", "https://labo.fr"),
        ("NULL;https://labo.fr", "https://labo.fr"),
        ("https://labo.fr,https://autre.fr", "https://labo.fr"),
        ("https://labo.fr|https://autre.fr", "https://labo.fr"),
        ("https://labo.frhttps://labo.fr", "https://labo.fr"),
        ("https://www.facebook.com/labo labo.fr", "https://labo.fr"),
        ("https://m.facebook.com/labo;https://labo.fr", "https://labo.fr"),
        ("https://twitter.com/a;https://facebook.com/labo", "https://twitter.com/a"),
        ("facebook.com/labo", "https://facebook.com/labo"),
        ("voir www.labo.fr ou facebook", "https://www.labo.fr"),
    ]
    assert read("site_web", "site_web", cases) == cases


def test_what_is_not_a_site_is_refused_with_its_reason():
    cases = {
        "@labo": "hote_invalide",
        "@labo.fr": "hote_invalide",
        "fablabnantes": "hote_invalide",
        "FabLab Nantes": "hote_invalide",
        "facebook : labo": "hote_invalide",
        "facebook/labo": "hote_invalide",
        "Jean.Dupont": "hote_invalide",
        "index.php": "hote_invalide",
        "contact@labo.fr": "hote_invalide",
        "http://labo": "hote_invalide",
        "http://labo.local": "hote_invalide",
        "https://www.labo": "hote_invalide",
        "https://labo..fr": "hote_invalide",
        "http://192.168.1.1": "hote_invalide",
        "http://[::1]/": "hote_invalide",
        "https://labo.fr:99999/": "adresse_illisible",
        "/a/b": "adresse_relative",
        "../a": "adresse_relative",
        "?p=1": "adresse_relative",
        "mailto:contact@labo.fr": "schema_refuse",
        "tel:+33240123456": "schema_refuse",
        "ftp://labo.fr": "schema_refuse",
        "JaVaScRiPt:alert(1)": "schema_refuse",
        "data:text/html,x": "schema_refuse",
        "06 41 72 83 95": "donnee_personnelle_dans_adresse",
        "https://labo.fr/" + "a" * 10_000: "adresse_trop_longue",
    }
    for column in ("site_web", "url"):
        rows = [{column: written} for written in cases]
        assert rules_of_each(*rows) == [{(column, rule)} for rule in cases.values()]
    empty = ("NULL", "http://", "https://www.", "néant", "Aucun", "-", "n/a", " ", "Pas de site")
    assert rules_of_each(*({"site_web": written} for written in empty)) == [set()] * len(empty)


def test_a_hostile_web_address_is_read_in_bounded_time():
    texts = ("http" + " " * 100_000, "a" * 100_000, "(" * 100_000, "&amp;" * 20_000, "h;" * 50_000)
    rows = [{"site_web": text} for text in texts]
    assert [fiche["site_web"] for fiche in clean(*rows).fiches.to_pylist()] == [None] * len(texts)


def test_the_landline_of_a_person_is_not_published():
    fiche = one(nom="Mme Martin", telephone="02 98 00 12 34")
    assert fiche["telephone"] is None
    assert ("telephone", "telephone_de_personne_possible") in rules(
        nom="Mme Martin", telephone="02 98 00 12 34"
    )


def test_a_private_character_does_not_hide_a_number():
    fiche = one(description="Appelez le 06\ue0004172 11 22 pour venir")
    assert "4172" not in fiche["resume"]
