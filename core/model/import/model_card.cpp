#include "model/import/model_card.h"

#include "base/json.h"
#include "base/text.h"

namespace fettle::model {

namespace {

constexpr std::uint64_t kMostBytes = 1 << 20; // of a card

/// A scalar as YAML writes it: without its comment and quotes.
std::string plainValue(std::string_view text)
{
    std::string value = trimmed(text);
    if (value.size() > 1 && (value.front() == '"' || value.front() == '\'')) {
        const auto end = value.find(value.front(), 1);
        return end == std::string::npos ? value : value.substr(1, end - 1);
    }
    if (const auto comment = value.find(" #"); comment != std::string::npos)
        value = trimmed(std::string_view(value).substr(0, comment));
    return value;
}

void addFlowList(const std::string& text, std::vector<std::string>& values)
{
    const auto end = text.rfind(']');
    for (const auto& part :
         splitOn(text.substr(1, end == std::string::npos ? end : end - 1), ',')) {
        if (auto value = plainValue(part); !value.empty())
            values.push_back(std::move(value));
    }
}

/// The lines of the front matter; empty when the card has none.
std::vector<std::string> headLines(const std::string& card)
{
    if (!card.starts_with("---"))
        return {};
    const auto end = card.find("\n---", 3);
    if (end == std::string::npos)
        return {};
    auto lines = splitOn(std::string_view(card).substr(0, end), '\n');
    lines.erase(lines.begin());
    return lines;
}

std::string first(const std::vector<std::string>& values)
{
    return values.empty() ? std::string() : values.front();
}

std::string firstHeading(const std::string& card)
{
    for (const auto& line : splitOn(card, '\n')) {
        if (line.starts_with("# "))
            return trimmed(std::string_view(line).substr(2));
    }
    return {};
}

} // namespace

std::vector<std::string> frontMatter(const std::string& card, const std::string& key)
{
    std::vector<std::string> values;
    bool inside = false;
    for (const auto& line : headLines(card)) {
        const auto text = trimmed(line);
        if (inside) {
            // A list's lines may stand at the margin or be indented; the next key ends it.
            if (text.starts_with("- ")) {
                values.push_back(plainValue(std::string_view(text).substr(2)));
                continue;
            }
            if (text.empty() || text.starts_with('#'))
                continue;
            break;
        }
        if (!line.starts_with(key + ":"))
            continue;
        const auto value = trimmed(std::string_view(line).substr(key.size() + 1));
        if (value.starts_with('['))
            addFlowList(value, values);
        else if (!value.empty() && !value.starts_with('#'))
            values.push_back(plainValue(value));
        if (!values.empty())
            break;
        inside = true;
    }
    return values;
}

ModelCard readModelCard(const std::filesystem::path& folder)
{
    ModelCard card;
    const auto text = readFile(folder / "README.md", kMostBytes);
    if (!text || !isValidUtf8(*text))
        return card;
    card.title = firstHeading(*text);
    card.licence = first(frontMatter(*text, "license"));
    card.licenceName = first(frontMatter(*text, "license_name"));
    card.languages = frontMatter(*text, "language");
    card.baseModels = frontMatter(*text, "base_model");
    return card;
}

} // namespace fettle::model
