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
    |dari|pengirim|از|de la|šalje|frá|од|प्रेषक|द्वारा"""
)
"""The header of who wrote it, as a quotation's head shows it."""

SENT = _set(
    """sent|date|envoyé|envoyé le|enviado|enviado el|enviado em|enviada|enviada em|gesendet|gesendet am
    |datum|inviato|data|verzonden|wysłano|wysłane|skickat|sendt|dato|lähetetty|päivämäärä|päiväys
    |отправлено|дата|надіслано|відправлено|送信日時|日時|日付|发送时间|日期|時間|时间|寄件日期|傳送時間
    |傳送日期|發送日期|gönderildi|gönderilen|gönderme tarihi|tarih|odesláno|odoslané|elküldve|dátum
    |στάλθηκε|ημερομηνία|보낸 날짜|날짜|נשלח|תאריך|تم الإرسال|تاريخ|التاريخ|أرسلت|fecha|trimis|poslano
    |poslato|dikirim|tanggal|đã gửi|ngày|ส่ง|วันที่|saadetud|išsiųsta|nosūtīts|ارسال|dagsetning
    |изпратено|изпратени|enviat|enviat el|послато|испратено|भेजा गया|दिनांक"""
)
"""The header of when it was sent."""

TO = _set(
    """to|à|a|pour|an|para|aan|do|till|til|vastaanottaja|кому|宛先|收件人|收件者|kime|alıcı|komu|címzett
    |προς|받는 사람|받는사람|수신|אל|إلى|către|za|kam|kepada|đến|tới|ถึง|per|destinataire|empfänger
    |destinatario|ontvanger|به|kellele|cc|kopie|copie à|copie|kopia|kopi|kopio|копия|копія|ccn|bcc
    |másolatot kap|抄送|副本|κοιν.|참조|עותק|نسخة|bilgi|reply-to|antwort an|répondre à|responder a
    |antwoord aan|importance|wichtigkeit|attachments|anlagen|afrit|до|per a|a/c|за|prima|adressaat
    |प्रति"""
)
"""The headers of who else is written to, and what else stands between the others."""

SUBJECT = _set(
    """subject|objet|asunto|betreff|oggetto|onderwerp|assunto|temat|ämne|emne|aihe|тема|件名|主题|主旨
    |主題|konu|předmět|predmet|tárgy|θέμα|제목|נושא|الموضوع|موضوع|subiect|zadeva|subjek|perihal|chủ đề
    |tiêu đề|เรื่อง|teema|tema|sujet|efni|относно|assumpte|temats|предмет|विषय"""
)
"""The header of the subject."""

WROTE = (
    r"(?<!\w)(?:wrote|writes|schrieb|geschrieben|schreibt|a écrit|écrit|escribió|ha scritto|scrive"
    r"|schreef|geschreven|schrijft|escreveu|skrev|kirjoitti|napisał\(a\)|napisała?|pisze|napsal\(a\)"
    r"|napsala?|píše|napísal\(a\)|napísala?|írta|a scris|написал\(а\)|написала?|пишет|писала?|написав"
    r"|написала|пише|написа|написао|напиша|έγραψε|yazdı|napisao|napisala|rašė|rakstīja|kirjutas|va escriure"
    r"|ha escrit|đã viết|menulis|skrifaði|idatzi du|escribiu|գրել է)(?!\w)|כתב|מאת|كتب|كتابة|نوشت"
    r"|のメール|書きました|写道|寫道|작성|쓴 글|เขียน|ने लिखा|লিখেছেন"
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

# What a telephone or a program adds names itself: "Sent with DHL" is somebody's sentence, and so is what has
# a comma or a number in it.
_WORD = r"(?!\+?\d{3})[^\s,;:?!.]+(?:\.[^\s,;:?!.]+){0,3}"
_BRAND = (
    r"\[?(?:i(?:phon|pad|pod)|android|galaxy|samsung|smartphone|blackberry|huawei|honor|xiaomi|redmi|pixel"
    r"|oneplus|oppo|nokia|motorola|windows ?phone|outlook|hotmail|yahoo|gmail|proton ?mail|proton"
    r"|tuta(?:nota)?|gmx|mobilen mail|web\.de|t-online|freemail|aol|icloud|superhuman|k-9|fairemail|bluemail"
    r"|aquamail|typeapp|thunderbird|delta chat|mail\.ru|mail (?:for|pour|für|para|per|voor) windows)"
    r"(?:\]\(https?:[^\s)]{0,100}\))?[^\s,;:?!.]{0,14}"
)
_OWN_PHONE = (
    r"(?:my|meinem|mon|ma|mi|mio|mia|mijn|meu|minha|min|mitt|mojego|mojej|моего|моей|мого|моєї|mého|svého|môjho"
    rf"|mog|mojega) (?:{_WORD} ){{0,4}}?(?:cell|(?:smart|mobile )?(?:phone|device)|mobile|tablet|handy|gerät"
    r"|telefon[aou]?|mobiltelefon|appareil|portable|téléphone|móvil|teléfono|celular|dispositivo|cellulare"
    r"|telefone|telemóvel|telefoon|toestel|urządzenia|устройства|телефона|смартфона|пристрою|телефону"
    r"|mobilu|zařízení|zariadenia|enhet|enhed|mobil|uređaja)"
)
_SENT_FROM = (
    r"(?:enviad[oa] (?:desde|con|com|a través de|a partir d[aeo]|d[aeo]|pelo|via)|inviat[oa] (?:dall?|da|con)"
    r"|envoy[ée]e? (?:de|du|depuis|avec|par|à partir d[eu]?)|(?:gesendet|verschickt|versendet) (?:vo[nm]|mit"
    r"|über)|(?:verzonden|verstuurd) (?:vanaf|vanuit|met|via)|(?:skickat|skickades) (?:från|med|via)"
    r"|sendt (?:fra|med|via)|lähetetty|wysłan[aeoy] (?:ze?|za pomocą|przez)|отправлен[ао] (?:со?|из|от|через)"
    r"|(?:надіслано|відправлено) (?:з|із|зі|через|за)|изпратен[ао] (?:от|с|чрез)|(?:послато|испратено)"
    r" (?:са?|од|преко|из)|posla[nt]o (?:sa?|iz|z|preko|putem)|ode?slán[ao] (?:ze?|pomocí|přes)"
    r"|odoslan[ée] (?:zo?|pomocou|cez)|(?:ε?στάλθηκε|εστάλη|απεστάλη) (?:από|με|μέσω)"
    r"|trimis (?:de pe|de la|din|cu|prin)|enviat (?:des del?|amb|del?)|išsiųsta (?:iš|per|naudojant)"
    r"|nosūtīts (?:no|izmantojot)|saadetud|sent (?:úr|frá|með)|发送?自|傳自|寄自|通过|透過|ส่งจาก"
    r"|(?:đã |được )?gửi (?:từ|bằng|qua)|dikirim (?:dari|dengan|melalui)|dihantar (?:daripada|dari)"
    r"|(?:أُ?رسلت?|مُ?رسلة?|تم الإرسال) (?:من|عبر|باستخدام|بواسطة)(?: ال[ـ-]?)?|נשלח(?: באמצעות| מתוך| מה?-?)?"
    r"|ارسال شده (?:از|با|توسط))"
)
_SENT_LAST = (
    r"(?:から送信|より送信|で送信|에서 (?:보냄|보냈습니다|전송|보낸 메일)|gönderildi|gönderilmiştir|küldve"
    r"|से भेजा गया|傳送|寄出|发送|發送|送出)"
)
_SENT_LAST_FROM = r"(?:從|从|通过|透過|私の|나의 |내 |az? |मेरे )?"
_GET = (
    r"(?:get|download|obtenez|obtenir|télécharger|obtener|obtén|descargar|ottieni|scarica|obter o|obtenha o"
    r"|skaffa?|hämta|hent|last ned|pobierz|holen sie sich|hanki|lataa|получ\w+|скача\w+|загруз\w+|отрима\w+"
    r"|завантаж\w+|изтеглете|преузмите|获取|取得|下載|下载|získejte|stáhn\w+|získa\w+|stiahn\w+|λήψη|αποκτήστε"
    r"|κατεβάστε|קבל|הורד|الحصول|احصل|تنزيل|obțineți|descărcați|nabavite|preuzmite|prenesite|dapatkan|unduh"
    r"|tải|ดาวน์โหลด|obteniu|baixa|gaukite|hankige)"
)
_GET_LAST = (
    r"(?:beziehen|herunterladen|downloaden|を入手|を取得|を手に入れる|다운로드|받기|edinin|alın|indirin"
    r"|letöltése|beszerzése)"
)
_LINK = r"(?::?\s?[<(\[]?https?:\S{1,150})?"
_EXCUSE = (
    r"(?:(?:please )?(?:excuse|forgive|pardon) (?:my|the|any) (?:brevity|typos)(?: and (?:brevity|typos))?"
    r"|(?:bitte )?entschuldigen sie (?:die|meine) kürze|(?:veuillez )?excuse[rz] (?:ma|la) brièveté"
    r"|(?:por favor, )?(?:disculpa|disculpe|perdona|perdone) (?:mi|la) brevedad|get the app)[.!]?"
)
_MODEL = rf"(?: {_WORD}){{0,7}}(?:, an? (?:{_WORD} ){{1,3}}smartphone)?"
_CALLED = (
    rf"(?: (?:(?=[a-z-]{{0,14}}(?-i:[A-Z])|\d){_WORD}|for|on|using|via|with|from|by|and|an?|the|my|secure"
    r"|e?mail|e-mail|app|mobile|wireless|device|tablet|(?:smart)?phone|client|messenger)){0,7}"
    rf"(?:, an? (?:{_WORD} ){{1,3}}smartphone)?"
)
"""The rest of a name, in English: another word makes it a sentence ("Sent via Outlook yesterday")."""

TAGLINE = (
    rf"(?:(?:sent from (?:(?:my|the|an?) (?:{_WORD} ){{0,5}}?)?{_BRAND}|sent from {_OWN_PHONE}"
    rf"|sent (?:securely )?(?:via|with|using) (?:(?:my|the) (?:{_WORD} ){{0,2}}?)?{_BRAND}){_CALLED}"
    rf"|(?:{_SENT_FROM}[ '’]?(?:{_WORD} ){{0,5}}?(?:\w{{1,6}}['’]|我的 ?)?{_BRAND}"
    rf"|{_SENT_FROM} {_OWN_PHONE}){_MODEL}"
    rf"|{_SENT_LAST_FROM}(?:{_WORD} ){{0,4}}?(?:我的 ?)?{_BRAND}{_MODEL} ?{_SENT_LAST}"
    rf"|(?:von|(?:sicher )?mit) (?:(?:{_WORD} ){{0,4}}?{_BRAND}{_MODEL}|{_OWN_PHONE})"
    r" (?:gesendet|verschickt|versendet)"
    rf"|diese nachricht wurde von (?:{_WORD} ){{0,3}}?(?:{_BRAND}|{_OWN_PHONE}){_MODEL}"
    rf"|{_GET} (?:{_WORD} ){{0,4}}?outlook(?: {_WORD}){{0,4}}? ?(?:ios|android)(?::?\w{{0,6}})?"
    r"|(?:获取|取得|下載|下载)(?:适用于|適用於).{0,12}outlook"
    rf"|(?:az )?outlook (?:{_WORD} ){{0,3}}?(?:ios|android)\S{{0,8}} ?{_GET_LAST}"
    rf"|outlook {_GET_LAST} (?:ios|android)\S{{0,5}}"
    rf"|(?:ios|android) ?(?:용|用|için) ?outlook\S{{0,3}} ?{_GET_LAST}"
    r"|[^.!?]{0,40}outlook[^.!?]{0,40}(?:ios|android)[^.!?]{0,20}(?=[<(\[]https?:)"
    r"|get (?:bluemail|typeapp|spark|aqua mail) for .{1,40}|yahoo mail ?: ?\w+, \w+[^.?!:]{0,40}"
    r"|.{0,80}\bvir(?:us|en).{0,80}\b(?:avast|avg)\.com.{0,40})"
    rf"[.!]?{_LINK}(?:[.!,]? ?{_EXCUSE})?|{_EXCUSE}|sent securely with .{{1,40}}"
)
"""A line that a telephone or a program puts under what was written."""

DISCLAIMED = (
    r"confidenti|confidenciai?|riservat|vertraulich|vertrouwelijk|poufn|конфиденц|конфіденц|поверител"
    r"|konfidenti|fortrolig|luottamuksell|důvěrn|dôvern|bizalmas|gizli|εμπιστευτικ|机密|機密|保密|秘密|기밀"
    r"|סודי|סרי|povjerljiv|zaupn|intended (?:only |solely )?for|intended recipient"
)
DISCLAIMED_MAIL = (
    r"\be-?mails?\b|\bmail|message|nachricht|mensaje|mensagem|messaggio|courriel|bericht|wiadomoś|сообщени"
    r"|письмо|повідомлен|лист|meddeland|meddelelse|viesti|zpráv|správ|üzenet|levél|ileti|mesaj|μήνυμα|邮件|郵件"
    r"|メール|메일|הודע|رسال|poruk|sporočil|missatge|mesaj"
)
DISCLAIMED_TO = (
    r"recipient|address(?:ee|ed)|individual or entity|in error|by mistake|empfänger|adressat|irrtümlich"
    r"|destinat|par erreur|por error|per errore|por engano|geadresseerde|ontvanger|abusievelijk|ten onrechte"
    r"|odbiorc|adresat|omyłk|mottagar|mottaker|modtager|av misstag|ved en feil|ved en fejl|vastaanottaj"
    r"|erehdyksess|příjemc|príjemc|omylem|omylom|címzett|tévedés|alıcı|yanlışlıkla|παραλήπτ|αποδέκτ|λάθος"
    r"|получател|адресат|ошиб|одержувач|отримувач|помилк|получач|погреш|收件人|收件者|误|誤|宛先|受信者|수신인|수신자|잘못"
    r"|נמען|בטעות|المرسل إليه|بالخطأ|primatelj|prejemnik|naslovnik|pomot|grešk"
)
"""A paragraph that a company puts under all of its mails: it speaks of all three, and nobody speaks in it."""

MYSELF = r"(?<![\w'’])(?:(?-i:I)|ich|yo|io|eu|ik|jag|jeg|ja|я)(?![\w-])"
"""Somebody who speaks of himself."""

FOOTER = (
    r"(?:this|the) (?:e-?mail|mail|message)\b.{0,60}\b(?:scanned|checked|verified|screened|tested)\b"
    r"|(?:e-?mail |virus |spam |message )?(?:scanned|checked) by \S.{0,40}$"
    r"|no virus(?:es)? (?:was |were )?found\b|virus[- ]free\b"
    r"|you received this (?:e-?mail|message) because you are subscribed\b"
    r"|diese (?:e-?mail|mail|nachricht) wurde .{0,60}(?:geprüft|gescannt|überprüft)"
    r"|l['’]absence de virus|ce (?:courriel|courrier|message|mail)\b.{0,60}\b(?:analysé|vérifié)"
    r"|(?:este|el) (?:correo|mensaje|software)\b.{0,80}\b(?:analizado|escaneado|comprobado)"
)
"""How the notice of a scanner or a list begins, where it is a part of its own."""

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

AWAY_ALONE = (
    r"(?:i am |i['’]m |we are )?(?:currently )?(?:out[ -]of[ -](?:the |my )?office|not in the office"
    r"|away from (?:the |my )?office|on (?:vacation|holidays?|(?:annual |parental |maternity )?leave"
    r"|pto))|out[ -]of[ -](?:the |my )?office (?:message|notice|notification|response)|oo[of]"
    r"|vacation (?:reply|notice|message)|abwesenheit(?:s(?:meldung|info|mail))?|abwesend"
    r"|(?:ich bin )?(?:zur ?zeit |derzeit |aktuell )?(?:nicht im (?:büro|haus)|im urlaub|außer haus)"
    r"|urlaub(?:s(?:notiz|meldung|vertretung))?|automatische (?:rück)?(?:antwort|meldung)"
    r"|(?:je suis )?(?:actuellement )?(?:absente?(?: du bureau)?|en (?:congés?|vacances)|hors du bureau)"
    r"|avis d['’]absence|absence(?: temporaire)?|(?:estoy )?(?:ausente(?: de la oficina)?|de vacaciones"
    r"|fuera de (?:la |mi )?oficina)|mensaje de ausencia|(?:sono )?(?:assente|fuori (?:ufficio|sede)"
    r"|in ferie)(?: dall['’]ufficio)?|assenza(?: dall['’]ufficio)?|(?:ik ben )?(?:afwezig|niet (?:op"
    r"|in) (?:het )?kantoor|(?:met|op) vakantie)|afwezigheid(?:sassistent)?"
    r"|(?:estou )?(?:ausente do escritório|fora do escritório|de férias)|ausência(?: do escritório)?"
    r"|(?:jestem )?(?:poza biurem|nieobecn[ya]|na urlopie)|nieobecność(?: w biurze)?"
    r"|(?:jag är )?(?:frånvarande|på semester|inte på kontoret)|frånvaro"
    r"|(?:jeg er )?(?:ikke (?:til ?stede|på kontoret)|fraværende|på ferie)|fravær(?:s(?:besked"
    r"|melding))?|(?:olen )?(?:poissa(?: toimistosta)?|lomalla)|poissaolo(?:ilmoitus|viesti)?"
    r"|(?:я )?(?:вне офиса|нет (?:на месте|в офисе)|в отпуске)|отсутствие(?: на рабочем месте)?"
    r"|(?:я )?(?:поза офісом|у відпустці)"
    r"|不在(?:通知|のお知らせ|にしております)?|外出中|休暇中|不在办公室|不在辦公室|外出|休假中?"
    r"|부재 ?중(?: 자동 ?응답)?|(?:ofis|ofiste) (?:dışında(?:yım)?|değilim)|(?:yıllık )?izinde(?:yim)?"
    r"|mimo kancelář|(?:jsem )?(?:nepřítomen|na dovolené)|nepřítomnost|(?:irodán|házon) kívül"
    r"|szabadságon(?: vagyok)?|εκτός γραφείου|σε άδεια|מחוץ למשרד|בחופשה|خارج المكتب|في إجازة"
    r"|în afara biroului|(?:sunt )?în concediu|odsot(?:en|na|nost)|na dopustu"
)
"""Such a subject without anything behind it, in answer to a mail of ours."""

AWAY_TIME = (
    r"[\s,;:(–-]+(?:(?:until|till?|through|back|returning|bis|zurück|jusqu|hasta|fino|tot|até|do|t\.?o\.?m"
    r"|til|fra|до|по)\b|(?:\w+ )?\d).{0,60}"
)
"""How long, behind either."""

RECEIPT = (
    r"read|not read|gelesen|ungelesen gelöscht|lu|non lu|leído|no leído|letto|non letto|gelezen|lida"
    r"|przeczytane|läst|læst|lest|luettu|прочтено|прочитано|開封済み|已读|已讀|읽음|okundu|přečteno"
    r"|elolvasva|διαβάστηκε|נקרא"
)
"""The same of a receipt that the mail was opened."""
