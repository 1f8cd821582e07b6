#pragma once

#include "text/aligned_text.h"

#include <memory>

namespace fettle::text {

/// A normal form of Unicode as the reference has it: with the tables of Unicode 9; newer characters
/// stay as they are and part what stands around them.
class NormalForm
{
public:
    /// "NFC", "NFD", "NFKC" or "NFKD". Throws std::logic_error for another name or when ICU has no
    /// tables.
    explicit NormalForm(std::string_view name);
    ~NormalForm();

    void apply(std::string& text) const;
    void apply(AlignedText& text) const;

private:
    std::vector<AlignedText::Change> changes(std::string_view text) const;
    bool isNormal(const std::string& text) const;

    struct Tables;
    std::unique_ptr<const Tables> m_tables;
    bool m_composes;
};

} // namespace fettle::text
