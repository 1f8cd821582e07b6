#include "text/post_processors.h"

#include "text/json_parts.h"

#include <fmt/format.h>

namespace fettle::text {

namespace {

using IdOf = std::function<std::optional<TokenId>(const std::string&)>;

/// Ids of one special token of a template, checked against the vocabulary.
Result<std::vector<TokenId>> templateIds(const JsonPart& part, const std::string& name,
                                         const IdOf& idOf)
{
    const Json& tokens = part.child("special_tokens");
    const auto found = tokens.is_object() ? tokens.find(name) : tokens.end();
    if (!tokens.is_object() || found == tokens.end() || !found->is_object())
        return part.invalid("the template names a special token that it does not describe");
    const JsonPart token(*found, part.place() + "/special_tokens");
    const Json &ids = token.child("ids"), &texts = token.child("tokens");
    if (!ids.is_array() || !texts.is_array() || ids.size() != texts.size())
        return token.badKinds();
    std::vector<TokenId> out;
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (!ids[i].is_number_integer() || !texts[i].is_string())
            return token.badKinds();
        const auto id = idOf(texts[i].get<std::string>());
        if (!id || *id != ids[i].get<std::int64_t>())
            return token.invalid(
                fmt::format("the number {} is not the one of its token in the vocabulary",
                            ids[i].get<std::int64_t>()));
        out.push_back(*id);
    }
    return out;
}

Result<Surround> fromTemplate(const JsonPart& part, const IdOf& idOf)
{
    if (auto known = part.onlyKeys({"type", "single", "pair", "special_tokens"}); !known)
        return known.error();
    const Json& single = part.child("single");
    if (!single.is_array())
        return part.badKinds();
    Surround out;
    bool sequenceSeen = false;
    for (const Json& item : single) {
        if (item.is_object() && item.contains("Sequence")) {
            if (std::exchange(sequenceSeen, true))
                return part.unknown("a template that repeats its text");
        } else if (item.is_object() && item.contains("SpecialToken") &&
                   item["SpecialToken"].is_object()) {
            const Json& id = JsonPart(item["SpecialToken"], part.place()).child("id");
            auto ids = id.is_string() ? templateIds(part, id.get<std::string>(), idOf)
                                      : Result<std::vector<TokenId>>(part.badKinds());
            if (!ids)
                return ids.error();
            auto& side = sequenceSeen ? out.after : out.before;
            side.insert(side.end(), ids->begin(), ids->end());
        } else {
            return part.badKinds();
        }
    }
    if (!sequenceSeen)
        return part.invalid("the template has no place for the text");
    return out;
}

/// What ByteLevel and RobertaProcessing say of offsets.
Result<Surround> withTrimming(const JsonPart& part, Surround out)
{
    const bool trims = part.type() != "BertProcessing";
    const auto trim = part.flag("trim_offsets", trims), space = part.flag("add_prefix_space", true);
    if (!trim || !space)
        return part.badKinds();
    out.trimOffsets = *trim;
    out.addedPrefixSpace = *space;
    return out;
}

/// BertProcessing and RobertaProcessing: "cls" and "sep" as [token, id].
Result<Surround> fromPair(const JsonPart& part, const IdOf& idOf)
{
    if (auto known = part.onlyKeys({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
        !known)
        return known.error();
    Surround out;
    for (const char* key : {"cls", "sep"}) {
        const Json& token = part.child(key);
        if (!token.is_array() || token.size() != 2 || !token[0].is_string() ||
            !token[1].is_number_integer())
            return part.badKinds();
        const auto id = idOf(token[0].get<std::string>());
        if (!id || *id != token[1].get<std::int64_t>())
            return part.invalid(
                fmt::format("the number of \"{}\" is not the one of its token", key));
        (std::string_view(key) == "cls" ? out.before : out.after).push_back(*id);
    }
    return withTrimming(part, std::move(out));
}

Result<Surround> read(const JsonPart& part, const IdOf& idOf, int depth)
{
    const std::string type = part.type();
    if (depth > 16)
        return part.invalid("sequences are nested too deeply");
    if (type == "ByteLevel") {
        if (auto known = part.onlyKeys({"type", "add_prefix_space", "trim_offsets", "use_regex"});
            !known)
            return known.error();
        return withTrimming(part, {});
    }
    if (type == "TemplateProcessing")
        return fromTemplate(part, idOf);
    if (type == "BertProcessing" || type == "RobertaProcessing")
        return fromPair(part, idOf);
    if (type != "Sequence")
        return part.unknown(fmt::format("the post-processor \"{}\"", type));
    if (auto known = part.onlyKeys({"type", "processors"}); !known)
        return known.error();
    const Json& list = part.child("processors");
    if (!list.is_array())
        return part.badKinds();
    Surround out;
    for (std::size_t i = 0; i < list.size(); ++i) {
        auto step = read(JsonPart(list[i], fmt::format("{}/processors/{}", part.place(), i)), idOf,
                         depth + 1);
        if (!step)
            return step;
        out.before.insert(out.before.begin(), step->before.begin(), step->before.end());
        out.after.insert(out.after.end(), step->after.begin(), step->after.end());
        if (step->trimOffsets) {
            out.trimOffsets = true;
            out.addedPrefixSpace = step->addedPrefixSpace;
        }
    }
    return out;
}

} // namespace

Result<Surround> readPostProcessor(const Json& json, const IdOf& idOf)
{
    if (json.is_null())
        return Surround{};
    return read(JsonPart(json, "/post_processor"), idOf, 0);
}

} // namespace fettle::text
