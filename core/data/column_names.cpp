#include "data/column_names.h"

#include "data/normalise.h"

#include <algorithm>

namespace fettle::data {

const std::vector<RoleNames>& roleNames()
{
    static const std::vector<RoleNames> names = {
        {"instruction",
         {"instruction", "instructions", "anweisung", "anleitung", "instrucción", "instruccion",
          "istruzione", "instrução", "consigne", "instructie", "instrukcja", "инструкция", "指令"},
         {}},
        {"question",
         {"question", "prompt",  "query",     "input",    "frage",   "anfrage",
          "eingabe",  "aufgabe", "pregunta",  "consulta", "entrada", "demande",
          "entrée",   "domanda", "richiesta", "pergunta", "vraag",   "pytanie",
          "fråga",    "вопрос",  "问题",      "質問",     "질문"},
         {"description", "source",  "source_text", "src",          "questions",
          "user",        "human",   "request",     "beschreibung", "ausgangstext",
          "quelltext",   "quelle",  "descripción", "descripcion",  "descrizione",
          "descrição",   "article", "document",    "letter",       "brief",
          "text",        "q"}},
        {"answer",
         {"answer",     "output",       "response",
          "completion", "summary",      "target",
          "antwort",    "ausgabe",      "zusammenfassung",
          "respuesta",  "salida",       "resumen",
          "réponse",    "reponse",      "sortie",
          "résumé",     "risposta",     "riassunto",
          "resposta",   "saída",        "resumo",
          "antwoord",   "samenvatting", "odpowiedź",
          "svar",       "ответ",        "回答",
          "答案",       "답변"},
         {"answers",    "target_text", "tgt",        "translation", "reply",
          "assistant",  "solution",    "result",     "highlights",  "ziel",
          "zieltext",   "übersetzung", "traducción", "traduccion",  "traduction",
          "traduzione", "tradução",    "lösung",     "ergebnis",    "a"}},
        {"text",
         {"text", "texte", "texto", "testo", "tekst", "document", "dokument", "content", "inhalt",
          "sentence", "satz", "текст", "文本"},
         {"texts", "body", "passage", "review", "comment", "message", "description", "beschreibung",
          "descripción", "descripcion", "descrizione", "descrição", "question", "frage", "input",
          "prompt"}},
        {"label",
         {"label", "class", "category", "klasse", "kategorie", "etikett", "classe", "catégorie",
          "categoria", "categoría", "étiquette", "etichetta", "etiqueta", "clase", "категория",
          "класс", "метка", "标签"},
         {"labels", "section", "sentiment", "topic", "intent", "thema", "rubrik", "abschnitt",
          "sección"}},
        {"messages",
         {"messages", "conversations", "conversation", "dialog", "dialogue", "turns"},
         {}},
        {"system", {"system", "system_prompt"}, {}},
        {"history", {"history"}, {}},
        {"tools", {"tools"}, {}},
        {"split", {"split"}, {}},
        {"group", {"group", "group_id", "gruppe", "grupo", "groupe", "gruppo"}, {}},
    };
    return names;
}

bool isKnownColumnName(const std::string& name)
{
    const std::string folded = foldedName(name);
    const auto& names = roleNames();
    return std::any_of(names.begin(), names.end(), [&](const RoleNames& entry) {
        return std::find(entry.strong.begin(), entry.strong.end(), folded) != entry.strong.end() ||
               std::find(entry.weak.begin(), entry.weak.end(), folded) != entry.weak.end();
    });
}

} // namespace fettle::data
