from __future__ import annotations

import pytest

from scheduler.content.locales import best_locale, normalize_locale, same_locale
from scheduler.errors import Invalid


@pytest.mark.parametrize(
    ("offered", "wanted", "best"),
    [
        ("en es_ES es_LA", "es_PE", "es_LA"),
        ("en es_ES es_419", "es_MX", "es_419"),
        ("en es_ES es_LA", "es_ES", "es_ES"),
        ("en es_MX", "es_LA", "es_MX"),
        ("en es_ES", "es_AR", "es_ES"),
        ("en no", "nb_NO", "no"),
        ("en nb_NO", "no_NO", "nb_NO"),
        ("en nb", "nn_NO", "nb"),
        ("en fil", "tl_PH", "fil"),
        ("en tl_PH", "fil_PH", "tl_PH"),
        ("en he", "iw_IL", "he"),
        ("en zh_CN", "zh_TW", None),
        ("en zh_TW", "zh_CN", None),
        ("en zh_Hant", "zh_HK", "zh_Hant"),
        ("en zh_TW zh_CN", "zh_HK", "zh_TW"),
        ("en zh_HK zh_TW", "zh_MO", "zh_HK"),
        ("en zh", "zh_SG", "zh"),
        ("en sr", "sr_Latn_RS", None),
        ("en sr_Latn", "sr_ME", "sr_Latn"),
        ("en sr_Latn", "sh_BA", "sr_Latn"),
        ("en_US en_GB", "en_AU", "en_GB"),
        ("en_US en_GB", "en_PH", "en_US"),
        ("en_GB en_US", "en_UD", "en_US"),
        ("en pt_BR pt_PT", "pt_AO", "pt_PT"),
        ("en pt_BR", "pt_PT", "pt_BR"),
        ("en ckb", "cb_IQ", "ckb"),
        ("en ceb", "cx_PH", "ceb"),
        ("en de", "fr_FR", None),
        ("en", "not a locale", None),
    ],
)
def test_a_person_gets_the_nearest_locale_in_a_script_of_theirs(offered: str, wanted: str, best: str | None) -> None:
    assert best_locale(tuple(offered.split()), wanted) == best
    assert best_locale(tuple(reversed(offered.split())), wanted) == best


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("pt-BR", "pt_BR"),
        ("EN", "en"),
        ("es_419", "es_419"),
        ("zh-hant-tw", "zh_Hant_TW"),
        ("fil", "fil"),
        ("cb_IQ", "cb_IQ"),
    ],
)
def test_locales_are_accepted_as_people_write_them(given: str, written: str) -> None:
    assert normalize_locale(given, field="x") == written


@pytest.mark.parametrize("given", ["english", "e", "en_", "en_USA", "xq_XQ", "", "12", "en US"])
def test_what_names_no_language_is_refused(given: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalize_locale(given, field="bodies.x")
    assert (refused.value.field, bool(refused.value.way_out)) == ("bodies.x", True)


def test_two_codes_may_name_one_locale() -> None:
    assert same_locale("es_LA", "es_419")
    assert same_locale("tl", "fil")
    assert same_locale("zh_TW", "zh_Hant_TW")
    assert not same_locale("es_LA", "es")
    assert not same_locale("nb", "no")
