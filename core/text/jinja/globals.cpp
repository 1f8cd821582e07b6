#include "text/jinja/evaluator.h"

#include <fmt/format.h>

namespace fettle::text::jinja {

namespace {

Value range(Evaluator& e, const Callable&, const Arguments& a)
{
    std::int64_t numbers[3] = {0, 0, 1};
    if (a.positional.empty() || a.positional.size() > 3)
        throw TemplateError("range takes one to three whole numbers");
    for (std::size_t i = 0; i < a.positional.size(); ++i) {
        const auto number = a.positional[i].asInteger();
        if (!number)
            throw TemplateError(
                fmt::format("range takes whole numbers, not {}", typeName(a.positional[i])));
        numbers[a.positional.size() == 1 ? 1 : i] = *number;
    }
    const auto [start, stop, step] = numbers;
    if (step == 0)
        throw TemplateError("the step of range is zero");
    std::vector<Value> items;
    for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (static_cast<std::int64_t>(items.size()) >= kMaxRange)
            throw TemplateError(fmt::format("range gives more than {} numbers", kMaxRange));
        items.push_back(Value::integer(i));
        if (__builtin_add_overflow(i, step, &i))
            break;
    }
    e.budget().step(static_cast<std::int64_t>(items.size() / 16));
    return e.list(std::move(items), ListKind::Range);
}

std::vector<std::pair<Value, Value>> entriesOf(Evaluator& e, const Arguments& a)
{
    std::vector<std::pair<Value, Value>> entries;
    for (const Value& value : a.positional) {
        const DictNode* dict = value.dict();
        if (!dict)
            throw TemplateError("a dict or a namespace is made from a dict or from names");
        entries.insert(entries.end(), dict->entries.begin(), dict->entries.end());
    }
    for (const auto& [name, value] : a.named)
        entries.emplace_back(e.text(name, kTrusted), value);
    return entries;
}

Value makeDict(Evaluator& e, const Callable&, const Arguments& a)
{
    return e.dict(entriesOf(e, a));
}

Value makeNamespace(Evaluator& e, const Callable&, const Arguments& a)
{
    Value out = e.space();
    for (auto& [key, value] : entriesOf(e, a))
        out.space()->entries.emplace_back(printed(key).text(), value);
    return out;
}

/// What the template itself says; parts that come from messages are left out of the sentence.
Value raise(Evaluator&, const Callable&, const Arguments& a)
{
    const Value* given = a.find("message", 0);
    const Marked message = given ? printed(*given) : Marked();
    std::string sentence;
    std::size_t at = 0;
    for (const Marked::Run& run : message.runs()) {
        sentence += (run.origin.flags & kTrusted) ? message.text().substr(at, run.end - at) : "...";
        at = run.end;
    }
    std::erase_if(sentence, [](unsigned char c) { return c < 0x20 && c != '\n'; });
    while (sentence.ends_with('\n') || sentence.ends_with("....") ||
           (sentence.ends_with('.') && !sentence.ends_with("...")))
        sentence.pop_back();
    throw TemplateError(sentence.empty() ? "the template refuses these messages" : sentence);
}

Value strftimeNow(Evaluator& e, const Callable&, const Arguments& a)
{
    const Value* given = a.find("format", 0);
    const std::string format =
        needText(given ? *given : Value(), "the format of strftime_now").text();
    char buffer[1024];
    if (format.empty())
        return e.text("", kTrusted);
    if (format.size() > 256 || std::strftime(buffer, sizeof buffer, format.c_str(), &e.now()) == 0)
        throw TemplateError("the format of strftime_now is too long or gives nothing");
    return e.text(buffer, kTrusted);
}

} // namespace

void defineGlobals(Evaluator& evaluator)
{
    static constexpr std::pair<const char*, MethodFunction> kFunctions[] = {
        {"range", range},
        {"dict", makeDict},
        {"namespace", makeNamespace},
        {"raise_exception", raise},
        {"strftime_now", strftimeNow}};
    for (const auto& [name, function] : kFunctions) {
        auto callable = std::make_shared<Callable>();
        callable->name = std::string("function ") + name;
        callable->function = function;
        evaluator.define(name,
                         Value(Value::Data(std::shared_ptr<const Callable>(std::move(callable)))));
    }
}

} // namespace fettle::text::jinja
