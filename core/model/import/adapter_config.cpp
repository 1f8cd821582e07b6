#include "model/import/adapter_config.h"

#include "base/text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace fettle::model {

namespace {

constexpr std::uint64_t kMaxConfigBytes = 16u << 20;
constexpr std::int64_t kMaxRank = 65'536;

Error invalid(const std::string& where, std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), where,
            "Fetch the adapter again from its source"};
}

Error unsupported(const std::string& where, std::string what)
{
    return {ErrorCode::Unsupported, std::move(what), where,
            "Merge the adapter with the library that made it, and import the merged model"};
}

/// Nothing that would change a value: null, false, empty, zero.
bool isIdle(const OrderedJson& value)
{
    return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
           ((value.is_object() || value.is_array() || value.is_string()) && value.empty()) ||
           (value.is_number() && value.get<double>() == 0);
}

/// `pattern` must match the whole text.
Result<std::shared_ptr<const text::Regex>> wholeMatch(const std::string& pattern,
                                                      const std::string& where)
{
    auto regex = text::Regex::compile("\\A(?:" + pattern + ")\\z");
    if (!regex)
        return unsupported(where, "a pattern of this setting cannot be read here");
    return regex;
}

bool matches(const text::Regex& regex, const std::string& text)
{
    std::vector<text::Range> found;
    if (isValidUtf8(text))
        regex.findAll(text, found);
    return !found.empty() && found[0].begin == 0 && found[0].end == text.size();
}

/// The module's own name or its last parts.
bool endsWithPart(const std::string& module, const std::string& part)
{
    return module == part || module.ends_with("." + part);
}

/// `fits(path)` for the module and each one around it.
template<class Fits> bool anyAround(const std::string& module, const Fits& fits)
{
    for (std::size_t end = module.size(); end != std::string::npos;
         end = module.rfind('.', end - 1)) {
        if (fits(module.substr(0, end)))
            return true;
        if (end == 0)
            break;
    }
    return false;
}

Result<std::vector<std::string>> textList(const OrderedJson& value, const std::string& where)
{
    std::vector<std::string> texts;
    if (value.is_string())
        return std::vector<std::string>{value.get<std::string>()};
    if (!value.is_array())
        return invalid(where, "this must be a list of names");
    for (const auto& each : value) {
        if (!each.is_string())
            return invalid(where, "this must be a list of names");
        texts.push_back(each.get<std::string>());
    }
    return texts;
}

} // namespace

Result<AdapterConfig> AdapterConfig::read(const std::filesystem::path& folder)
{
    const auto text = readFile(folder / "adapter_config.json", kMaxConfigBytes);
    if (!text)
        return text.error();
    return parse(*text, (folder / "adapter_config.json").string());
}

Result<AdapterConfig> AdapterConfig::parse(const std::string& text, const std::string& where)
{
    if (const auto checked = parseJson(text, where, true); !checked) // depth and form
        return checked.error();
    const auto json = OrderedJson::parse(text, nullptr, false); // patterns count in their order
    if (!json.is_object())
        return invalid(where, "the file is not a JSON object");
    AdapterConfig config;
    for (const auto step : {&AdapterConfig::readSupported, &AdapterConfig::readNumbers,
                            &AdapterConfig::readTargets, &AdapterConfig::readLayers}) {
        if (auto read = (config.*step)(json, where); !read)
            return read.error();
    }
    return config;
}

/// What is not LoRA as we know it is refused by its name.
Result<void> AdapterConfig::readSupported(const OrderedJson& json, const std::string& where)
{
    const auto type = json.value("peft_type", OrderedJson());
    if (!type.is_string())
        return invalid(where, "the file does not say of which method the adapter is (peft_type)");
    if (type != "LORA")
        return unsupported(where,
                           fmt::format("the adapter is of the method {}, only LORA is known here",
                                       quotable(type.get<std::string>(), 40)));
    const auto task = json.value("task_type", OrderedJson());
    if (task.is_string() && task != "CAUSAL_LM" && task != "SEQ_2_SEQ_LM")
        return unsupported(where, fmt::format("the adapter is for the task {}, only CAUSAL_LM and "
                                              "SEQ_2_SEQ_LM are known here",
                                              quotable(task.get<std::string>(), 40)));
    static const std::set<std::string> known = {
        "peft_type", "task_type", "auto_mapping", "base_model_name_or_path", "revision",
        "inference_mode", "peft_version", "r", "lora_alpha", "lora_dropout", "target_modules",
        "exclude_modules", "fan_in_fan_out", "bias", "use_rslora", "modules_to_save",
        "init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern",
        "alpha_pattern", "use_dora", "lora_bias",
        // Of training and loading alone; they do not change what the weights mean.
        "runtime_config", "loftq_config", "eva_config", "corda_config", "lora_ga_config",
        "megatron_core", "megatron_config", "qalora_group_size"};
    for (const auto& [key, value] : json.items()) {
        if (!known.contains(key) && !isIdle(value))
            return unsupported(
                where, fmt::format("the adapter uses the setting {}, which is not known here",
                                   quotable(key)));
    }
    const auto start = json.value("init_lora_weights", OrderedJson(true));
    static const std::set<std::string> harmless = {"gaussian", "eva", "orthogonal", "mica"};
    if (start.is_string() && !harmless.contains(lowerAscii(start.get<std::string>())))
        return unsupported(
            where, fmt::format("the adapter belongs to a changed base (init_lora_weights: {})",
                               quotable(start.get<std::string>(), 40)));
    return {};
}

Result<void> AdapterConfig::readNumbers(const OrderedJson& json, const std::string& where)
{
    const auto number = [&](const char* key, double fallback) {
        const auto found = json.find(key);
        return found == json.end() || found->is_null() ? OrderedJson(fallback) : *found;
    };
    const auto rank = number("r", 8), alpha = number("lora_alpha", 8);
    if (!rank.is_number() || rank.get<double>() < 1 || rank.get<double>() > kMaxRank ||
        rank.get<double>() != std::floor(rank.get<double>()))
        return invalid(where, "r must be a whole number of at least 1");
    if (!alpha.is_number() || !std::isfinite(alpha.get<double>()))
        return invalid(where, "lora_alpha must be a number");
    m_rank = static_cast<std::int64_t>(rank.get<double>());
    m_alpha = alpha.get<double>();
    for (const auto& [key, target] :
         {std::pair<const char*, bool*>{"use_rslora", &m_rankStabilised},
          {"use_dora", &m_dora},
          {"lora_bias", &m_loraBias}}) {
        const auto value = json.value(key, OrderedJson());
        if (!value.is_null() && !value.is_boolean())
            return invalid(where, fmt::format("{} must be true or false", key));
        *target = value.is_boolean() && value.get<bool>();
    }
    const auto bias = json.value("bias", OrderedJson("none"));
    if (!bias.is_null() && bias != "none" && bias != "all" && bias != "lora_only")
        return invalid(where, "bias must be none, all or lora_only");
    m_biases = bias == "all" || bias == "lora_only";
    const auto base = json.value("base_model_name_or_path", OrderedJson());
    m_baseModel = base.is_string() ? base.get<std::string>() : "";
    for (const auto& [key, list] :
         {std::pair<const char*, std::vector<Pattern>*>{"rank_pattern", &m_ranks},
          {"alpha_pattern", &m_alphas}}) {
        const auto patterns = json.value(key, OrderedJson());
        if (isIdle(patterns))
            continue;
        if (!patterns.is_object())
            return invalid(where, fmt::format("{} must be an object", key));
        for (const auto& [pattern, value] : patterns.items()) {
            const bool whole = value.is_number() && std::isfinite(value.get<double>());
            if (!whole ||
                (list == &m_ranks && (value.get<double>() < 1 || value.get<double>() > kMaxRank)))
                return invalid(where, fmt::format("{} must have numbers for values", key));
            auto regex =
                wholeMatch("(?:.*\\.)?(?:" + pattern + ")", fmt::format("{}, {}", where, key));
            if (!regex)
                return regex.error();
            list->push_back({*regex, value.get<double>()});
        }
    }
    return {};
}

Result<void> AdapterConfig::readTargets(const OrderedJson& json, const std::string& where)
{
    const auto targets = json.value("target_modules", OrderedJson());
    m_targetsUnknown = targets.is_null();
    if (targets.is_string() && lowerAscii(targets.get<std::string>()) == "all-linear") {
        m_allLinear = true;
    } else if (targets.is_string()) {
        auto regex = wholeMatch(targets.get<std::string>(), where + ", target_modules");
        if (!regex)
            return regex.error();
        m_targetRegex = *regex;
    } else if (!m_targetsUnknown) {
        auto list = textList(targets, where + ", target_modules");
        if (!list)
            return list.error();
        m_targets.insert(list->begin(), list->end());
    }
    const auto excluded = json.value("exclude_modules", OrderedJson());
    if (excluded.is_string() && !excluded.get<std::string>().empty()) {
        auto regex = wholeMatch(excluded.get<std::string>(), where + ", exclude_modules");
        if (!regex)
            return regex.error();
        m_excludeRegex = *regex;
    } else if (excluded.is_array()) {
        auto list = textList(excluded, where + ", exclude_modules");
        if (!list)
            return list.error();
        m_excluded.insert(list->begin(), list->end());
    }
    const auto whole = json.value("modules_to_save", OrderedJson());
    if (!isIdle(whole)) {
        auto list = textList(whole, where + ", modules_to_save");
        if (!list)
            return list.error();
        m_whole = *std::move(list);
    }
    return {};
}

Result<void> AdapterConfig::readLayers(const OrderedJson& json, const std::string& where)
{
    const auto layers = json.value("layers_to_transform", OrderedJson());
    if (layers.is_null() || (layers.is_array() && layers.empty()))
        return {};
    m_layers.emplace();
    for (const auto& each : layers.is_array() ? layers : OrderedJson::array({layers})) {
        if (!each.is_number_integer())
            return invalid(where, "layers_to_transform must be a number or a list of numbers");
        m_layers->insert(each.get<std::int64_t>());
    }
    auto patterns = json.value("layers_pattern", OrderedJson());
    std::vector<std::string> list{".*?\\.[^.]*"}; // any: the first number in the path
    if (!isIdle(patterns)) {
        auto names = textList(patterns, where + ", layers_pattern");
        if (!names)
            return names.error();
        list.clear();
        for (const auto& name : *names)
            list.push_back("(?:|.*?\\.)(?:" + name + ")");
    }
    for (const auto& pattern : list) {
        auto regex = wholeMatch(pattern, where + ", layers_pattern");
        if (!regex)
            return regex.error();
        m_layerPatterns.push_back(*regex);
    }
    return {};
}

/// The first number in the path that stands behind a pattern is the layer's.
bool AdapterConfig::layerFits(const std::string& module) const
{
    if (!m_layers)
        return true;
    for (const auto& pattern : m_layerPatterns) {
        for (std::size_t dot = module.find('.'); dot != std::string::npos;
             dot = module.find('.', dot + 1)) {
            const auto end = module.find('.', dot + 1);
            const auto number =
                module.substr(dot + 1, end == std::string::npos ? end : end - dot - 1);
            if (end == std::string::npos || number.empty() || number.size() > 9 ||
                number.find_first_not_of("0123456789") != std::string::npos ||
                !matches(*pattern, module.substr(0, dot)))
                continue;
            return m_layers->contains(std::stoll(number));
        }
    }
    return false;
}

bool AdapterConfig::targets(const std::string& module, bool linear) const
{
    if (m_excludeRegex ? matches(*m_excludeRegex, module)
                       : std::ranges::any_of(m_excluded, [&](const auto& each) {
                             return endsWithPart(module, each);
                         }))
        return false;
    const auto named = [&](const std::string& around) {
        return std::ranges::any_of(m_whole,
                                   [&](const auto& each) { return endsWithPart(around, each); });
    };
    if (anyAround(module, named))
        return false;
    if (m_targetsUnknown)
        return true;
    if (m_allLinear)
        return linear;
    if (m_targetRegex)
        return matches(*m_targetRegex, module);
    if (m_targets.contains(module))
        return true; // named in full: layers are not asked
    return std::ranges::any_of(m_targets,
                               [&](const auto& each) { return module.ends_with("." + each); }) &&
           layerFits(module);
}

bool AdapterConfig::savesWhole(const std::string& module) const
{
    // As PEFT looks for them, by the mere end of the name: "norm" names "input_layernorm" too.
    return anyAround(module, [&](const auto& around) {
        return std::ranges::any_of(m_whole,
                                   [&](const auto& each) { return around.ends_with(each); });
    });
}

std::int64_t AdapterConfig::rankOf(const std::string& module) const
{
    const auto found = std::ranges::find_if(
        m_ranks, [&](const auto& each) { return matches(*each.regex, module); });
    return found == m_ranks.end() ? m_rank : static_cast<std::int64_t>(found->value);
}

double AdapterConfig::scaleOf(const std::string& module) const
{
    const auto found = std::ranges::find_if(
        m_alphas, [&](const auto& each) { return matches(*each.regex, module); });
    const double alpha = found == m_alphas.end() ? m_alpha : found->value;
    const auto rank = static_cast<double>(rankOf(module));
    return alpha / (m_rankStabilised ? std::sqrt(rank) : rank);
}

} // namespace fettle::model
