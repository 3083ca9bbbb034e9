use super::Traffic::{Otp, Promotional, Transactional};
use super::*;

/// Texts as they are sent, by language.
const TEXTS: &[(Traffic, &str)] = &[
    // English
    (Otp, "Your verification code is 482913. It expires in 10 minutes."),
    (Otp, "G-582911 is your Google verification code."),
    (Otp, "123 456 is your ACME code. Never share it with anybody."),
    (Otp, "<#> Use 7391 as your login PIN for ACME Pay. FA+9qCX9VSu"),
    (Otp, "OTP for your transaction of INR 2,500.00 at ACME is 604417. Do not share it with anyone."),
    (Otp, "ACME: use one-time password 99817263 to sign in."),
    (Transactional, "Your parcel 00340434 will be delivered today between 14:00 and 16:00."),
    (Transactional, "Your card ending 4417 was debited 250.00 GBP at ACME STORE on 12/05."),
    (Transactional, "Reminder: your appointment with Dr Jones is on 14 May at 09:30."),
    (Transactional, "Payment of 120.50 USD received. Thank you. Balance: 1,204.00 USD."),
    (Transactional, "Your table for 4 is ready. Please come to the desk."),
    (Transactional, "Hi Anna, running 10 minutes late, see you at 2030"),
    (
        Promotional,
        "50% OFF everything this weekend! Shop now at https://acme.example/sale Reply STOP to opt out",
    ),
    (Promotional, "Use promo code 20264 for free shipping on your next order. www.acme.example"),
    (Promotional, "Win a new phone! Join our exclusive deal today: http://acme.example"),
    (Promotional, "New arrivals are here. Text STOP to unsubscribe."),
    // French
    (Otp, "Votre code de vérification est 593021. Ne le communiquez à personne."),
    (Otp, "ACME Banque : 48 est faux, saisissez le code 77120934 pour valider votre achat."),
    (Otp, "Votre mot de passe à usage unique : 402918"),
    (Transactional, "Votre colis est arrivé au relais. Horaires : 9h-19h."),
    (Transactional, "Rappel : rendez-vous le 12/06 à 14h30 chez le Dr Martin."),
    (Promotional, "SOLDES ! Jusqu'à -50% sur tout le magasin, profitez-en vite. STOP au 36111"),
    (Promotional, "Offre spéciale : livraison offerte ce week-end sur www.acme.example"),
    // German
    (Otp, "Ihr Bestätigungscode lautet 112233. Er ist 5 Minuten gültig."),
    (Otp, "TAN 834721 für Ihre Überweisung von 45,00 EUR an Max M."),
    (Otp, "Dein Einmalpasswort ist 5521, gib es niemandem weiter."),
    (Transactional, "Ihre Bestellung wurde versandt. Die Lieferung erfolgt morgen."),
    (Transactional, "Erinnerung: Ihr Termin ist am 03.07. um 10:15 Uhr."),
    (Promotional, "Nur heute: 20 % Rabatt auf alle Schuhe! acme.example/de Abmelden: STOP an 12345"),
    (Promotional, "Unser Angebot der Woche: Gutschein sichern unter https://acme.example"),
    // Spanish
    (Otp, "Tu código de verificación es 665544. No lo compartas."),
    (Otp, "Clave de acceso ACME: 9081. Válida por 3 minutos."),
    (Transactional, "Su pedido ha salido de nuestro almacén y llegará mañana."),
    (Transactional, "Recuerde su cita del 5 de mayo a las 11:00."),
    (
        Promotional,
        "¡Oferta! 2x1 en toda la tienda este fin de semana. Más info https://acme.example BAJA al 5544",
    ),
    (Promotional, "Aprovecha nuestros descuentos de verano hasta el 30%. www.acme.example"),
    // Portuguese and Italian
    (Otp, "O seu código de segurança é 330198"),
    (Otp, "Sua senha temporária ACME é 88213."),
    (Transactional, "A sua encomenda será entregue hoje entre as 14h e as 16h."),
    (Promotional, "Desconto de 40% só hoje! Aproveite em https://acme.example Para sair responda SAIR"),
    (Otp, "Il tuo codice di accesso è 719283"),
    (Transactional, "Il suo appuntamento è confermato per il 12 marzo."),
    (Promotional, "Saldi fino al 70%! Scopri le offerte su https://acme.example"),
    // Russian and Ukrainian
    (Otp, "Код подтверждения: 4821. Никому его не сообщайте."),
    (Otp, "Ваш пароль для входа 771204"),
    (Transactional, "Ваш заказ готов к выдаче в пункте на ул. Ленина, 5."),
    (Transactional, "Оплата 1500.00р прошла успешно. Баланс: 3204.10р"),
    (Promotional, "Скидки до 50% на всё! Успейте до воскресенья: https://acme.example Отписаться: СТОП"),
    (Promotional, "Акция! Бесплатная доставка при покупке от 2000₽. acme.example/ru"),
    (Otp, "Ваш код доступу: 553219"),
    // Arabic and Persian
    (Otp, "رمز التحقق الخاص بك هو 482913"),
    (Otp, "كود الدخول: ٤٨٢٩ لا تشاركه مع أحد"),
    (Transactional, "تم شحن طلبك وسيصل غدا"),
    (Transactional, "موعدك يوم الأحد الساعة 10:30"),
    (Promotional, "عروض العيد! خصم 30% على كل المنتجات https://acme.example"),
    (Promotional, "تخفيضات كبرى في متجرنا، تسوق الآن. لإلغاء الاشتراك أرسل 0"),
    (Otp, "کد ورود شما: 58213"),
    // Chinese
    (Otp, "【某某】您的验证码是582913，5分钟内有效，请勿泄露。"),
    (Otp, "校验码 0042，您正在登录账户。"),
    (Transactional, "【某某】您的快递已到达，请凭取件号取件。"),
    (Promotional, "【某某】双十一大促，全场5折优惠，点击 https://acme.example 抢购，回T退订"),
    // Japanese and Korean
    (Otp, "認証コード：912345 このコードを他人に教えないでください。"),
    (Transactional, "ご予約を承りました。ご来店をお待ちしております。"),
    (Promotional, "本日限り！全品30%割引セール開催中 https://acme.example 配信停止はこちら"),
    (Otp, "[Web발신] 인증번호 [482913]를 입력해 주세요."),
    (Promotional, "(광고) 봄맞이 할인 이벤트 50% 무료수신거부 0801234567"),
    // Hindi, Turkish, Indonesian, Vietnamese, Polish
    (Otp, "आपका ओटीपी 604417 है। इसे किसी के साथ साझा न करें।"),
    (Promotional, "धमाका ऑफर! 50% की छूट, अभी खरीदें https://acme.example"),
    (Otp, "Doğrulama kodunuz: 482913. Kimseyle paylaşmayın."),
    (Otp, "Tek kullanımlık şifreniz 55120"),
    (Transactional, "Siparişiniz kargoya verildi."),
    (Promotional, "Büyük indirim! Tüm ürünlerde %40 fırsat. İptal için RET yazın 3333"),
    (Otp, "Kode OTP Anda adalah 778210. Jangan berikan kepada siapa pun."),
    (Promotional, "Diskon 30% hari ini! Belanja di https://acme.example"),
    (Otp, "Mã xác thực của bạn là 482913"),
    (Otp, "Twój kod weryfikacyjny to 667788"),
    (Promotional, "Wyprzedaż do -70%! Sprawdź promocje: https://acme.example"),
];

#[test]
fn texts_are_told_apart_in_many_languages() {
    let wrong: Vec<_> = TEXTS
        .iter()
        .map(|(expected, text)| (expected, text, detect(text)))
        .filter(|(expected, _, found)| found.traffic != **expected)
        .map(|(expected, text, found)| format!("{text}\n  is {expected:?}, found {found:?}"))
        .collect();
    assert!(TEXTS.len() >= 60);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), TEXTS.len(), wrong.join("\n"));
}

#[test]
fn a_reason_never_repeats_the_code() {
    for (_, text) in TEXTS.iter().filter(|(traffic, _)| *traffic == Otp) {
        let found = detect(text);
        assert!(found.confidence >= 50 && !found.reason.is_empty(), "{text}");
        assert!(!found.reason.chars().any(char::is_numeric), "{}", found.reason);
    }
}

#[test]
fn digits_that_are_no_code_are_left_alone() {
    let coded = |text: &str| !codes(&text.chars().collect::<Vec<_>>()).is_empty();
    for text in ["1234", "code 123456.", "123-456", "G-123456", "(7391)", "code:7391"] {
        assert!(coded(text), "{text}");
    }
    for text in [
        "+33612345678",
        "12/05/2026",
        "€1500",
        "1500€",
        "1,500.00",
        "12:30",
        "A1234",
        "20%",
        "123",
        "123456789",
        "06 12 34 56 78",
    ] {
        assert!(!coded(text), "{text}");
    }
}

#[test]
fn any_text_is_judged() {
    for text in ["", " ", "%", "1 %", "\u{0}", "código", "𝟙𝟚𝟛𝟜 code", &"9 ".repeat(5_000)] {
        assert!(detect(text).confidence <= 100);
    }
}
