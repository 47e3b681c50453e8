from .support import clean, one, read, rules


def test_damaged_text_is_repaired_and_sound_text_is_kept():
    cases = [
        ("Le Konk Ar Lab", "Le Konk Ar Lab"),
        ("L&#039;Établi &amp; co", "L'Établi & co"),
        ("L&amp;#039;Établi", "L'Établi"),
        ("<b>Fab</b>Lab", "FabLab"),
        ("&lt;script&gt;alert(1)&lt;/script&gt; Lab", "Lab"),
        ("<scr\u200bipt>x</script>Lab", "Lab"),
        ("Atelier <3 vélos", "Atelier <3 vélos"),
        ("AllÃ©e verte", "Allée verte"),
        ("Ã‰cole dâ€™art", "École d’art"),
        ("E\u0301tabli", "Établi"),
        ("L\u202eabo\u200b 3\u00a0D\x00", "Labo 3 D"),
        ("  deux\tmots \n lignes ", "deux mots lignes"),
        ("Coh@bit", "Coh@bit"),
        ("TechF@ctory", "TechF@ctory"),
        ("ÂGE D'OR", "ÂGE D'OR"),
        ("PÃ©pite &eacute;toile", "Pépite étoile"),
    ]
    assert read("nom", "nom", cases) == cases


def test_the_source_spelling_and_the_rules_are_kept():
    result = clean({"nom": "L&#039;Établi  <i>bis</i>"})
    assert [r for r in result.transformations.to_pylist() if r["champ"] == "nom"] == [
        {
            "source_id": "essai",
            "cle_source": "0",
            "champ": "nom",
            "valeur_source": "L&#039;Établi  <i>bis</i>",
            "regle": "entites_decodees+balises_retirees+espaces",
        }
    ]


def test_a_description_becomes_a_short_line_cut_at_a_word():
    description = "<p>Un atelier</p>\n<p>" + "pour réparer, " * 40 + "</p>"
    resume = one(description=description)["resume"]
    assert resume.startswith("Un atelier pour réparer, pour")
    assert len(resume) <= 300
    assert resume.endswith(("réparer…", "pour…"))


def test_other_names_are_unique_and_are_not_the_name():
    fiche = one(nom="Le Labo", noms_alternatifs=["LE LABO", "Labo 3D", "labo 3d", " "])
    assert fiche["noms_alternatifs"] == ["Labo 3D"]


def test_lost_characters_are_told_and_the_text_kept():
    row = {"nom": "Caf\ufffd des Communs", "description": "Un lieu ouvert"}
    assert one(**row)["nom"] == "Caf\ufffd des Communs"
    assert rules(**row) == {("nom", "caracteres_perdus")}
