#pragma once

#include "text/json_parts.h"
#include "text/pre_tokenizers.h"

namespace fettle::text {

/// Settings that the Metaspace pre-tokenizer and decoder share.
struct Metaspace
{
    enum class Prepend
    {
        Always,
        First,
        Never
    };

    static Result<Metaspace> fromJson(const JsonPart& part);

    std::string replacement = "\xE2\x96\x81"; ///< U+2581
    Prepend prepend = Prepend::Always;
    bool split = true;
};

/// Writes spaces as the replacement, puts one in front, and starts a piece at each.
class MetaspaceSplit final : public PreTokenizer
{
public:
    explicit MetaspaceSplit(Metaspace settings)
        : m_settings(std::move(settings))
    {
    }
    void apply(Pieces& pieces) const override;
    double growth() const override
    {
        return 1 + static_cast<double>(m_settings.replacement.size());
    }

private:
    Piece withMarks(const Piece& piece, bool inFront, Pieces& pieces) const;

    Metaspace m_settings;
};

} // namespace fettle::text
