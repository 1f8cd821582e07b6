#include "model/import/grow_vocabulary.h"

#include "model/import/export_files.h"
#include "model/import/hf_folder.h"
#include "model/import/staged_folder.h"
#include "tensor/files/convert.h"

#include <algorithm>
#include <fmt/format.h>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPart = 4u << 20; // bytes that are handed on at once

/// A table [vocab, width] (or [vocab]) with rows for the new tokens.
class GrownTable
{
public:
    GrownTable(const tensor::TensorInfo& info, const text::TokensAdded& added, NewRows start)
        : m_info(info)
        , m_width(info.shape.size() > 1 ? static_cast<std::size_t>(info.shape[1]) : 1)
        , m_rowBytes(m_width * tensor::bitsOf(info.dtype) / 8)
    {
        const auto used = std::min(added.vocabSizeBefore, info.shape[0]);
        m_mean = meanOf(0, used);
        for (const auto& token : added.tokens) {
            if (token.isNew)
                m_rows[token.id] = start == NewRows::Mean ? m_mean : meanOfPieces(token.pieces);
        }
    }

    Result<void> give(const tensor::TensorPlan& item, const PartSink& sink) const
    {
        std::vector<std::byte> out;
        for (std::int64_t row = 0; row < item.shape[0]; ++row) {
            const auto own = m_rows.find(static_cast<text::TokenId>(row));
            const auto at = out.size();
            out.resize(at + m_rowBytes);
            if (own == m_rows.end() && row < m_info.shape[0])
                std::ranges::copy(stored(row), out.begin() + static_cast<std::ptrdiff_t>(at));
            else // rows between the tokens and the multiple start at the mean as well
                tensor::fromFloats(own == m_rows.end() ? m_mean : own->second, m_info.dtype,
                                   out.data() + at);
            if (out.size() < kPart && row + 1 < item.shape[0])
                continue;
            if (auto given = sink(out.data(), out.size()); !given)
                return given;
            out.clear();
        }
        return {};
    }

private:
    std::span<const std::byte> stored(std::int64_t row) const
    {
        return m_info.bytes.subspan(static_cast<std::size_t>(row) * m_rowBytes, m_rowBytes);
    }
    void addRow(std::int64_t row, std::vector<double>& sum) const
    {
        std::vector<float> values(m_width);
        tensor::toFloats(m_info.dtype, stored(row), values.data());
        for (std::size_t i = 0; i < m_width; ++i)
            sum[i] += values[i];
    }
    static std::vector<float> divided(const std::vector<double>& sum, std::int64_t count)
    {
        std::vector<float> mean(sum.size());
        for (std::size_t i = 0; i < sum.size(); ++i)
            mean[i] =
                static_cast<float>(sum[i] / static_cast<double>(std::max<std::int64_t>(1, count)));
        return mean;
    }
    std::vector<float> meanOf(std::int64_t first, std::int64_t end) const
    {
        std::vector<double> sum(m_width);
        for (auto row = first; row < end; ++row)
            addRow(row, sum);
        return divided(sum, end - first);
    }
    std::vector<float> meanOfPieces(const std::vector<text::TokenId>& pieces) const
    {
        std::vector<double> sum(m_width);
        std::int64_t count = 0;
        for (const auto piece : pieces) {
            if (piece < 0 || piece >= m_info.shape[0])
                continue;
            addRow(piece, sum);
            ++count;
        }
        return count == 0 ? m_mean : divided(sum, count);
    }

    const tensor::TensorInfo& m_info;
    std::size_t m_width, m_rowBytes;
    std::vector<float> m_mean;
    std::map<text::TokenId, std::vector<float>> m_rows;
};

/// The weights of the model with `rows` rows in the tables of tokens.
std::vector<tensor::TensorPlan> planOf(const ModelFiles& files, std::int64_t rows)
{
    const auto& names = files.config().names;
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : expectedWeights(files.config())) {
        auto shape = weight.shape;
        if (weight.name == names.embedding + ".weight" || weight.name == names.head + ".weight" ||
            weight.name == names.head + ".bias")
            shape[0] = rows;
        plan.push_back({weight.name, files.find(weight.name)->dtype, shape});
    }
    return plan;
}

Result<void> writeRows(const fs::path& folder, std::int64_t rows)
{
    const auto text = readFile(folder / "config.json");
    if (!text)
        return text.error();
    auto config = OrderedJson::parse(*text);
    config["vocab_size"] = rows;
    return writeFileAtomically(folder / "config.json", config.dump(2) + "\n");
}

} // namespace

Result<GrownModel> growVocabulary(const fs::path& source, const fs::path& target,
                                  const VocabularyGrowth& growth, const ImportProgress& progress,
                                  std::stop_token stop)
{
    if (growth.multiple < 1 || growth.multiple > 65536)
        return Error{ErrorCode::InvalidInput, "rows cannot be rounded up to this multiple",
                     "--multiple", "Use a number from 1 to 65536, such as 64"};
    const auto files = ModelFiles::open(source);
    if (!files)
        return files.error();
    const auto& config = files->config();
    if (auto writes = requireWriter(config, source.filename().string()); !writes)
        return writes.error();
    StagedFolder staged(target), texts(target.string() + ".tokens");
    for (auto* folder : {&staged, &texts}) {
        if (auto made = folder->create(); !made)
            return made.error();
    }
    const auto added = text::addTokens(source, texts.path(), growth.tokens);
    if (!added)
        return added.error();
    const auto wanted = std::max(config.vocab, added->vocabSize);
    const auto rows = (wanted + growth.multiple - 1) / growth.multiple * growth.multiple;
    const auto plan = planOf(*files, rows);
    const auto total = totalBytes(plan);
    if (!total)
        return total.error();
    std::uint64_t done = 0;
    const auto give = [&](const tensor::TensorPlan& item, const PartSink& sink) -> Result<void> {
        const auto counted = [&](const void* data, std::uint64_t size) -> Result<void> {
            if (stop.stop_requested())
                return Error{ErrorCode::Cancelled, "this was stopped; nothing was kept", "", ""};
            done += size;
            if (progress)
                progress(done, *total);
            return sink(data, size);
        };
        const auto& info = *files->find(item.name);
        if (!info.shape.empty() && item.shape[0] != info.shape[0])
            return GrownTable(info, *added, growth.start).give(item, counted);
        const auto& names = config.names; // spare rows are used without a change of the shape
        if (item.name == names.embedding + ".weight" || item.name == names.head + ".weight" ||
            item.name == names.head + ".bias")
            return GrownTable(info, *added, growth.start).give(item, counted);
        return counted(info.bytes.data(), info.bytes.size());
    };
    const auto inside = staged.path() / "model";
    if (auto written = writeModelFolder(inside, source, plan, give); !written)
        return written.error();
    for (const auto& entry : fs::directory_iterator(texts.path())) {
        const auto text = readFile(entry.path());
        if (!text)
            return text.error();
        if (auto written = writeFileAtomically(inside / entry.path().filename(), *text); !written)
            return written.error();
    }
    if (auto written = writeRows(inside, rows); !written)
        return written.error();
    auto grown = ModelFiles::open(inside);
    if (!grown)
        return grown.error();
    if (auto published = publishFolder(inside, target); !published)
        return published.error();
    return GrownModel{{target, grown->config(), grown->warnings()}, *added};
}

} // namespace fettle::model
