//! The words by which phones opt out, opt in and ask for help, by language.
//!
//! A word counts when it is the whole text. English and a phone's own languages, by its country, hold for it; the words for
//! stopping that mean nothing else hold wherever the phone is from, because whoever travels or has moved must be heard too.

use serde::{Deserialize, Serialize};

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = InboundMeaning)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// Who is this, and how do I stop it?
    Help,
}

impl Meaning {
    /// The word that people know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Start => "START",
            Self::Help => "HELP",
        }
    }
}

/// One language's words, folded: see [`fold`](super::fold::fold).
#[derive(Debug)]
pub struct Language {
    /// ISO 639-1.
    pub code: &'static str,
    /// Where it is spoken, ISO 3166-1 alpha-2; empty for everywhere.
    pub countries: &'static [&'static str],
    /// Stops, whatever the phone's country.
    pub stop: &'static [&'static str],
    /// Stops in its own countries alone: elsewhere it is a word of another meaning.
    pub stop_at_home: &'static [&'static str],
    /// Starts again.
    pub start: &'static [&'static str],
    /// Asks for help.
    pub help: &'static [&'static str],
}

const ARAB: &[&str] = &[
    "AE", "BH", "DJ", "DZ", "EG", "IQ", "JO", "KM", "KW", "LB", "LY", "MA", "MR", "OM", "PS", "QA", "SA",
    "SD", "SO", "SY", "TD", "TN", "YE",
];
const FRENCH: &[&str] = &[
    "BE", "BF", "BI", "BJ", "CA", "CD", "CF", "CG", "CH", "CI", "CM", "DJ", "DZ", "FR", "GA", "GF", "GN",
    "GP", "HT", "KM", "LU", "MA", "MC", "MG", "ML", "MQ", "MR", "NC", "NE", "PF", "PM", "RE", "RW", "SC",
    "SN", "TD", "TG", "TN", "VU", "WF", "YT",
];
const SPANISH: &[&str] = &[
    "AR", "BO", "CL", "CO", "CR", "CU", "DO", "EC", "ES", "GQ", "GT", "HN", "MX", "NI", "PA", "PE", "PR",
    "PY", "SV", "US", "UY", "VE",
];
const PORTUGUESE: &[&str] = &["AO", "BR", "CV", "GW", "MO", "MZ", "PT", "ST", "TL"];
const RUSSIAN: &[&str] =
    &["AM", "AZ", "BY", "EE", "GE", "KG", "KZ", "LT", "LV", "MD", "RU", "TJ", "TM", "UA", "UZ"];

/// The table. English is the first.
pub const LANGUAGES: &[Language] = &[
    Language {
        code: "en",
        countries: &[],
        stop: &[
            "stop",
            "stopall",
            "stop all",
            "unsubscribe",
            "cancel",
            "end",
            "quit",
            "optout",
            "opt out",
            "revoke",
        ],
        stop_at_home: &[],
        start: &["start", "unstop", "subscribe", "optin", "opt in"],
        help: &["help", "info"],
    },
    Language {
        code: "fr",
        countries: FRENCH,
        stop: &["arret", "arreter", "stop sms", "desabonner", "desabonnement", "desinscrire"],
        stop_at_home: &["fin", "annuler"],
        start: &["debut", "reprise", "abonner"],
        help: &["aide"],
    },
    Language {
        code: "de",
        countries: &["AT", "BE", "CH", "DE", "IT", "LI", "LU"],
        stop: &["stopp", "abmelden", "abbestellen", "austragen", "kundigen"],
        stop_at_home: &["ende"],
        start: &["anmelden"],
        help: &["hilfe"],
    },
    Language {
        code: "es",
        countries: SPANISH,
        stop: &["baja", "parar", "alto", "cancelar", "desuscribir"],
        stop_at_home: &["fin"],
        start: &["alta", "empezar", "iniciar"],
        help: &["ayuda"],
    },
    Language {
        code: "pt",
        countries: PORTUGUESE,
        stop: &["parar", "pare", "cancelar", "sair", "descadastrar"],
        stop_at_home: &["fim"],
        start: &["iniciar", "comecar", "voltar"],
        help: &["ajuda"],
    },
    Language {
        code: "it",
        countries: &["CH", "IT", "SM", "VA"],
        stop: &["annulla", "cancella", "disiscrivi", "ferma"],
        stop_at_home: &["fine", "basta"],
        start: &["inizia", "riattiva"],
        help: &["aiuto"],
    },
    Language {
        code: "nl",
        countries: &["AW", "BE", "CW", "NL", "SR"],
        stop: &["afmelden", "uitschrijven", "opzeggen"],
        stop_at_home: &["stoppen", "einde"],
        start: &["aanmelden"],
        help: &["hulp"],
    },
    Language {
        code: "pl",
        countries: &["PL"],
        stop: &["wypisz", "rezygnuje", "anuluj", "zatrzymaj"],
        stop_at_home: &["koniec"],
        start: &["zapisz"],
        help: &["pomoc"],
    },
    Language {
        code: "tr",
        countries: &["CY", "TR"],
        stop: &["iptal", "durdur"],
        stop_at_home: &["ret", "dur", "cikis"],
        start: &["basla"],
        help: &["yardim"],
    },
    Language {
        code: "ru",
        countries: RUSSIAN,
        stop: &["стоп", "отписаться", "отписка", "отмена"],
        stop_at_home: &["нет"],
        start: &["старт", "подписаться"],
        help: &["помощь", "инфо"],
    },
    Language {
        code: "uk",
        countries: &["UA"],
        stop: &["стоп", "відписатися", "скасувати"],
        stop_at_home: &[],
        start: &["старт", "підписатися"],
        help: &["допомога"],
    },
    Language {
        code: "ar",
        countries: ARAB,
        stop: &["ايقاف", "توقف", "الغاء", "قف", "اوقف"],
        stop_at_home: &[],
        start: &["ابدا", "بدء", "اشتراك"],
        help: &["مساعده"],
    },
    Language {
        code: "he",
        countries: &["IL"],
        stop: &["הסר", "הסרה", "הפסק"],
        stop_at_home: &[],
        start: &["התחל"],
        help: &["עזרה"],
    },
    Language {
        code: "el",
        countries: &["CY", "GR"],
        stop: &["διακοπη", "διαγραφη"],
        stop_at_home: &[],
        start: &["εναρξη"],
        help: &["βοηθεια"],
    },
    Language {
        code: "ro",
        countries: &["MD", "RO"],
        stop: &["dezabonare", "anulare", "opreste"],
        stop_at_home: &[],
        start: &["abonare"],
        help: &["ajutor"],
    },
    Language {
        code: "sv",
        countries: &["FI", "SE"],
        stop: &["avsluta", "avregistrera", "stoppa"],
        stop_at_home: &["sluta"],
        start: &["starta"],
        help: &["hjalp"],
    },
    Language {
        code: "da",
        countries: &["DK", "FO", "GL"],
        stop: &["afmeld", "frameld"],
        stop_at_home: &["slut"],
        start: &["tilmeld"],
        help: &["hjaelp"],
    },
    Language {
        code: "nb",
        countries: &["NO"],
        stop: &["stopp", "avmeld", "avslutt"],
        stop_at_home: &["slutt"],
        start: &["pamelding"],
        help: &["hjelp"],
    },
    Language {
        code: "fi",
        countries: &["FI"],
        stop: &["lopeta", "peruuta"],
        stop_at_home: &["seis"],
        start: &["aloita"],
        help: &["apua", "ohje"],
    },
    Language {
        code: "hi",
        countries: &["IN"],
        stop: &["रोकें", "बंद"],
        stop_at_home: &["band", "roko"],
        start: &["शुरू"],
        help: &["मदद"],
    },
    Language {
        code: "id",
        countries: &["ID", "MY"],
        stop: &["berhenti", "unreg"],
        stop_at_home: &["batal"],
        start: &["mulai", "reg"],
        help: &["bantuan"],
    },
    Language {
        code: "zh",
        countries: &["CN", "HK", "MO", "SG", "TW"],
        stop: &["退订", "退訂", "取消"],
        stop_at_home: &["td", "t", "停止"],
        start: &["订阅", "訂閱"],
        help: &["帮助", "幫助"],
    },
    Language {
        code: "ja",
        countries: &["JP"],
        stop: &["停止", "配信停止", "解除"],
        stop_at_home: &[],
        start: &["開始", "再開"],
        help: &["ヘルプ"],
    },
];

/// What a folded text means to a phone of this country, and in which language.
pub fn meaning(folded: &str, country: Option<&str>) -> Option<(Meaning, &'static str)> {
    if folded.is_empty() || folded.len() > WORD_OCTETS_MAX {
        return None;
    }
    let at_home = |language: &&Language| {
        language.countries.is_empty() || country.is_some_and(|country| language.countries.contains(&country))
    };
    let holds = |words: &[&str]| words.contains(&folded);
    let home = LANGUAGES.iter().filter(at_home);
    let stop_at_home = home.clone().find(|language| holds(language.stop) || holds(language.stop_at_home));
    let stop = stop_at_home.or_else(|| LANGUAGES.iter().find(|language| holds(language.stop)));
    if let Some(language) = stop {
        return Some((Meaning::Stop, language.code));
    }
    if let Some(language) = home.clone().find(|language| holds(language.start)) {
        return Some((Meaning::Start, language.code));
    }
    home.clone().find(|language| holds(language.help)).map(|language| (Meaning::Help, language.code))
}

/// Longer than any word of the table.
const WORD_OCTETS_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::super::fold::fold;
    use super::*;

    #[test]
    fn the_table_is_folded_and_its_countries_are_countries() {
        assert!(LANGUAGES.len() >= 12);
        for language in LANGUAGES {
            let words = [language.stop, language.stop_at_home, language.start, language.help];
            for word in words.into_iter().flatten() {
                assert_eq!(&fold(word), word, "{}", language.code);
                assert!(word.len() <= WORD_OCTETS_MAX);
            }
            for country in language.countries {
                assert!(sms::country::is_country(country), "{} {country}", language.code);
            }
            // What stops in one place must not start or help in another.
            for other in LANGUAGES {
                assert!(
                    language
                        .stop
                        .iter()
                        .all(|word| !other.start.contains(word) && !other.help.contains(word)),
                    "{} {}",
                    language.code,
                    other.code
                );
            }
        }
    }

    #[test]
    fn words_are_known_in_their_languages() {
        for (text, country, expected) in [
            ("STOP", None, Some((Meaning::Stop, "en"))),
            ("Stop All!", Some("FR"), Some((Meaning::Stop, "en"))),
            ("ARRÊT", Some("FR"), Some((Meaning::Stop, "fr"))),
            // Abroad as well: the word has no other meaning.
            ("abmelden", Some("FR"), Some((Meaning::Stop, "de"))),
            ("Stopp", Some("NO"), Some((Meaning::Stop, "nb"))),
            ("BAJA", Some("MX"), Some((Meaning::Stop, "es"))),
            ("annulla", Some("IT"), Some((Meaning::Stop, "it"))),
            ("СТОП", Some("RU"), Some((Meaning::Stop, "ru"))),
            ("إيقاف", Some("MA"), Some((Meaning::Stop, "ar"))),
            ("توقف", Some("EG"), Some((Meaning::Stop, "ar"))),
            ("إلغاء", Some("SA"), Some((Meaning::Stop, "ar"))),
            // A word of its own countries alone.
            ("nein", Some("DE"), None),
            ("fine", Some("IT"), Some((Meaning::Stop, "it"))),
            ("fine", Some("GB"), None),
            ("start", Some("DE"), Some((Meaning::Start, "en"))),
            ("старт", Some("KZ"), Some((Meaning::Start, "ru"))),
            ("Aide", Some("SN"), Some((Meaning::Help, "fr"))),
            ("aide", Some("GB"), None),
            ("please stop it", Some("GB"), None),
            ("", None, None),
        ] {
            assert_eq!(meaning(&fold(text), country), expected, "{text:?} from {country:?}");
        }
    }
}
