#pragma once

#include "base/json.h"
#include "text/regex.h"

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace fettle::model {

/// adapter_config.json of a LoRA adapter, as the PEFT library reads it.
class AdapterConfig
{
public:
    /// Errors: NotFound; InvalidInput naming the key and what it must be; Unsupported naming the
    /// method or setting that changes the meaning in a way this program does not know.
    static Result<AdapterConfig> read(const std::filesystem::path& folder);
    static Result<AdapterConfig> parse(const std::string& text, const std::string& where);

    /// Whether a module gets an update: the targets match, and neither exclude_modules,
    /// modules_to_save nor layers_to_transform take it out. `linear`: it is a matrix of a block.
    bool targets(const std::string& module, bool linear) const;
    /// No targets in the file: those that it has weights for are meant.
    bool targetsUnknown() const { return m_targetsUnknown; }
    /// Whether modules_to_save names this module or one around it, as PEFT looks for them.
    bool savesWhole(const std::string& module) const;
    std::int64_t rankOf(const std::string& module) const;
    /// What B A is multiplied with.
    double scaleOf(const std::string& module) const;

    bool usesDora() const { return m_dora; }
    bool hasLoraBias() const { return m_loraBias; }
    bool savesBiases() const { return m_biases; }
    /// As the file names the base; empty when it does not.
    const std::string& baseModel() const { return m_baseModel; }

private:
    struct Pattern
    {
        std::shared_ptr<const text::Regex> regex;
        double value = 0;
    };
    using Regexes = std::vector<std::shared_ptr<const text::Regex>>;

    Result<void> readSupported(const OrderedJson& json, const std::string& where);
    Result<void> readNumbers(const OrderedJson& json, const std::string& where);
    Result<void> readTargets(const OrderedJson& json, const std::string& where);
    Result<void> readLayers(const OrderedJson& json, const std::string& where);
    bool layerFits(const std::string& module) const;

    std::set<std::string> m_targets, m_excluded;
    std::shared_ptr<const text::Regex> m_targetRegex, m_excludeRegex;
    bool m_allLinear = false, m_targetsUnknown = false;
    std::vector<std::string> m_whole; ///< modules_to_save
    std::optional<std::set<std::int64_t>> m_layers;
    Regexes m_layerPatterns; ///< the text up to the layer's number
    std::int64_t m_rank = 8;
    double m_alpha = 8;
    std::vector<Pattern> m_ranks, m_alphas; ///< the first that matches counts
    bool m_rankStabilised = false, m_dora = false, m_loraBias = false, m_biases = false;
    std::string m_baseModel;
};

} // namespace fettle::model
