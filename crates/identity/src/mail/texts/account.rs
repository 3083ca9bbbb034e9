//! Mails about an account: how it begins, where it moves, and who acts with it.

/// What such a mail is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Account<'a> {
    /// A link by which a newcomer shows that the mailbox is theirs.
    Register { url: &'a str, minutes: u32 },
    /// Somebody wanted to register, or to move an account, with an address that has one.
    Known { url: &'a str },
    /// A newcomer is let in.
    Admitted { url: &'a str },
    /// A newcomer is not let in.
    Refused { organisation: &'a str },
    /// Newcomers wait for whoever may let them in.
    NewcomersWait { count: i64, url: &'a str },
    /// The address of the account was changed; to the old one.
    AddressChanged { to: &'a str, from: &'a str, at: &'a str },
    /// Somebody acts as the user.
    Impersonated { by: &'a str, reason: &'a str, at: &'a str, until: &'a str },
}

impl Account<'_> {
    pub(super) fn english(&self) -> (String, String) {
        match self {
            Self::Register { url, minutes } => (
                "Finish your registration".to_owned(),
                format!(
                    "Open this address within {minutes} minutes to show that the mailbox is yours, and to finish your registration:\n\n{url}\n\nIf you did not register, there is nothing to do: without this nothing comes of it.\n"
                ),
            ),
            Self::Known { url } => (
                "You have an account already".to_owned(),
                format!(
                    "Somebody, perhaps you, wanted to use this address for an account. It has one already: sign in, or ask for a new password there.\n\n{url}\n\nIf it was not you, there is nothing to do.\n"
                ),
            ),
            Self::Admitted { url } => (
                "Your account is ready".to_owned(),
                format!(
                    "Your registration was accepted. Sign in with the password that you chose:\n\n{url}\n"
                ),
            ),
            Self::Refused { organisation } => (
                "Your registration was not accepted".to_owned(),
                format!(
                    "{organisation} has not accepted your registration. What you entered is deleted, and no account was made.\n\nIf you think that this is a mistake, ask your contact there.\n"
                ),
            ),
            Self::NewcomersWait { count, url } => (
                "Newcomers wait to be let in".to_owned(),
                format!(
                    "Newcomers who have registered and shown their address wait for you: {count}.\n\n{url}\n"
                ),
            ),
            Self::AddressChanged { to, from, at } => (
                "Your e-mail address was changed".to_owned(),
                format!(
                    "The address of your account is {to} now. This one opens nothing any more.\n\nWhen: {at}\nFrom: {from}\n\nIf this was not you, tell an administrator of your organisation at once.\n"
                ),
            ),
            Self::Impersonated { by, reason, at, until } => (
                "Somebody acts as you".to_owned(),
                format!(
                    "{by} acts with your account for a time, by the right of an administrator.\n\nWhy: {reason}\nFrom: {at}\nUntil: {until}\n\nYour password, your second step and your sessions stay closed to them, and what they do names them beside you.\nYou can end it on your page Security.\n"
                ),
            ),
        }
    }

    pub(super) fn french(&self) -> (String, String) {
        match self {
            Self::Register { url, minutes } => (
                "Terminez votre inscription".to_owned(),
                format!(
                    "Ouvrez cette adresse dans les {minutes} minutes pour montrer que la boîte est la vôtre et terminer votre inscription :\n\n{url}\n\nSi vous ne vous êtes pas inscrit, il n’y a rien à faire : rien ne se passera.\n"
                ),
            ),
            Self::Known { url } => (
                "Vous avez déjà un compte".to_owned(),
                format!(
                    "Quelqu’un, peut-être vous, a voulu utiliser cette adresse pour un compte. Elle en a déjà un : connectez-vous, ou demandez-y un nouveau mot de passe.\n\n{url}\n\nSi ce n’était pas vous, il n’y a rien à faire.\n"
                ),
            ),
            Self::Admitted { url } => (
                "Votre compte est prêt".to_owned(),
                format!(
                    "Votre inscription a été acceptée. Connectez-vous avec le mot de passe choisi :\n\n{url}\n"
                ),
            ),
            Self::Refused { organisation } => (
                "Votre inscription n’a pas été acceptée".to_owned(),
                format!(
                    "{organisation} n’a pas accepté votre inscription. Ce que vous avez saisi est supprimé et aucun compte n’a été créé.\n\nSi vous pensez que c’est une erreur, adressez-vous à votre interlocuteur là-bas.\n"
                ),
            ),
            Self::NewcomersWait { count, url } => (
                "Des inscriptions attendent votre décision".to_owned(),
                format!(
                    "Inscriptions dont l’adresse est vérifiée et qui attendent votre décision : {count}.\n\n{url}\n"
                ),
            ),
            Self::AddressChanged { to, from, at } => (
                "Votre adresse e-mail a été changée".to_owned(),
                format!(
                    "L’adresse de votre compte est maintenant {to}. Celle-ci n’ouvre plus rien.\n\nQuand : {at}\nDepuis : {from}\n\nSi ce n’était pas vous, prévenez tout de suite un administrateur de votre organisation.\n"
                ),
            ),
            Self::Impersonated { by, reason, at, until } => (
                "Quelqu’un agit en votre nom".to_owned(),
                format!(
                    "{by} agit avec votre compte pendant un temps, par le droit d’un administrateur.\n\nRaison : {reason}\nDepuis : {at}\nJusqu’à : {until}\n\nVotre mot de passe, votre deuxième étape et vos sessions lui restent fermés, et ce qui est fait porte son nom à côté du vôtre.\nVous pouvez y mettre fin sur votre page Sécurité.\n"
                ),
            ),
        }
    }

    pub(super) fn arabic(&self) -> (String, String) {
        match self {
            Self::Register { url, minutes } => (
                "أكمل تسجيلك".to_owned(),
                format!(
                    "افتح هذا العنوان خلال {minutes} دقيقة لتأكيد أن صندوق البريد لك وإكمال تسجيلك:\n\n{url}\n\nإن لم تسجّل، فلا داعي لفعل شيء: لن يحدث شيء.\n"
                ),
            ),
            Self::Known { url } => (
                "لديك حساب بالفعل".to_owned(),
                format!(
                    "أراد شخص ما، ربما أنت، استخدام هذا العنوان لحساب. لديه حساب بالفعل: سجّل الدخول، أو اطلب كلمة مرور جديدة هناك.\n\n{url}\n\nإن لم تكن أنت، فلا داعي لفعل شيء.\n"
                ),
            ),
            Self::Admitted { url } => (
                "حسابك جاهز".to_owned(),
                format!("تم قبول تسجيلك. سجّل الدخول بكلمة المرور التي اخترتها:\n\n{url}\n"),
            ),
            Self::Refused { organisation } => (
                "لم يُقبل تسجيلك".to_owned(),
                format!(
                    "لم تقبل {organisation} تسجيلك. حُذف ما أدخلته ولم يُنشأ أي حساب.\n\nإن كنت تظن أن هذا خطأ، فاسأل من تعرفه هناك.\n"
                ),
            ),
            Self::NewcomersWait { count, url } => (
                "تسجيلات جديدة تنتظر قرارك".to_owned(),
                format!("عدد التسجيلات التي تم التحقق من عنوانها وتنتظر قرارك: {count}.\n\n{url}\n"),
            ),
            Self::AddressChanged { to, from, at } => (
                "تم تغيير بريدك الإلكتروني".to_owned(),
                format!(
                    "عنوان حسابك الآن هو {to}. لم يعد هذا العنوان يفتح شيئًا.\n\nالوقت: {at}\nمن: {from}\n\nإن لم تكن أنت، فأخبر مسؤول مؤسستك فورًا.\n"
                ),
            ),
            Self::Impersonated { by, reason, at, until } => (
                "شخص ما يتصرّف باسمك".to_owned(),
                format!(
                    "يتصرّف {by} بحسابك لمدة محدودة بصلاحية المسؤول.\n\nالسبب: {reason}\nمن: {at}\nحتى: {until}\n\nتبقى كلمة مرورك وخطوتك الثانية وجلساتك مغلقة أمامه، وكل ما يفعله يحمل اسمه بجانب اسمك.\nيمكنك إنهاء ذلك من صفحة الأمان.\n"
                ),
            ),
        }
    }
}
