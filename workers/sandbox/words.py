"""What the virtual people are called and what they write. What a text *means* is in the script alone."""

from __future__ import annotations

#: Whole messages with which people of a language ask to be left alone.
STOP = {
    "en": ("STOP", "Stop", "stop.", "Unsubscribe", "QUIT", "Opt out", "Cancel", "STOP!"),
    "fr": ("STOP", "ARRET", "Arrêt", "Désabonner", "arrêt !"),
    "de": ("STOP", "Stopp!", "STOPP", "Abmelden", "Abbestellen"),
    "es": ("BAJA", "Alto", "Parar", "Darse de baja", "¡ALTO!", "No más"),
    "pt": ("SAIR", "Parar", "Descadastrar", "Sair.", "Não quero"),
}

#: With which some of them come back.
START = "START"

#: What a page may answer to a STOP, once, word for word: whatever says more is an advertisement.
FAREWELLS = {
    "en": "You will get no more messages from us.",
    "fr": "Vous ne recevrez plus de messages de notre part.",
    "de": "Sie erhalten keine Nachrichten mehr von uns.",
    "es": "No recibirá más mensajes nuestros.",
    "pt": "Não receberá mais mensagens nossas.",
}

GREETINGS = {
    "en": (
        "Hi, do you ship to my city?",
        "Is the linen shirt available in M?",
        "Hello! Please don't stop making these mugs, I love them",
        "How long does delivery take?",
        "Thanks 😊",
        "What time does your store on 5th & Main close?",
    ),
    "fr": (
        "Bonjour, livrez-vous en province ?",
        "La veste existe-t-elle en bleu ?",
        "Merci beaucoup, à bientôt !",
        "Est-ce que l'arrêt de bus est devant la boutique ?",
    ),
    "de": (
        "Hallo, gibt es die Jacke auch in Größe 42?",
        "Wie lange dauert der Versand?",
        "Danke schön!",
        "Öffnet ihr am Montag um 9 Uhr?",
    ),
    "es": (
        "Hola, ¿hacen envíos?",
        "¿Tienen la camisa en azul?",
        "Muchas gracias 🙏",
        "¿Cuánto tarda en llegar mañana?",
    ),
    "pt": ("Olá, vocês entregam aqui?", "Tem essa bolsa em preto?", "Obrigada!", "Qual é o prazo até São João?"),
    "it": ("Ciao, spedite anche qui?", "Grazie mille!", "Avete la taglia più grande?"),
    "nl": ("Hallo, wanneer is dit weer leverbaar?",),
    "pl": ("Dzień dobry, czy ta bluza jest dostępna?",),
    "el": ("Γεια σας, στέλνετε και στην Κρήτη;",),
    "tr": ("Merhaba, bu ürün ne zaman gelir?",),
    "ar": ("مرحبا، هل هذا المنتج متوفر؟",),
    "hi": ("नमस्ते, क्या यह उपलब्ध है?",),
    "th": ("สวัสดีค่ะ มีสีฟ้าไหมคะ",),
    "ja": ("こんにちは、在庫はありますか?",),
    "ko": ("안녕하세요, 배송은 얼마나 걸리나요?",),
}

#: After an opt-out some still say something; it takes nothing back.
AFTERTHOUGHT = {"en": "ok thanks", "fr": "merci", "de": "danke", "es": "gracias", "pt": "obrigado"}

#: Buttons, in the page's language: (title, payload).
QUICK_REPLIES = (("Show me more", "MORE"), ("Sizes", "SIZES"), ("Track my order", "TRACK"))
NOTIFY_TITLE = "Notify me when back in stock"

FIRST_NAMES = {
    "en": ("Olivia", "Noah", "Amara", "Liam", "Grace", "Kwame", "Aisha", "Jack"),
    "fr": ("Chloé", "Léo", "Aïcha", "Hugo", "Zoé"),
    "de": ("Jürgen", "Leonie", "Björn", "Mia", "Käthe"),
    "es": ("Lucía", "José", "Martín", "Sofía", "Íñigo"),
    "pt": ("João", "Inês", "Thaís", "Conceição", "Miguel"),
    "it": ("Giulia", "Niccolò"),
    "ja": ("葵", "蓮"),
    "ko": ("서연", "민준"),
    "ar": ("ليلى", "يوسف"),
    "el": ("Ελένη", "Γιώργος"),
    "hi": ("आरव", "अनन्या"),
}
LAST_NAMES = {
    "en": ("Smith", "O'Brien", "Okafor", "Nguyen", "Taylor", "Patel"),
    "fr": ("Lefèvre", "Dubois", "Gagné"),
    "de": ("Müller", "Weiß", "Schäfer"),
    "es": ("Núñez", "García", "Peña"),
    "pt": ("Gonçalves", "Simões", "Araújo"),
}


def language(locale: str) -> str:
    """The language of a locale like ``pt_BR``."""
    return locale.partition("_")[0]
