"""The words of mail clients, in the languages that they speak: what is theirs in a mail is known by these.

A language is added here and nowhere else. All are compared in lower case.
"""


def _set(words: str) -> frozenset[str]:
    """Of words between bars, on as many lines as they take."""
    return frozenset(word.strip() for word in words.replace("\n", "|").split("|") if word.strip())


FROM = _set(
    """from|de|von|da|van|od|från|fra|lähettäjä|от|от кого|від|差出人|送信者|发件人|發件人|寄件者|寄件人
    |gönderen|kimden|feladó|από|보낸 사람|보낸사람|발신|מאת|من|expéditeur|remitente|mittente|afzender
    |absender|remetente|nadawca|odesílatel|odosielateľ|avsändare|afsender|avsender|saatja|nuo|no|từ|จาก
    |dari|pengirim|از|de la|šalje"""
)
"""The header of who wrote it, as a quotation's head shows it."""

SENT = _set(
    """sent|date|envoyé|envoyé le|enviado|enviado el|enviado em|enviada|enviada em|gesendet|gesendet am
    |datum|inviato|data|verzonden|wysłano|wysłane|skickat|sendt|dato|lähetetty|päivämäärä|päiväys
    |отправлено|дата|надіслано|відправлено|送信日時|日時|日付|发送时间|日期|時間|时间|寄件日期|傳送時間
    |傳送日期|發送日期|gönderildi|gönderilen|gönderme tarihi|tarih|odesláno|odoslané|elküldve|dátum
    |στάλθηκε|ημερομηνία|보낸 날짜|날짜|נשלח|תאריך|تم الإرسال|تاريخ|التاريخ|أرسلت|fecha|trimis|poslano
    |poslato|dikirim|tanggal|đã gửi|ngày|ส่ง|วันที่|saadetud|išsiųsta|nosūtīts|ارسال"""
)
"""The header of when it was sent."""

TO = _set(
    """to|à|a|pour|an|para|aan|do|till|til|vastaanottaja|кому|宛先|收件人|收件者|kime|alıcı|komu|címzett
    |προς|받는 사람|받는사람|수신|אל|إلى|către|za|kam|kepada|đến|tới|ถึง|per|destinataire|empfänger
    |destinatario|ontvanger|به|kellele|cc|kopie|copie à|copie|kopia|kopi|kopio|копия|копія|ccn|bcc
    |másolatot kap|抄送|副本|κοιν.|참조|עותק|نسخة|bilgi|reply-to|antwort an|répondre à|responder a
    |antwoord aan|importance|wichtigkeit|attachments|anlagen"""
)
"""The headers of who else is written to, and what else stands between the others."""

SUBJECT = _set(
    """subject|objet|asunto|betreff|oggetto|onderwerp|assunto|temat|ämne|emne|aihe|тема|件名|主题|主旨
    |主題|konu|předmět|predmet|tárgy|θέμα|제목|נושא|الموضوع|موضوع|subiect|zadeva|subjek|perihal|chủ đề
    |tiêu đề|เรื่อง|teema|tema|sujet"""
)
"""The header of the subject."""

WROTE = (
    r"(?<!\w)(?:wrote|writes|schrieb|geschrieben|schreibt|a écrit|écrit|escribió|ha scritto|scrive"
    r"|schreef|geschreven|schrijft|escreveu|skrev|kirjoitti|napisał\(a\)|napisała?|pisze|napsal\(a\)"
    r"|napsala?|píše|napísal\(a\)|napísala?|írta|a scris|написал\(а\)|написала?|пишет|писала?|написав"
    r"|написала|пише|έγραψε|yazdı|je napisao|napisao|je napisala|rašė|rakstīja|kirjutas|va escriure"
    r"|ha escrit|đã viết|menulis|skrifaði)(?!\w)|כתב|כתבה|كتب|كتابة|نوشت|のメール|書きました|写道|寫道"
    r"|작성|เขียน|ने लिखा"
)
"""What he did, in the line that introduces a quotation."""

OPENS = (
    r"(?:on|am|le|el|em|il|il giorno|op|den|w dniu|dnia|em|dana|στις|în|pe|en|vào|pada|בתאריך|في|a las)(?!\w)"
)
"""How such a line begins, where it begins with a word of its own."""

FORWARDED = (
    r"original message|forwarded message|original(?:-| )?nachricht|ursprüngliche nachricht"
    r"|weitergeleitete nachricht|begin forwarded message"
    r"|message (?:original|transféré|d'origine|d’origine)|mail original"
    r"|début du message (?:transféré|réexpédié)|anfang der weitergeleiteten (?:nachricht|e-mail)"
    r"|mensaje (?:original|reenviado)|inicio del mensaje reenviado|messaggio (?:originale|inoltrato)"
    r"|inizio messaggio inoltrato|begin doorgestuurd bericht"
    r"|(?:doorgestuurd|origineel|oorspronkelijk) bericht|mensagem (?:original|encaminhada)"
    r"|oryginalna wiadomość|wiadomość (?:oryginalna|przekazana)"
    r"|(?:ursprungligt|vidarebefordrat) meddelande|(?:oprindelig|videresendt) (?:meddelelse|besked)"
    r"|opprinnelig melding|videresendt melding|alkuperäinen viesti|välitetty viesti"
    r"|(?:исходное|пересылаемое|оригинальное|пересланное) сообщение|(?:původní|přeposlaná) zpráva"
    r"|(?:pôvodná|preposlaná) správa|eredeti üzenet|továbbított üzenet|αρχικό μήνυμα|προωθημένο μήνυμα"
    r"|(?:orijinal|özgün|iletilen) (?:mesaj|ileti)|元のメッセージ|転送メッセージ|原始邮件|转发的?邮件"
    r"|原始郵件|轉寄郵件|원본 메시지|원본 메일|전달된 메시지|הודעה מקורית|الرسالة الأصلية"
    r"|mesaj original|izvirno sporočilo"
)
"""The line above another mail, without the dashes around it."""

# What a telephone or a program adds names itself: "Sent with DHL" is somebody's sentence.
DEVICE = (
    r"(?:\b(?:i(?:phone|pad|pod)|android|galaxy|samsung|smartphone|blackberry|huawei|xiaomi|redmi|pixel"
    r"|oneplus|nokia|motorola|windows ?phone|outlook|yahoo|gmail|proton|protonmail|tuta|tutanota|gmx|web\.de"
    r"|t-online|freemail|aol|icloud|k-9|fairemail|bluemail|aquamail|typeapp|thunderbird|delta chat|mail\.ru"
    r"|mail (?:for|pour|für|para|per|voor) windows)\b"
    r"|\b(?:my|meinem|mon|mi|mio|mijn) (?:cell ?|mobile ?|smart)?(?:phone|device|tablet|handy|gerät|telefon"
    r"|mobiltelefon|appareil|portable|mobile|téléphone|móvil|teléfono|celular|dispositivo|cellulare|telefoon))"
)
_GET = (
    r"(?:get|download|obtenez|télécharger|obtener|obtén|descargar|ottieni|scarica|obter o|obtenha o|skaffa"
    r"|hämta|hent|pobierz|holen sie sich)"
)
TAGLINE = (
    rf"(?:sent (?:from|via|with|using)|enviado (?:desde|con|a través de|do|de|pelo)|inviato (?:da|dal|con)"
    rf"|envoy[ée]e? (?:de|depuis|avec|par|à partir d)|gesendet (?:von|mit|über)|verzonden (?:vanaf|met)"
    rf"|skickat från|sendt fra).{{0,60}}?{DEVICE}.{{0,100}}"
    rf"|von (?:meinem|meiner|outlook|yahoo|gmx)\b.{{0,40}}\bgesendet[.!]?"
    rf"|diese nachricht wurde von .{{0,40}}?{DEVICE}.{{0,80}}"
    rf"|(?:{_GET} )?outlook (?:for|pour|für|para|per|voor|för|til|dla) (?:ios|android)"
    r"(?: beziehen| herunterladen| downloaden)?(?:\s*[<(\[]?https?:.*)?"
    r"|get (?:bluemail|typeapp|spark|aqua mail) for .{1,40}"
    r"|yahoo mail: search, organize, conquer|sent securely with .{1,40}"
    r"|(?:please )?(?:excuse|forgive|pardon) (?:my|the|any) (?:brevity|typos)(?: and (?:brevity|typos))?[.!]?"
    r"|(?:bitte )?entschuldigen sie (?:die|meine) kürze[.!]?|(?:veuillez )?excuse[rz] (?:ma|la) brièveté[.!]?"
    r"|(?:por favor, )?(?:disculpa|disculpe|perdona|perdone) (?:mi|la) brevedad[.!]?"
)
"""A line that a telephone or a program puts under what was written."""

AWAY = (
    r"auto(?:matic)?[ -]?reply|automated reply"
    r"|out[ -]of[ -](?:the )?office(?: auto(?:matic)?[ -]?reply)?|auto[ -]?response|abwesenheitsnotiz"
    r"|abwesenheits(?:nachricht|assistent)|automatische antwort|réponse automatique|absence du bureau"
    r"|message d['’]absence|respuesta automática|fuera de (?:la )?oficina|risposta automatica"
    r"|fuori sede|automatisch antwoord|afwezigheidsbericht|resposta automática|odpowiedź automatyczna"
    r"|autosvar|automatiskt? svar|frånvaromeddelande|automaattinen vastaus|автоматический ответ"
    r"|автоответ|автоматична відповідь|自動応答|自动答复|自动回复|自動回覆|자동 회신|otomatik yanıt"
    r"|automatická odpověď|automatikus válasz|αυτόματη απάντηση|תשובה אוטומטית|رد تلقائي"
    r"|răspuns automat|samodejni odgovor"
)
"""The subject of a program's answer, before the colon and the old subject."""

RECEIPT = (
    r"read|not read|gelesen|ungelesen gelöscht|lu|non lu|leído|no leído|letto|non letto|gelezen|lida"
    r"|przeczytane|läst|læst|lest|luettu|прочтено|прочитано|開封済み|已读|已讀|읽음|okundu|přečteno"
    r"|elolvasva|διαβάστηκε|נקרא"
)
"""The same of a receipt that the mail was opened."""
