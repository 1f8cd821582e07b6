#include "model/import/grow_vocabulary.h"

#include "model/import/export_files.h"
#include "model/import/hf_folder.h"
#include "model/import/meter.h"
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

/// Whether a weight has a row for each token.
bool isTable(const ModelConfig& config, const std::string& name)
{
    return name == config.names.embedding + ".weight" || name == config.names.head + ".weight" ||
           name == config.names.head + ".bias";
}

/// The weights of the model with `rows` rows in the tables of tokens.
std::vector<tensor::TensorPlan> planOf(const ModelFiles& files, std::int64_t rows)
{
    std::vector<tensor::TensorPlan> plan;
    for (const auto& weight : expectedWeights(files.config())) {
        auto shape = weight.shape;
        if (isTable(files.config(), weight.name))
            shape[0] = rows;
        plan.push_back({weight.name, files.find(weight.name)->dtype, shape});
    }
    return plan;
}

std::int64_t rowsFor(const ModelConfig& config, const text::TokensAdded& added,
                     std::int64_t multiple)
{
    const auto wanted = std::max(config.vocab, added.vocabSize);
    return (wanted + multiple - 1) / multiple * multiple;
}

Result<void> copyFiles(const fs::path& from, const fs::path& to)
{
    for (const auto& entry : fs::directory_iterator(from)) {
        const auto text = readFile(entry.path());
        if (!text)
            return text.error();
        if (auto written = writeFileAtomically(to / entry.path().filename(), *text); !written)
            return written;
    }
    return {};
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

/// Weights with further rows, the new tokenizer's files, and a configuration that knows of them.
Result<void> writeGrown(const fs::path& folder, const fs::path& tokenizer, const ModelFiles& files,
                        const text::TokensAdded& added, const VocabularyGrowth& growth,
                        const ImportProgress& progress, std::stop_token stop)
{
    const auto rows = rowsFor(files.config(), added, growth.multiple);
    const auto plan = planOf(files, rows);
    const auto total = totalBytes(plan);
    if (!total)
        return total.error();
    Meter meter(progress, std::move(stop), *total);
    const auto give = [&](const tensor::TensorPlan& item, const PartSink& sink) -> Result<void> {
        const auto& info = *files.find(item.name);
        if (isTable(files.config(), item.name))
            return GrownTable(info, added, growth.start).give(item, meter.counted(sink));
        return meter.counted(sink)(info.bytes.data(), info.bytes.size());
    };
    if (auto written = writeModelFolder(folder, files.folder(), plan, give); !written)
        return written;
    if (auto copied = copyFiles(tokenizer, folder); !copied)
        return copied;
    return writeRows(folder, rows);
}

} // namespace

Result<GrownModel> growVocabulary(const fs::path& source, const fs::path& target,
                                  const VocabularyGrowth& growth, const ImportProgress& progress,
                                  std::stop_token stop)
{
    if (growth.multiple < 1 || growth.multiple > 65536)
        return Error{ErrorCode::InvalidInput, "rows cannot be rounded up to this multiple",
                     "multiple", "Use a number from 1 to 65536, such as 64"};
    const auto files = ModelFiles::open(source);
    if (!files)
        return files.error();
    if (auto writes = requireWriter(files->config(), source.filename().string()); !writes)
        return writes.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made.error();
    const auto tokenizer = staged.path() / "tokenizer", inside = staged.path() / "model";
    fs::create_directory(tokenizer);
    const auto added = text::addTokens(source, tokenizer, growth.tokens);
    if (!added)
        return added.error();
    if (auto written =
            writeGrown(inside, tokenizer, *files, *added, growth, progress, std::move(stop));
        !written)
        return written.error();
    auto grown = ModelFiles::open(inside);
    if (!grown)
        return grown.error();
    if (auto published = publishFolder(inside, target); !published)
        return published.error();
    return GrownModel{{target, grown->config(), grown->warnings()}, *added};
}

} // namespace fettle::model
