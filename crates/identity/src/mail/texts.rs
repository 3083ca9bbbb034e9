//! What mails to people say, in their language.

mod account;

pub(crate) use account::Account;

/// A mail's subject matter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Letter<'a> {
    /// A link that sets a new password.
    Reset { url: &'a str, minutes: u32 },
    /// A link that signs in.
    Link { url: &'a str, minutes: u32 },
    /// A link that shows that the mailbox is one's own.
    Verify { url: &'a str, minutes: u32 },
    /// A code in place of the second factor.
    Code { code: &'a str, minutes: u32 },
    /// Somebody signed in from a browser that was not known.
    NewDevice { agent: &'a str, from: &'a str, at: &'a str },
    /// The password was changed.
    PasswordChanged { from: &'a str, at: &'a str },
    /// A second factor was added or removed.
    FactorChanged { what: &'a str, from: &'a str, at: &'a str },
    /// An account begins, moves to another address, or is used by somebody else.
    Account(Account<'a>),
    /// Somebody guesses.
    LockedOut { from: &'a str, at: &'a str },
    /// Something was noticed that looks like an attack or a misuse; for whoever answers for it.
    SecurityEvent {
        title: &'a str,
        severity: &'a str,
        subject: &'a str,
        detail: &'a str,
        at: &'a str,
        url: &'a str,
    },
    /// A review of who may do what waits.
    ReviewDue { quarter: &'a str, lines: i64, url: &'a str },
}

impl Letter<'_> {
    /// Subject and text in a language; English for one that has no text.
    pub(crate) fn written(&self, language: &str, console: &str, whose: &str) -> (String, String) {
        let (subject, body) = match language {
            "fr" => self.french(),
            "ar" => self.arabic(),
            _ => self.english(),
        };
        let alarm = match (language, self) {
            (
                _,
                Self::Reset { .. }
                | Self::Link { .. }
                | Self::Verify { .. }
                | Self::Account(_)
                | Self::SecurityEvent { .. }
                | Self::ReviewDue { .. },
            ) => String::new(),
            ("fr", _) => format!(
                "Si ce n’était pas vous, connectez-vous et changez votre mot de passe :\n{console}/account/security\n"
            ),
            ("ar", _) => format!(
                "إذا لم تكن أنت من فعل ذلك، فسجّل الدخول وغيّر كلمة المرور:\n{console}/account/security\n"
            ),
            _ => format!(
                "If this was not you, sign in and change your password:\n{console}/account/security\n"
            ),
        };
        let gap = if alarm.is_empty() { "" } else { "\n" };
        (subject, format!("{body}{gap}{alarm}\n-- \n{whose}, {console}\n"))
    }

    fn english(&self) -> (String, String) {
        match self {
            Self::Reset { url, minutes } => (
                "Set a new password".to_owned(),
                format!(
                    "Somebody, perhaps you, asked to set a new password for your account.\nThis address does it once, within {minutes} minutes:\n\n{url}\n\nIf it was not you, there is nothing to do: your password stays as it is.\n"
                ),
            ),
            Self::Link { url, minutes } => (
                "Your sign-in link".to_owned(),
                format!(
                    "This address signs you in once, within {minutes} minutes:\n\n{url}\n\nIf you did not ask for it, do not use it and do not hand it on.\n"
                ),
            ),
            Self::Verify { url, minutes } => (
                "Is this your address?".to_owned(),
                format!(
                    "Open this address within {minutes} minutes to show that the mailbox is yours:\n\n{url}\n\nIf you have no account here, there is nothing to do.\n"
                ),
            ),
            Self::Code { code, minutes } => (
                format!("{code} is your code"),
                format!(
                    "Your code to sign in is {code}.\nIt works once, within {minutes} minutes, in the browser where you began to sign in.\nNobody of ours will ever ask you for it.\n"
                ),
            ),
            Self::NewDevice { agent, from, at } => (
                "New browser signed in".to_owned(),
                format!(
                    "A browser that we had not seen before signed in to your account.\n\nWhen: {at}\nFrom: {from}\nBrowser: {agent}\n"
                ),
            ),
            Self::PasswordChanged { from, at } => (
                "Your password was changed".to_owned(),
                format!(
                    "The password of your account was changed, and your other browsers were signed out.\n\nWhen: {at}\nFrom: {from}\n"
                ),
            ),
            Self::FactorChanged { what, from, at } => (
                "How you sign in was changed".to_owned(),
                format!(
                    "The second step of signing in to your account was changed: {what}.\n\nWhen: {at}\nFrom: {from}\n"
                ),
            ),
            Self::SecurityEvent { title, severity, subject, detail, at, url } => (
                format!("Security event, {severity}: {title}"),
                format!(
                    "{title}\n\nAbout: {subject}\nSeen: {detail}\nWhen: {at}\n\nRead it, take it up or close it here:\n{url}\n"
                ),
            ),
            Self::ReviewDue { quarter, lines, url } => (
                format!("Review of rights, {quarter}"),
                format!(
                    "It is time to look at who may do what: {lines} users, keys and grants wait for a decision, to keep or to revoke.\n\n{url}\n"
                ),
            ),
            Self::Account(letter) => letter.english(),
            Self::LockedOut { from, at } => (
                "Somebody tries to guess your password".to_owned(),
                format!(
                    "Many sign-ins to your account failed in a row; each further one must wait.\n\nWhen: {at}\nLast from: {from}\n"
                ),
            ),
        }
    }

    fn french(&self) -> (String, String) {
        match self {
            Self::Reset { url, minutes } => (
                "Choisir un nouveau mot de passe".to_owned(),
                format!(
                    "Quelqu’un, peut-être vous, a demandé un nouveau mot de passe pour votre compte.\nCette adresse le permet une fois, pendant {minutes} minutes :\n\n{url}\n\nSi ce n’était pas vous, il n’y a rien à faire : votre mot de passe reste le même.\n"
                ),
            ),
            Self::Link { url, minutes } => (
                "Votre lien de connexion".to_owned(),
                format!(
                    "Cette adresse vous connecte une fois, pendant {minutes} minutes :\n\n{url}\n\nSi vous ne l’avez pas demandée, ne l’utilisez pas et ne la transmettez pas.\n"
                ),
            ),
            Self::Verify { url, minutes } => (
                "Cette adresse est-elle la vôtre ?".to_owned(),
                format!(
                    "Ouvrez cette adresse dans les {minutes} minutes pour montrer que la boîte est la vôtre :\n\n{url}\n\nSi vous n’avez pas de compte ici, il n’y a rien à faire.\n"
                ),
            ),
            Self::Code { code, minutes } => (
                format!("{code} est votre code"),
                format!(
                    "Votre code de connexion est {code}.\nIl sert une fois, pendant {minutes} minutes, dans le navigateur où vous avez commencé.\nPersonne de chez nous ne vous le demandera jamais.\n"
                ),
            ),
            Self::NewDevice { agent, from, at } => (
                "Connexion depuis un nouveau navigateur".to_owned(),
                format!(
                    "Un navigateur que nous ne connaissions pas s’est connecté à votre compte.\n\nQuand : {at}\nDepuis : {from}\nNavigateur : {agent}\n"
                ),
            ),
            Self::PasswordChanged { from, at } => (
                "Votre mot de passe a été changé".to_owned(),
                format!(
                    "Le mot de passe de votre compte a été changé et vos autres navigateurs ont été déconnectés.\n\nQuand : {at}\nDepuis : {from}\n"
                ),
            ),
            Self::FactorChanged { what, from, at } => (
                "Votre façon de vous connecter a changé".to_owned(),
                format!(
                    "La deuxième étape de connexion à votre compte a changé : {what}.\n\nQuand : {at}\nDepuis : {from}\n"
                ),
            ),
            Self::SecurityEvent { title, severity, subject, detail, at, url } => (
                format!("Événement de sécurité, {}", french_severity(severity)),
                format!(
                    "{title}\n\nSujet : {subject}\nConstaté : {detail}\nQuand : {at}\n\nPour le lire, le prendre en charge ou le clore :\n{url}\n"
                ),
            ),
            Self::ReviewDue { quarter, lines, url } => (
                format!("Revue des droits, {quarter}"),
                format!(
                    "Il est temps de revoir qui peut faire quoi : {lines} utilisateurs, clés et droits temporaires attendent une décision, garder ou retirer.\n\n{url}\n"
                ),
            ),
            Self::Account(letter) => letter.french(),
            Self::LockedOut { from, at } => (
                "Quelqu’un essaie de deviner votre mot de passe".to_owned(),
                format!(
                    "Beaucoup de connexions à votre compte ont échoué de suite ; chaque nouvelle tentative doit attendre.\n\nQuand : {at}\nDepuis : {from}\n"
                ),
            ),
        }
    }

    fn arabic(&self) -> (String, String) {
        match self {
            Self::Reset { url, minutes } => (
                "تعيين كلمة مرور جديدة".to_owned(),
                format!(
                    "طلب شخص ما، ربما أنت، تعيين كلمة مرور جديدة لحسابك.\nيتيح هذا العنوان ذلك مرة واحدة خلال {minutes} دقيقة:\n\n{url}\n\nإن لم تكن أنت، فلا داعي لفعل شيء: تبقى كلمة مرورك كما هي.\n"
                ),
            ),
            Self::Link { url, minutes } => (
                "رابط تسجيل الدخول".to_owned(),
                format!(
                    "يسجّل هذا العنوان دخولك مرة واحدة خلال {minutes} دقيقة:\n\n{url}\n\nإن لم تطلبه، فلا تستخدمه ولا تعطه لأحد.\n"
                ),
            ),
            Self::Verify { url, minutes } => (
                "هل هذا عنوانك؟".to_owned(),
                format!(
                    "افتح هذا العنوان خلال {minutes} دقيقة لتأكيد أن صندوق البريد لك:\n\n{url}\n\nإن لم يكن لديك حساب هنا، فلا داعي لفعل شيء.\n"
                ),
            ),
            Self::Code { code, minutes } => (
                format!("{code} هو رمزك"),
                format!(
                    "رمز تسجيل دخولك هو {code}.\nيعمل مرة واحدة خلال {minutes} دقيقة في المتصفح الذي بدأت منه.\nلن يطلبه منك أحد من طرفنا أبدًا.\n"
                ),
            ),
            Self::NewDevice { agent, from, at } => (
                "تسجيل دخول من متصفح جديد".to_owned(),
                format!(
                    "سجّل متصفح لم نره من قبل الدخول إلى حسابك.\n\nالوقت: {at}\nمن: {from}\nالمتصفح: {agent}\n"
                ),
            ),
            Self::PasswordChanged { from, at } => (
                "تم تغيير كلمة مرورك".to_owned(),
                format!("تم تغيير كلمة مرور حسابك وتسجيل خروج متصفحاتك الأخرى.\n\nالوقت: {at}\nمن: {from}\n"),
            ),
            Self::FactorChanged { what, from, at } => (
                "تغيّرت طريقة تسجيل دخولك".to_owned(),
                format!("تغيّرت الخطوة الثانية لتسجيل الدخول إلى حسابك: {what}.\n\nالوقت: {at}\nمن: {from}\n"),
            ),
            Self::SecurityEvent { title, severity, subject, detail, at, url } => (
                format!("حدث أمني، {}", arabic_severity(severity)),
                format!(
                    "{title}\n\nبشأن: {subject}\nما لوحظ: {detail}\nالوقت: {at}\n\nلقراءته أو معالجته أو إغلاقه:\n{url}\n"
                ),
            ),
            Self::ReviewDue { quarter, lines, url } => (
                format!("مراجعة الصلاحيات، {quarter}"),
                format!(
                    "حان وقت مراجعة من يستطيع فعل ماذا: {lines} من المستخدمين والمفاتيح والصلاحيات المؤقتة بانتظار قرار بالإبقاء أو السحب.\n\n{url}\n"
                ),
            ),
            Self::Account(letter) => letter.arabic(),
            Self::LockedOut { from, at } => (
                "يحاول أحدهم تخمين كلمة مرورك".to_owned(),
                format!(
                    "فشلت محاولات كثيرة متتالية لتسجيل الدخول إلى حسابك؛ على كل محاولة أخرى أن تنتظر.\n\nالوقت: {at}\nمن: {from}\n"
                ),
            ),
        }
    }
}

fn french_severity(severity: &str) -> &str {
    match severity {
        "low" => "gravité faible",
        "medium" => "gravité moyenne",
        _ => "gravité élevée",
    }
}

fn arabic_severity(severity: &str) -> &str {
    match severity {
        "low" => "خطورة منخفضة",
        "medium" => "خطورة متوسطة",
        _ => "خطورة عالية",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_says_what_the_mail_is_for() {
        let url = "https://console.example/sign-in/reset?token=x";
        for language in ["en", "fr", "ar", "xx"] {
            let (subject, text) =
                Letter::Reset { url, minutes: 30 }.written(language, "https://console.example", "Acme");
            assert!(!subject.is_empty() && text.contains(url) && text.contains("30"), "{language}");
            let (subject, text) =
                Letter::Code { code: "123456", minutes: 10 }.written(language, "https://c", "Acme");
            assert!(subject.contains("123456") && text.contains("https://c/account/security"), "{language}");
        }
    }
}
