//! What the pages of signing in say, in the language of who reads them.

use types::{Code, Error};
use web::ui::words::Words;

/// The texts in one language.
pub(crate) struct Texts {
    pub(crate) lang: &'static str,
    pub(crate) sign_in: &'static str,
    pub(crate) email: &'static str,
    pub(crate) password: &'static str,
    pub(crate) passkey: &'static str,
    pub(crate) passkey_failed: &'static str,
    pub(crate) no_way: &'static str,
    pub(crate) mail_link: &'static str,
    pub(crate) forgot: &'static str,
    pub(crate) ask_administrator: &'static str,
    pub(crate) on_the_server: &'static str,
    pub(crate) second: &'static str,
    pub(crate) second_code: &'static str,
    pub(crate) second_passkey: &'static str,
    pub(crate) code: &'static str,
    pub(crate) code_hint: &'static str,
    pub(crate) remember: &'static str,
    pub(crate) go_on: &'static str,
    pub(crate) mail_code: &'static str,
    pub(crate) code_mailed: &'static str,
    pub(crate) again_from_start: &'static str,
    pub(crate) lost: &'static str,
    pub(crate) lost_help: &'static str,
    pub(crate) enrol: &'static str,
    pub(crate) enrol_why: &'static str,
    pub(crate) enrol_scan: &'static str,
    pub(crate) enrol_type: &'static str,
    pub(crate) enrol_code: &'static str,
    pub(crate) codes: &'static str,
    pub(crate) codes_why: &'static str,
    pub(crate) codes_kept: &'static str,
    pub(crate) ask_link: &'static str,
    pub(crate) ask_reset: &'static str,
    pub(crate) ask_why: &'static str,
    pub(crate) send: &'static str,
    pub(crate) asked: &'static str,
    pub(crate) asked_text: &'static str,
    pub(crate) reset: &'static str,
    pub(crate) new_password: &'static str,
    pub(crate) repeated: &'static str,
    pub(crate) differs: &'static str,
    pub(crate) save: &'static str,
    pub(crate) reset_done: &'static str,
    pub(crate) verify: &'static str,
    pub(crate) verify_text: &'static str,
    pub(crate) verify_button: &'static str,
    pub(crate) verified: &'static str,
    pub(crate) link_text: &'static str,
    pub(crate) link_used: &'static str,
    pub(crate) link_used_text: &'static str,
    pub(crate) wrong: &'static str,
    pub(crate) wrong_help: &'static str,
    pub(crate) wait: &'static str,
    pub(crate) wait_help: &'static str,
    pub(crate) code_wrong: &'static str,
    pub(crate) expired: &'static str,
}

impl Texts {
    /// The texts for a language tag; English for one that has none.
    pub(crate) fn of(tag: &str) -> &'static Self {
        match tag.split(['-', '_']).next() {
            Some(primary) if primary.eq_ignore_ascii_case("fr") => &FRENCH,
            Some(primary) if primary.eq_ignore_ascii_case("ar") => &ARABIC,
            _ => &ENGLISH,
        }
    }

    /// The texts for who accepts these languages (RFC 9110 §12.5.4): the first of theirs that there is.
    pub(crate) fn accepted(header: &str) -> &'static Self {
        let tags = header.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
        let known =
            |tag: &&str| ["en", "fr", "ar"].iter().any(|known| tag.to_ascii_lowercase().starts_with(known));
        Self::of(tags.take(10).find(known).unwrap_or("en"))
    }

    /// The components' words in the same language.
    pub(crate) fn words(&self) -> &'static Words {
        Words::for_lang(self.lang)
    }

    /// A refusal in the same language, at its place.
    pub(crate) fn refusal(&self, error: Error) -> Error {
        let (message, hint) = match error.code() {
            Code::SignInRefused => (self.wrong, self.wrong_help),
            Code::TooManyRequests => (self.wait, self.wait_help),
            Code::CodeRefused => (self.code_wrong, self.code_hint),
            Code::SignInExpired => (self.expired, self.again_from_start),
            _ => return error,
        };
        let mut told = Error::new(error.code(), message).hint(hint);
        if let Some(place) = error.place() {
            told = told.at(place);
        }
        match error.retry_after() {
            Some(seconds) => told.retry_after_s(seconds),
            None => told,
        }
    }
}

static ENGLISH: Texts = Texts {
    lang: "en",
    sign_in: "Sign in",
    email: "E-mail address",
    password: "Password",
    passkey: "Sign in with a passkey",
    passkey_failed: "The passkey was not accepted. Try again, or sign in by another way.",
    no_way: "No password yet, or forgotten?",
    mail_link: "Mail me a sign-in link",
    forgot: "Set a new password",
    ask_administrator: "An administrator can make you a sign-in link on the Users page.",
    on_the_server: "On the server itself, this makes one:",
    second: "Second step",
    second_code: "Enter the code that your authenticator app shows, or one of your backup codes.",
    second_passkey: "Use the passkey that you have added to your account.",
    code: "Code",
    code_hint: "Codes change every 30 seconds and work once; check that the clock of your phone is right.",
    remember: "Do not ask for this on this browser again for some time",
    go_on: "Continue",
    mail_code: "Mail me a code",
    code_mailed: "A code is on its way to your mailbox. It works for 10 minutes, in this browser.",
    again_from_start: "Begin again",
    lost: "Lost your phone or key?",
    lost_help: "Use a backup code. Without one, an administrator can take your second factor away on the Users page.",
    enrol: "Add a second step",
    enrol_why: "Your role needs a second step to sign in. It takes a minute: you need an authenticator app on your phone.",
    enrol_scan: "Scan this picture with the app.",
    enrol_type: "Or type this key into it:",
    enrol_code: "Code that the app shows",
    codes: "Your backup codes",
    codes_why: "Each works once, in place of your app or passkey. Keep them where you will find them without your phone.",
    codes_kept: "I have kept them",
    ask_link: "Mail me a sign-in link",
    ask_reset: "Set a new password",
    ask_why: "Give the address that you sign in with. You get a mail with a link that works once.",
    send: "Send the mail",
    asked: "Look into your mailbox",
    asked_text: "If somebody signs in with this address, a mail is on its way to it. It takes a moment; look into the junk folder too.",
    reset: "Set a new password",
    new_password: "New password",
    repeated: "New password again",
    differs: "the two are not the same",
    save: "Save",
    reset_done: "Your new password is set. Sign in with it.",
    verify: "Is this your address?",
    verify_text: "Show that this mailbox is yours.",
    verify_button: "It is mine",
    verified: "Thank you: the address is known to be yours.",
    link_text: "This link signs you in once.",
    link_used: "This link is of no use",
    link_used_text: "It is used, expired or incomplete. Ask for a new one.",
    wrong: "The e-mail address or the password is wrong",
    wrong_help: "Check both; after repeated failures each try must wait.",
    wait: "Too many failed attempts",
    wait_help: "Wait a little and try again.",
    code_wrong: "This code is wrong, or was used before",
    expired: "This sign-in took too long, or was tried too often",
};

static FRENCH: Texts = Texts {
    lang: "fr",
    sign_in: "Se connecter",
    email: "Adresse e-mail",
    password: "Mot de passe",
    passkey: "Se connecter avec une clé d’accès",
    passkey_failed: "La clé d’accès n’a pas été acceptée. Réessayez ou connectez-vous autrement.",
    no_way: "Pas encore de mot de passe, ou oublié ?",
    mail_link: "M’envoyer un lien de connexion",
    forgot: "Choisir un nouveau mot de passe",
    ask_administrator: "Un administrateur peut vous faire un lien de connexion sur la page Users.",
    on_the_server: "Sur le serveur même, ceci en fait un :",
    second: "Deuxième étape",
    second_code: "Entrez le code de votre application d’authentification, ou un de vos codes de secours.",
    second_passkey: "Utilisez la clé d’accès que vous avez ajoutée à votre compte.",
    code: "Code",
    code_hint: "Les codes changent toutes les 30 secondes et servent une fois ; vérifiez l’heure de votre téléphone.",
    remember: "Ne plus le demander sur ce navigateur pendant quelque temps",
    go_on: "Continuer",
    mail_code: "M’envoyer un code",
    code_mailed: "Un code arrive dans votre boîte. Il sert pendant 10 minutes, dans ce navigateur.",
    again_from_start: "Recommencer",
    lost: "Téléphone ou clé perdus ?",
    lost_help: "Utilisez un code de secours. Sinon, un administrateur peut retirer votre deuxième facteur sur la page Users.",
    enrol: "Ajouter une deuxième étape",
    enrol_why: "Votre rôle demande une deuxième étape de connexion. Il faut une minute et une application d’authentification sur votre téléphone.",
    enrol_scan: "Scannez cette image avec l’application.",
    enrol_type: "Ou tapez-y cette clé :",
    enrol_code: "Code affiché par l’application",
    codes: "Vos codes de secours",
    codes_why: "Chacun sert une fois, à la place de l’application ou de la clé d’accès. Gardez-les là où vous les trouverez sans votre téléphone.",
    codes_kept: "Je les ai gardés",
    ask_link: "M’envoyer un lien de connexion",
    ask_reset: "Choisir un nouveau mot de passe",
    ask_why: "Donnez l’adresse avec laquelle vous vous connectez. Vous recevrez un lien qui sert une fois.",
    send: "Envoyer",
    asked: "Regardez votre boîte",
    asked_text: "Si quelqu’un se connecte avec cette adresse, un message est en route. Cela prend un instant ; regardez aussi les indésirables.",
    reset: "Choisir un nouveau mot de passe",
    new_password: "Nouveau mot de passe",
    repeated: "Nouveau mot de passe, encore",
    differs: "les deux ne sont pas les mêmes",
    save: "Enregistrer",
    reset_done: "Votre nouveau mot de passe est en place. Connectez-vous.",
    verify: "Cette adresse est-elle la vôtre ?",
    verify_text: "Montrez que cette boîte est la vôtre.",
    verify_button: "C’est la mienne",
    verified: "Merci : l’adresse est reconnue comme la vôtre.",
    link_text: "Ce lien vous connecte une fois.",
    link_used: "Ce lien ne sert plus",
    link_used_text: "Il est utilisé, expiré ou incomplet. Demandez-en un nouveau.",
    wrong: "L’adresse ou le mot de passe est faux",
    wrong_help: "Vérifiez les deux ; après plusieurs échecs, chaque essai doit attendre.",
    wait: "Trop d’essais manqués",
    wait_help: "Attendez un peu et réessayez.",
    code_wrong: "Ce code est faux, ou a déjà servi",
    expired: "Cette connexion a trop duré, ou a été trop essayée",
};

static ARABIC: Texts = Texts {
    lang: "ar",
    sign_in: "تسجيل الدخول",
    email: "البريد الإلكتروني",
    password: "كلمة المرور",
    passkey: "الدخول بمفتاح المرور",
    passkey_failed: "لم يُقبل مفتاح المرور. حاول مجددًا أو ادخل بطريقة أخرى.",
    no_way: "لا كلمة مرور بعد، أو نسيتها؟",
    mail_link: "أرسل إليّ رابط دخول",
    forgot: "تعيين كلمة مرور جديدة",
    ask_administrator: "يمكن لمسؤول أن ينشئ لك رابط دخول في صفحة Users.",
    on_the_server: "على الخادم نفسه، ينشئ هذا الأمر واحدًا:",
    second: "الخطوة الثانية",
    second_code: "أدخل الرمز الذي يعرضه تطبيق المصادقة، أو أحد رموزك الاحتياطية.",
    second_passkey: "استخدم مفتاح المرور الذي أضفته إلى حسابك.",
    code: "الرمز",
    code_hint: "تتغير الرموز كل 30 ثانية ويعمل كل منها مرة واحدة؛ تأكد من صحة ساعة هاتفك.",
    remember: "لا تسأل عن هذا في هذا المتصفح لبعض الوقت",
    go_on: "متابعة",
    mail_code: "أرسل إليّ رمزًا",
    code_mailed: "الرمز في طريقه إلى بريدك. يعمل 10 دقائق في هذا المتصفح.",
    again_from_start: "ابدأ من جديد",
    lost: "فقدت هاتفك أو مفتاحك؟",
    lost_help: "استخدم رمزًا احتياطيًا. وإن لم يكن لديك، فيمكن لمسؤول إزالة عاملك الثاني من صفحة Users.",
    enrol: "إضافة خطوة ثانية",
    enrol_why: "يتطلب دورك خطوة ثانية للدخول. يستغرق ذلك دقيقة وتحتاج إلى تطبيق مصادقة على هاتفك.",
    enrol_scan: "امسح هذه الصورة بالتطبيق.",
    enrol_type: "أو اكتب فيه هذا المفتاح:",
    enrol_code: "الرمز الذي يعرضه التطبيق",
    codes: "رموزك الاحتياطية",
    codes_why: "يعمل كل منها مرة واحدة بدل التطبيق أو مفتاح المرور. احفظها حيث تجدها من دون هاتفك.",
    codes_kept: "لقد حفظتها",
    ask_link: "أرسل إليّ رابط دخول",
    ask_reset: "تعيين كلمة مرور جديدة",
    ask_why: "اكتب البريد الذي تدخل به. ستصلك رسالة فيها رابط يعمل مرة واحدة.",
    send: "إرسال الرسالة",
    asked: "انظر في بريدك",
    asked_text: "إن كان أحد يدخل بهذا البريد فالرسالة في طريقها إليه. يستغرق ذلك لحظات؛ انظر في البريد غير المرغوب أيضًا.",
    reset: "تعيين كلمة مرور جديدة",
    new_password: "كلمة المرور الجديدة",
    repeated: "كلمة المرور الجديدة مرة أخرى",
    differs: "الاثنتان غير متطابقتين",
    save: "حفظ",
    reset_done: "تم تعيين كلمة مرورك الجديدة. سجّل الدخول بها.",
    verify: "هل هذا بريدك؟",
    verify_text: "أكّد أن صندوق البريد هذا لك.",
    verify_button: "إنه لي",
    verified: "شكرًا: صار معروفًا أن البريد لك.",
    link_text: "يسجّل هذا الرابط دخولك مرة واحدة.",
    link_used: "لا فائدة من هذا الرابط",
    link_used_text: "إنه مستخدم أو منتهٍ أو ناقص. اطلب رابطًا جديدًا.",
    wrong: "البريد أو كلمة المرور غير صحيحين",
    wrong_help: "تحقق منهما؛ بعد إخفاقات متكررة على كل محاولة أن تنتظر.",
    wait: "محاولات فاشلة كثيرة",
    wait_help: "انتظر قليلًا وحاول مجددًا.",
    code_wrong: "هذا الرمز خاطئ أو استُخدم من قبل",
    expired: "استغرق هذا الدخول وقتًا طويلًا أو كثرت محاولاته",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_there_is_decides() {
        for (header, lang) in [
            ("de-DE, fr;q=0.8, en;q=0.5", "fr"),
            ("ar-TN", "ar"),
            ("de", "en"),
            ("", "en"),
            ("EN-us,fr", "en"),
        ] {
            assert_eq!(Texts::accepted(header).lang, lang, "{header}");
        }
    }
}
