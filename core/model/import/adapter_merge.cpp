#include "model/import/adapter_merge.h"

#include "model/import/adapter.h"
#include "model/import/export_files.h"
#include "model/import/folder_files.h"
#include "model/import/meter.h"
#include "model/import/staged_folder.h"
#include "tensor/files/convert.h"
#include "text/tokenizer.h"

#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kPart = 1u << 20; // floats that are handed on at once

/// left [rows, rank] times right [rank, columns]: the update of a weight, as the weight is stored.
struct LowRank
{
    std::size_t rows = 0, columns = 0, rank = 0;
    std::vector<float> left, right;
    double scale = 1;
};

std::vector<float> turned(const AdapterTensor& tensor)
{
    const auto rows = static_cast<std::size_t>(tensor.shape[0]),
               columns = static_cast<std::size_t>(tensor.shape[1]);
    std::vector<float> out(tensor.values.size());
    for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < columns; ++j)
            out[j * rows + i] = tensor.values[i * columns + j];
    }
    return out;
}

/// (B A) of a matrix [out, in], or its transpose where the weight is stored [in, out].
LowRank lowRankOf(const AdapterUpdate& update, bool turn)
{
    LowRank low;
    low.rank = static_cast<std::size_t>(update.a.shape[0]);
    low.scale = update.scale;
    const auto in = static_cast<std::size_t>(update.a.shape[1]),
               out = static_cast<std::size_t>(update.b.shape[0]);
    low.rows = turn ? in : out;
    low.columns = turn ? out : in;
    low.left = turn ? turned(update.a) : update.b.values;
    low.right = turn ? turned(update.b) : update.a.values;
    return low;
}

/// The weights of base and adapter together.
class MergedWeights
{
public:
    MergedWeights(const ModelFiles& base, const Adapter& adapter)
        : m_base(base)
        , m_adapter(adapter)
    {
        const auto& config = base.config();
        const std::string table = config.names.embedding, head = config.names.head;
        for (const auto& weight : expectedWeights(config)) {
            m_plan.push_back({weight.name, tensor::DType::F32, weight.shape});
            m_sites[weight.name] = weight.site;
        }
        // The adapter changes one of two uses of a shared table: from now on there are two tables.
        const bool changed = touches(table) || touches(head);
        if (config.tieEmbeddings && changed)
            m_plan.push_back({head + ".weight", tensor::DType::F32, {config.vocab, config.hidden}});
    }
    const std::vector<tensor::TensorPlan>& plan() const { return m_plan; }

    Result<void> give(const tensor::TensorPlan& item, const PartSink& sink) const
    {
        const auto dot = item.name.rfind('.');
        const std::string module = item.name.substr(0, dot), part = item.name.substr(dot + 1);
        const auto found = m_adapter.updates.find(module);
        if (found == m_adapter.updates.end())
            return plain(item, sink, {}, 0);
        if (part == "bias")
            return plain(item, sink, found->second.bias.values, found->second.scale);
        return part == "weight" ? updated(item, found->second, sink) : plain(item, sink, {}, 0);
    }

private:
    bool touches(const std::string& module) const
    {
        return m_adapter.updates.contains(module) || m_adapter.whole.contains(module + ".weight");
    }

    /// Reads floats [first, first + out.size()) of the weight before the update.
    void read(const tensor::TensorPlan& item, std::size_t first, std::span<float> out) const
    {
        const auto whole = m_adapter.whole.find(item.name);
        if (whole != m_adapter.whole.end()) {
            std::copy_n(whole->second.values.begin() + static_cast<std::ptrdiff_t>(first),
                        out.size(), out.begin());
            return;
        }
        const auto& names = m_base.config().names;
        const bool tiedHead = item.name == names.head + ".weight" && m_base.config().tieEmbeddings;
        const auto* info = m_base.find(tiedHead ? names.embedding + ".weight" : item.name);
        const auto size = tensor::bitsOf(info->dtype) / 8;
        tensor::toFloats(info->dtype, info->bytes.subspan(first * size, out.size() * size),
                         out.data());
    }

    static Result<void> hand(const tensor::TensorPlan& item, std::span<const float> values,
                             const PartSink& sink)
    {
        for (const float value : values) {
            if (!std::isfinite(value))
                return Error{
                    ErrorCode::InvalidInput,
                    fmt::format("the weight {} would hold a value that is not finite", item.name),
                    "adapter", "Choose an earlier save point of the adapter"};
        }
        return sink(values.data(), values.size_bytes());
    }

    /// The base's weight, with `scale * add` where there is something to add.
    Result<void> plain(const tensor::TensorPlan& item, const PartSink& sink,
                       const std::vector<float>& add, double scale) const
    {
        std::size_t total = 1;
        for (const auto size : item.shape)
            total *= static_cast<std::size_t>(size);
        std::vector<float> values(std::min(kPart, total));
        for (std::size_t done = 0; done < total; done += values.size()) {
            values.resize(std::min(values.size(), total - done));
            read(item, done, values);
            for (std::size_t i = 0; i < values.size() && done + i < add.size(); ++i)
                values[i] = static_cast<float>(values[i] + scale * add[done + i]);
            if (auto given = hand(item, values, sink); !given)
                return given;
        }
        return {};
    }

    /// One row of W + scale * left right, in double.
    void row(const tensor::TensorPlan& item, const LowRank& low, std::size_t number,
             std::vector<float>& base, std::vector<double>& sum) const
    {
        read(item, number * low.columns, base);
        std::fill(sum.begin(), sum.end(), 0.0);
        for (std::size_t k = 0; k < low.rank; ++k) {
            const double factor = low.left[number * low.rank + k];
            const float* right = low.right.data() + k * low.columns;
            for (std::size_t j = 0; j < low.columns; ++j)
                sum[j] += factor * right[j];
        }
        for (std::size_t j = 0; j < low.columns; ++j)
            sum[j] = base[j] + low.scale * sum[j];
    }

    Result<void> updated(const tensor::TensorPlan& item, const AdapterUpdate& update,
                         const PartSink& sink) const
    {
        const bool turn =
            update.embedding || (m_sites.at(item.name) && m_base.config().transposedWeights);
        const LowRank low = lowRankOf(update, turn);
        const auto factors = factorsOf(item, update, low, turn);
        std::vector<float> base(low.columns), out;
        std::vector<double> sum(low.columns);
        for (std::size_t i = 0; i < low.rows; ++i) {
            row(item, low, i, base, sum);
            for (std::size_t j = 0; j < low.columns; ++j)
                out.push_back(
                    static_cast<float>(factors.empty() ? sum[j] : sum[j] * factors[turn ? j : i]));
            if (out.size() < kPart && i + 1 < low.rows)
                continue;
            if (auto given = hand(item, out, sink); !given)
                return given;
            out.clear();
        }
        return {};
    }

    /// DoRA: for each output, the length it has learned over the length of its row. Empty without.
    /// Source: Liu et al. 2024, "DoRA: Weight-Decomposed Low-Rank Adaptation", eq. 5.
    std::vector<double> factorsOf(const tensor::TensorPlan& item, const AdapterUpdate& update,
                                  const LowRank& low, bool turn) const
    {
        if (update.magnitude.values.empty())
            return {};
        std::vector<double> squares(turn ? low.columns : low.rows), sum(low.columns);
        std::vector<float> base(low.columns);
        for (std::size_t i = 0; i < low.rows; ++i) {
            row(item, low, i, base, sum);
            for (std::size_t j = 0; j < low.columns; ++j)
                squares[turn ? j : i] += sum[j] * sum[j];
        }
        for (std::size_t i = 0; i < squares.size(); ++i)
            squares[i] = update.magnitude.values[i] / std::sqrt(squares[i]);
        return squares;
    }

    const ModelFiles& m_base;
    const Adapter& m_adapter;
    std::vector<tensor::TensorPlan> m_plan;
    std::map<std::string, bool> m_sites;
};

bool isTokenizerFile(const fs::path& path)
{
    const auto name = path.filename().string();
    return name != "config.json" && name != "generation_config.json" &&
           !name.starts_with("README") && !name.starts_with("LICENSE") &&
           !name.starts_with("NOTICE");
}

/// Tokenizer and conversation form of the adapter, where it brings a whole one.
Result<bool> takeTokenizer(const fs::path& from, const fs::path& to)
{
    if (!text::Tokenizer::load(from))
        return false;
    std::error_code ec;
    for (const auto& path : carriedFiles(to)) {
        if (isTokenizerFile(path))
            fs::remove(path, ec);
    }
    for (const auto& path : carriedFiles(from)) {
        if (!isTokenizerFile(path))
            continue;
        const auto text = readFile(path);
        if (!text)
            return text.error();
        if (auto written = writeFileAtomically(to / path.filename(), *text); !written)
            return written.error();
    }
    return true;
}

Result<ImportedModel> checked(const fs::path& folder, const fs::path& target)
{
    auto files = ModelFiles::open(folder);
    if (!files)
        return files.error();
    const auto tokenizer = text::Tokenizer::load(folder);
    if (!tokenizer)
        return tokenizer.error();
    if ((*tokenizer)->vocabSize() > files->config().vocab)
        return Error{ErrorCode::InvalidInput,
                     fmt::format("the adapter's tokenizer has {} tokens, the base only {} rows",
                                 (*tokenizer)->vocabSize(), files->config().vocab),
                     folder.filename().string(), "Choose the base that the adapter was made for"};
    return ImportedModel{target, files->config(), files->warnings()};
}

} // namespace

Result<ImportedModel> mergeAdapter(const fs::path& folder, const fs::path& base,
                                   const fs::path& target, const ImportProgress& progress,
                                   std::stop_token stop)
{
    const auto files = ModelFiles::open(base);
    if (!files)
        return files.error();
    const auto adapter = openAdapter(folder, *files);
    if (!adapter)
        return adapter.error();
    const MergedWeights weights(*files, *adapter);
    const auto total = totalBytes(weights.plan());
    if (!total)
        return total.error();
    if (auto room = checkRoom(target, *total); !room)
        return room.error();
    StagedFolder staged(target);
    if (auto made = staged.create(); !made)
        return made.error();
    Meter meter(progress, std::move(stop), *total);
    const auto source = [&](const tensor::TensorPlan& item, const PartSink& sink) {
        return weights.give(item, meter.counted(sink));
    };
    const auto inside = staged.path() / "model";
    if (auto written = writeModelFolder(inside, base, weights.plan(), source); !written)
        return written.error();
    const auto ownTokenizer = takeTokenizer(adapter->folder, inside);
    if (!ownTokenizer)
        return ownTokenizer.error();
    auto model = checked(inside, target);
    if (!model)
        return model;
    if (auto published = publishFolder(inside, target); !published)
        return published.error();
    model->notes.push_back(
        fmt::format("made from a base and an adapter with {} updates and {} whole weights",
                    adapter->updates.size(), adapter->whole.size()));
    if (*ownTokenizer)
        model->notes.push_back("the tokenizer is the adapter's");
    return model;
}

} // namespace fettle::model
