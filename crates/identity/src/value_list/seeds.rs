//! The lists that come with the product.

use super::{Item, Titles};

/// A list for every tenant.
pub(super) struct Seed {
    pub(super) name: &'static str,
    pub(super) titles: Titles,
    pub(super) items: Vec<Item>,
}

/// A title in English, French and Arabic.
type Title = (&'static str, &'static str, &'static str);
/// A list's name, its title, and its values.
type Row = (&'static str, Title, &'static [(&'static str, Title)]);

fn titles((en, fr, ar): Title) -> Titles {
    Titles::from([("en", en), ("fr", fr), ("ar", ar)].map(|(tag, title)| (tag.to_owned(), title.to_owned())))
}

/// All of them.
pub(super) fn lists() -> Vec<Seed> {
    let item = |(code, title): &(&str, Title)| Item {
        code: (*code).to_owned(),
        titles: titles(*title),
        active: true,
        system: true,
    };
    let seed = |(name, title, items): &Row| Seed {
        name,
        titles: titles(*title),
        items: items.iter().map(item).collect(),
    };
    LISTS.iter().map(seed).collect()
}

const LISTS: &[Row] = &[
    (
        "security_closing",
        (
            "Why a security event is closed",
            "Motif de clôture d’un événement de sécurité",
            "سبب إغلاق حدث أمني",
        ),
        &[
            ("resolved", ("Dealt with", "Traité", "تمت المعالجة")),
            ("false_alarm", ("False alarm", "Fausse alerte", "إنذار خاطئ")),
            ("expected", ("Was expected", "Était prévu", "كان متوقعًا")),
            ("test", ("A test", "Un test", "اختبار")),
            ("duplicate", ("Same as another", "Doublon", "مكرر")),
        ],
    ),
    (
        "tenant_suspension",
        ("Why a tenant is suspended", "Motif de suspension d’un client", "سبب تعليق العميل"),
        &[
            ("unpaid", ("Bills are not paid", "Factures impayées", "فواتير غير مدفوعة")),
            ("abuse", ("Abuse of the service", "Abus du service", "إساءة استخدام الخدمة")),
            ("fraud", ("Suspected fraud", "Soupçon de fraude", "اشتباه في احتيال")),
            ("contract_ended", ("The contract has ended", "Fin du contrat", "انتهاء العقد")),
            ("requested", ("The tenant asked for it", "À la demande du client", "بطلب من العميل")),
            ("maintenance", ("Maintenance", "Maintenance", "صيانة")),
        ],
    ),
    (
        "blacklist_reason",
        ("Why somebody is on the blacklist", "Motif de mise en liste noire", "سبب الإدراج في القائمة السوداء"),
        &[
            ("complaint", ("Complaint", "Plainte", "شكوى")),
            ("fraud", ("Fraud", "Fraude", "احتيال")),
            ("spam", ("Spam", "Spam", "رسائل مزعجة")),
            ("wrong_number", ("Wrong number", "Mauvais numéro", "رقم خاطئ")),
            ("authority", ("Order of an authority", "Décision d’une autorité", "أمر من سلطة مختصة")),
            ("requested", ("Own wish", "Souhait de la personne", "رغبة الشخص")),
        ],
    ),
    (
        "opt_out_reason",
        ("Why somebody opted out", "Motif de désabonnement", "سبب إلغاء الاشتراك"),
        &[
            ("requested", ("Asked for it", "À sa demande", "بطلب منه")),
            ("complaint", ("Complaint", "Plainte", "شكوى")),
            ("too_many", ("Too many messages", "Trop de messages", "رسائل كثيرة")),
            ("not_relevant", ("Not of interest", "Sans intérêt", "غير مهم")),
            ("wrong_person", ("Not the person meant", "Pas la bonne personne", "ليس الشخص المقصود")),
            (
                "number_changed",
                ("The number has a new owner", "Numéro réattribué", "انتقل الرقم إلى مالك جديد"),
            ),
        ],
    ),
    (
        "refusal_reason",
        ("Why a request is refused", "Motif de refus d’une demande", "سبب رفض الطلب"),
        &[
            ("not_owner", ("Not the owner of the name", "N’est pas titulaire du nom", "ليس مالك الاسم")),
            ("documents_missing", ("Papers are missing", "Documents manquants", "مستندات ناقصة")),
            ("misleading", ("Misleading", "Trompeur", "مضلل")),
            (
                "not_permitted",
                ("Not permitted in the country", "Interdit dans le pays", "غير مسموح به في البلد"),
            ),
            ("other", ("Another reason", "Autre motif", "سبب آخر")),
        ],
    ),
    (
        "contact_title",
        ("Titles of people", "Civilités", "ألقاب الأشخاص"),
        &[
            ("mr", ("Mr", "M.", "السيد")),
            ("ms", ("Ms", "Mme", "السيدة")),
            ("dr", ("Dr", "Dr", "د.")),
            ("prof", ("Prof.", "Pr", "أ.د.")),
            ("none", ("No title", "Sans civilité", "بدون لقب")),
        ],
    ),
    (
        "disposition",
        ("How a call ended", "Issue d’un appel", "نتيجة المكالمة"),
        &[
            ("reached", ("Reached", "Joint", "تم الوصول إليه")),
            ("no_answer", ("No answer", "Sans réponse", "لا جواب")),
            ("busy", ("Busy", "Occupé", "مشغول")),
            ("voicemail", ("Voicemail", "Messagerie", "بريد صوتي")),
            ("call_back", ("Call back", "À rappeler", "معاودة الاتصال")),
            ("wrong_number", ("Wrong number", "Mauvais numéro", "رقم خاطئ")),
            ("not_interested", ("Not interested", "Pas intéressé", "غير مهتم")),
            ("do_not_call", ("Must not be called", "Ne plus appeler", "عدم الاتصال")),
        ],
    ),
    (
        "ticket_category",
        ("Categories of tickets", "Catégories de tickets", "فئات التذاكر"),
        &[
            ("question", ("Question", "Question", "سؤال")),
            ("incident", ("Fault", "Incident", "عطل")),
            ("complaint", ("Complaint", "Réclamation", "شكوى")),
            ("billing", ("Bill", "Facturation", "فوترة")),
            ("change", ("Change", "Modification", "تعديل")),
            ("other", ("Other", "Autre", "أخرى")),
        ],
    ),
    (
        "ticket_priority",
        ("Priorities of tickets", "Priorités des tickets", "أولويات التذاكر"),
        &[
            ("low", ("Low", "Basse", "منخفضة")),
            ("normal", ("Normal", "Normale", "عادية")),
            ("high", ("High", "Haute", "عالية")),
            ("urgent", ("Urgent", "Urgente", "عاجلة")),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_told_in_every_language() {
        let lists = lists();
        let values: usize = lists.iter().map(|list| list.items.len()).sum();
        assert!(values >= 35, "{values}");
        for list in lists {
            let checked = super::super::checked(list.items.clone(), &list.items).unwrap();
            assert_eq!(checked, list.items, "{}", list.name);
            assert!(list.items.iter().all(|item| item.titles.len() == 3), "{}", list.name);
        }
    }
}
