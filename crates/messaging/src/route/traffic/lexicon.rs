//! The words that tell traffic apart, in lower case. A word stands whole; `*` behind it lets it go on; `~` before it lets
//! it stand anywhere, for scripts that do not part words and for languages that join them.

/// Words that announce a code.
#[rustfmt::skip]
pub(super) const CODE_WORDS: &[&str] = &[
    // English, and what others took over from it
    "otp", "pin", "~code", "passcode*", "one-time", "one time password", "verification", "2fa", "tan", "mtan", "token",
    "security number",
    // French, Spanish, Portuguese, Italian, Romanian
    "mot de passe", "código*", "codigo*", "clave*", "contraseña", "senha", "codice*", "codul*", "cod",
    // German, Dutch, Swedish, Danish, Norwegian, Finnish
    "kennwort", "einmalpasswort", "bestätigungsnummer", "~kode", "~koodi", "kod*", "engångskod*",
    // Polish, Czech, Hungarian, Turkish, Uzbek, Azerbaijani
    "hasło", "kód*", "şifre*", "sifre*", "parola*", "parol*",
    // Russian, Ukrainian, Bulgarian, Kazakh, Greek, Hebrew
    "код*", "пароль*", "κωδικ*", "קוד*", "הקוד*", "סיסמ*",
    // Arabic, Persian, Urdu, Hindi, Bengali
    "رمز*", "كود*", "الكود", "الرمز", "کد*", "کوڈ*", "كلمة المرور", "کلمه عبور", "ओटीपी", "कोड*", "কোড*", "ওটিপি",
    // Chinese, Japanese, Korean, Thai, Vietnamese, Indonesian, Swahili
    "~验证码", "~校验码", "~驗證碼", "~动态码", "~动态密码", "~確認碼", "~認証", "~コード", "~パスワード", "~暗証番号",
    "~인증", "~รหัส", "mã xác*", "mã otp", "ma otp", "ma xac*", "kode*", "msimbo*", "nambari ya siri",
];

/// Words that make a "code" one that anybody may use.
#[rustfmt::skip]
pub(super) const NO_CODE_WORDS: &[&str] = &[
    "promo code", "promocode*", "coupon*", "voucher*", "discount code", "gift code", "gutscheincode*", "rabattcode*",
    "code promo", "codigo promocional", "código promocional", "código de descuento", "codice sconto", "zip code", "postcode",
    "промокод*", "كود الخصم", "كود خصم", "~优惠码", "~クーポン", "indirim kodu", "kode promo", "cupom",
];

/// Words of offers.
#[rustfmt::skip]
pub(super) const OFFER_WORDS: &[&str] = &[
    "sale", "% off", "discount*", "offer", "offers", "deal", "deals", "free shipping", "free delivery", "buy now", "shop now",
    "order now", "limited time", "cashback", "win", "bonus", "promo*", "exclusive", "save", "coupon*", "voucher*", "jackpot",
    "hurry", "black friday",
    "soldes", "remise*", "réduction*", "offre*", "gratuit*", "profitez*", "livraison offerte", "bon plan", "-50%",
    "rabatt*", "angebot*", "gutschein*", "aktion*", "schlussverkauf", "gratis", "sparen", "nur heute",
    "oferta*", "descuento*", "rebaja*", "gratis", "aprovecha*", "promoción*", "compra ya", "desconto*", "promoção",
    "aproveite*", "frete grátis", "cupom", "sconto*", "sconti", "offerta*", "saldi", "approfitta*",
    "скидк*", "акци*", "распродаж*", "подар*", "бесплатн*", "предложени*", "промокод*", "знижк*", "успей*", "выиграй*",
    "عرض", "عروض", "العرض", "خصم*", "تخفيض*", "الخصم", "مجان*", "تسوق*", "هدية", "تخفیف*", "رایگان", "جشنواره",
    "indirim*", "kampanya*", "fırsat*", "bedava", "hediye*", "alışveriş",
    "~优惠", "~折", "~促销", "~特价", "~抢购", "~领券", "~立减", "~红包", "~セール", "~割引", "~クーポン", "~お得", "~キャンペーン",
    "~할인", "~이벤트", "~쿠폰", "~특가", "ऑफर*", "छूट", "मुफ्त", "सेल", "diskon*", "gratis ongkir", "khuyến mãi", "giảm giá",
    "ưu đãi", "promocj*", "rabat*", "wyprzedaż*", "korting*", "aanbieding*", "erbjudande*", "rea", "~ลดราคา", "~โปรโมชั่น",
    "מבצע*", "הנחה*", "προσφορ*", "έκπτωσ*", "ছাড়*", "অফার*", "ofa", "punguzo",
];

/// Words that say how to be left alone, which advertising must and nothing else does.
#[rustfmt::skip]
pub(super) const OPT_OUT_WORDS: &[&str] = &[
    "unsubscribe*", "opt out", "opt-out", "optout", "text stop", "reply stop", "send stop", "stop to", "txt stop", "stop au",
    "stop sms", "stop pub", "stopsms", "stop 3*", "désabonn*", "desabonn*", "désinscri*", "abmelden*", "abbestell*",
    "stop an", "baja", "darse de baja", "responde stop", "cancelar inscri*", "sair", "responda sair", "disiscri*", "cancellati",
    "отписа*", "отказ от", "відписа*", "إلغاء الاشتراك", "لإلغاء", "للإلغاء", "لغو", "لغو11", "iptal icin", "iptal için", "ret yaz*",
    "~退订", "~退訂", "~拒收", "~配信停止", "~수신거부", "berhenti", "từ chối", "rezygn*", "afmelden*", "avregistrer*", "להסרה",
];

/// Words of what was done.
#[rustfmt::skip]
pub(super) const DEED_WORDS: &[&str] = &[
    "order", "ordered", "shipped", "delivered", "delivery", "parcel", "package", "appointment", "invoice", "payment", "paid",
    "balance", "debited", "credited", "transaction", "booking", "reservation", "flight", "ticket", "reminder", "account",
    "statement", "transfer*", "refund*", "confirmed", "received",
    "commande*", "colis", "livr*", "rendez-vous", "facture*", "paiement*", "solde", "réservation*", "virement*",
    "bestellung*", "paket*", "termin*", "rechnung*", "zahlung*", "überweisung*", "buchung*", "lieferung*", "konto*",
    "pedido*", "paquete*", "cita*", "factura*", "pago*", "reserva*", "entrega*", "encomenda*", "fatura*", "pagamento*",
    "ordine*", "pacco", "appuntament*", "fattura*", "prenotazion*", "bonifico*",
    "заказ*", "посылк*", "запис*", "счет*", "счёт*", "оплат*", "платеж*", "платёж*", "перевод*", "баланс*", "доставк*", "замовлення*",
    "طلب*", "الطلب", "شحن*", "موعد*", "فاتورة", "رصيد*", "تحويل", "سداد", "دفع", "حساب*", "سفارش*", "نوبت*", "واریز*",
    "sipariş*", "kargo*", "randevu*", "ödeme*", "fatura*", "hesab*", "rezervasyon*",
    "~订单", "~快递", "~包裹", "~预约", "~账单", "~余额", "~付款", "~ご注文", "~発送", "~予約", "~お届け", "~주문", "~배송", "~예약",
    "ऑर्डर*", "भुगतान*", "खाते*", "pesanan*", "paket*", "đơn hàng", "giao hàng", "zamówieni*", "paczk*", "bestelling*",
];
