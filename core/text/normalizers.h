#pragma once

#include "base/json.h"
#include "text/aligned_text.h"

#include <memory>
#include <vector>

namespace fettle::text {

/// One step of a normalizer of tokenizer.json. Immutable after loading.
class Normalizer
{
public:
    virtual ~Normalizer() = default;
    /// Well-formed UTF-8 in and out.
    virtual void apply(std::string& text) const = 0;
    /// The same text, with the origin of each character.
    virtual void apply(AlignedText& text) const = 0;
    /// Bytes that one byte of the text can become at most.
    virtual double growth() const { return 1; }
};

using Normalizers = std::vector<std::unique_ptr<const Normalizer>>;

/// From "normalizer"; sequences are laid flat, null gives none. Errors name the part.
Result<Normalizers> readNormalizers(const Json& json);

/// A text to look for: {"String": "..."} taken literally or {"Regex": "..."}.
class Replacement
{
public:
    static Result<Replacement> fromJson(const Json& part, const std::string& place);
    void apply(std::string& text) const;
    void apply(AlignedText& text) const;
    /// Bytes that one byte of the text can become at most.
    double growth() const;

private:
    std::vector<Range> find(std::string_view text) const;

    std::string m_literal, m_content;
    std::shared_ptr<const class Regex> m_regex;
};

} // namespace fettle::text
