#include "ui/data/encoder_cache.h"

#include <set>

namespace fettle::ui {

namespace {

constexpr std::int64_t kPage = 1000;

/// All classes of a dataset of texts with classes, sorted.
std::vector<std::string> classesOf(const store::Dataset& dataset)
{
    std::set<std::string> classes;
    for (std::int64_t at = 0;; at += kPage) {
        const auto rows = dataset.rows({}, at, kPage);
        for (const auto& row : rows) {
            if (row.example.kind != data::RecordKind::Labelled)
                return {};
            classes.insert(row.example.label);
        }
        if (rows.size() < static_cast<std::size_t>(kPage))
            break;
    }
    return {classes.begin(), classes.end()};
}

} // namespace

Result<std::shared_ptr<const recipes::Encoder>> EncoderCache::encoder(store::Workspace& workspace,
                                                                      const std::string& model,
                                                                      store::Dataset* dataset)
{
    std::shared_ptr<const recipes::Encoder> bare;
    {
        const std::lock_guard lock(m_mutex);
        if (const auto found = m_byModel.find(model); found != m_byModel.end())
            bare = found->second;
    }
    if (!bare) {
        auto record = workspace.model(model);
        if (!record)
            return record.error();
        auto tokenizer = text::Tokenizer::load(record->folder);
        if (!tokenizer)
            return tokenizer.error();
        auto fresh = std::make_shared<recipes::Encoder>();
        fresh->tokenizer = *tokenizer;
        if (auto form = text::ChatTemplate::load(record->folder))
            fresh->chatTemplate = *form;
        bare = fresh;
        const std::lock_guard lock(m_mutex);
        m_byModel[model] = bare;
    }
    if (!dataset)
        return bare;
    auto full = std::make_shared<recipes::Encoder>(*bare);
    full->instruction = dataset->importInfo().value("instruction", std::string());
    full->labels = classesOf(*dataset);
    return std::shared_ptr<const recipes::Encoder>(full);
}

} // namespace fettle::ui
