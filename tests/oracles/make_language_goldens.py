"""Ids and character offsets of lines in thirty languages by every tokenizer of the tests (text_languages.json), and the
masks that transformers makes of templates with {% generation %} blocks (text_masks.json).

Run after make_text_goldens.py: python tests/oracles/make_language_goldens.py
Per line and tokenizer eight hexadecimal digits stand for the ids and eight for the offsets.
"""

import hashlib
import json

from tokenizers import Tokenizer

import template_goldens
from make_text_goldens import GOLDEN, VERSIONS, write
from template_messages import answer, user

# Written for the tests: the same small story everywhere, with a number, a name and a question.
LINES = [
    "Anna buys 3 apples at the market, doesn't she?", "Anna kauft auf dem Markt 3 Äpfel, nicht wahr? Straße!", "Anna achète 3 pommes au marché ; n'est-ce pas l'été ?",
    "Anna compra 3 manzanas en el mercado, ¿verdad? ¡Sí, mañana!", "Anna compra 3 mele al mercato, no? Perché è così.", "A Ana compra 3 maçãs no mercado, não é? Coração.",
    "Anna koopt 3 appels op de markt, hè? Eén ĳsje.", "Anna köper 3 äpplen på torget, eller hur? Å, ja.", "Anna køber 3 æbler på torvet, ikke? Øl og brød.", "Anna ostaa torilta 3 omenaa, eikö niin? Hyvää yötä.",
    "Anna kupuje 3 jabłka na targu, prawda? Zażółć gęślą jaźń.", "Anna kupuje na trhu 3 jablka, že? Příliš žluťoučký kůň.", "Anna 3 almát vesz a piacon, ugye? Őrült űr.", "Ana cumpără 3 mere la piață, nu-i așa? Știință.",
    "Anna pazardan 3 elma alıyor, değil mi? İstanbul'da ışık.", "Анна покупает на рынке 3 яблока, не так ли? Ёж, объект.", "Анна купує на ринку 3 яблука, чи не так? Її м’яч, ґанок.", "Анна купува 3 ябълки от пазара, нали? Щъркел.",
    "Η Άννα αγοράζει 3 μήλα από την αγορά, έτσι; Ο ΌΣΙΟΣ λόγος.", "אנה קונה 3 תפוחים בשוק, נכון? שָׁלוֹם עולם.", "آنا تشتري ٣ تفاحات من السوق، أليس كذلك؟ مَرْحَبًا.", "آنا ۳ سیب از بازار می‌خرد، مگر نه؟ کتاب‌ها.",
    "अन्ना बाज़ार से ३ सेब ख़रीदती है, है ना? क्षेत्र।", "আন্না বাজার থেকে ৩টি আপেল কেনে, তাই না? ক্ষুদ্র।", "அன்னா சந்தையில் 3 ஆப்பிள்கள் வாங்குகிறாள், இல்லையா? கோழி.", "แอนนาซื้อแอปเปิล ๓ ผลที่ตลาด ใช่ไหม น้ำใจ",
    "Anna mua 3 quả táo ở chợ, phải không? Tiếng Việt đẹp.", "アンナは市場でりんごを3個買いますね？ガギグゲゴ、ｶﾅ。", "안나는 시장에서 사과 3개를 사지요? 값이 좋다.", "安娜在市场买了3个苹果，对吧？漢字龍。", "ანა ბაზარში 3 ვაშლს ყიდულობს, არა? ქართული.",
    "Աննան շուկայից 3 խնձոր է գնում, չէ՞։ և", "አና ከገበያ 3 ፖም ትገዛለች፣ አይደል? ሰላም።", "👩‍👩‍👧‍👦 e\u0301\u0323 🇩🇪 a\u0308  x\u200dy ﬁ ½ Å\u030a\tz\n\n \u3000w ", "  <|im_start|> a<|im_end|>  b [MASK] keep",
]

BLOCKED = {
    "chatml": "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{% else %}{{ m.content + '<|im_end|>' }}{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "thoughts cut out": "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content.split('</think>')[-1].lstrip('\n') if not loop.last else m.content }}<|im_end|>{% endgeneration %}\n{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}",
    "without the end mark": "{{ '<|im_start|>' }}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content | trim }}{% endgeneration %}<|im_end|>{% elif m.role == 'user' %}[INST]{{ m.content }}[/INST]{% endif %}{% endfor %}",
    "by a macro": "{% macro say(m) %}{{ m.role ~ ': ' }}{{ m.content }}\n{% endmacro %}{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ say(m) }}{% endgeneration %}{% else %}{{ say(m) }}{% endif %}{% endfor %}",
}
CHATS = [
    ("four turns", [user("One"), answer("Two"), user(" Three "), answer("Four  ")]), ("the same text", [user("same"), answer("same"), user("same"), answer("same")]),
    ("thoughts", [user("2+2?"), answer("<think>\nadd\n</think>\n\n4"), user("3+3?"), answer("<think>\nagain\n</think>\n\n6")]), ("empty answer", [user("a"), answer(""), user("b"), answer("c")]),
    ("languages", [user("Привет 漢字 🙂 é"), answer("ẞ שלום 🙂")]), ("two answers", [user("a"), answer("b"), answer("c")]), ("answer first", [answer("a"), user("b"), answer("c")]),
]


def digits(values):
    return hashlib.sha256(",".join(map(str, values)).encode()).hexdigest()[:8]


def tokenizers_of_tests():
    yield "small", Tokenizer.from_file(str(GOLDEN / "text_small_tokenizer" / "tokenizer.json"))
    for file in ("text_variants.json", "text_models.json"):
        for name, entry in json.loads((GOLDEN / file).read_text(encoding="utf-8")).items():
            if name != "versions":
                yield name, Tokenizer.from_str(json.dumps(entry["tokenizer"]))


def mask_of(tokenizer, source, messages):
    """Ids and mask as PreTrainedTokenizerBase.apply_chat_template makes them."""
    rendered = template_goldens.render(source, messages, False, {}, mask=True)
    if isinstance(rendered, dict):
        return rendered
    text, spans = rendered
    encoding = tokenizer.encode(text, add_special_tokens=False)
    mask = [0] * len(encoding.ids)
    for start, end in spans:
        first, last = encoding.char_to_token(start), encoding.char_to_token(end - 1)
        if first is None:
            break
        for i in range(first, last + 1 if last else len(mask)):
            mask[i] = 1
    return {"ids": encoding.ids, "mask": mask}


def main():
    made = {"versions": VERSIONS, "lines": LINES}
    for name, tokenizer in tokenizers_of_tests():
        encodings = [tokenizer.encode(line) for line in LINES]
        made[name] = [[digits(e.ids), digits(place for pair in e.offsets for place in pair)] for e in encodings]
    write("text_languages.json", made)
    small = Tokenizer.from_file(str(GOLDEN / "text_small_tokenizer" / "tokenizer.json"))
    write("text_masks.json", {"versions": VERSIONS | template_goldens.VERSIONS, **{
        f"{name}, {what}": {"source": source, "messages": messages} | mask_of(small, source, messages) for name, source in BLOCKED.items() for what, messages in CHATS}})


if __name__ == "__main__":
    main()
