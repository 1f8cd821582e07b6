#pragma once

#include "base/json.h"
#include "text/tokenizer.h"

#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace fettle::text {

/// One piece of rendered text. Trusted text comes from the template (its special tokens count as
/// special tokens); other text comes from messages and is only ever text.
struct Segment
{
    std::string text;
    bool trusted = false;
    bool generation = false; ///< inside {% generation %} ... {% endgeneration %}
    int message = -1; ///< number of the message whose text it is; -1: the template's, or other
    int turn = -1;    ///< number of the message that a loop was at when this was written; -1: none
};

/// One message as the template sees it: an object with "role", "content" and whatever else it has,
/// in its own order (templates print it).
using Messages = std::vector<OrderedJson>;

struct RenderOptions
{
    bool addGenerationPrompt = false;
    OrderedJson extra =
        OrderedJson::object(); ///< further variables: tools, documents, enable_thinking ...
    /// What strftime_now() tells, in local time; absent: the time of rendering.
    std::optional<std::time_t> now;
};

/// A model's own conversation form (Jinja), run by our sandboxed engine: bounded depth, steps and
/// output, no access to anything. Immutable after parsing; threads may share one.
/// A thought is known by three names (reasoning_content, thinking, reasoning): whichever a message
/// has, the template finds it under the first two, as in transformers.
class ChatTemplate
{
public:
    virtual ~ChatTemplate() = default;

    /// From chat_template.jinja, else tokenizer_config.json. NotFound when the folder has none.
    static Result<std::shared_ptr<const ChatTemplate>> load(const std::filesystem::path& folder);
    /// Errors: InvalidInput with line and the part that is not understood.
    static Result<std::shared_ptr<const ChatTemplate>> parse(const std::string& source,
                                                             const Json& specialTokens);

    /// Errors: InvalidInput with the template's own raise_exception sentence, or the limit hit.
    virtual Result<std::vector<Segment>> render(const Messages& messages,
                                                const RenderOptions& options = {}) const = 0;
    virtual const std::string& source() const = 0;
    /// The template marks assistant text by {% generation %} blocks.
    virtual bool hasGenerationBlocks() const = 0;
};

/// Rendered segments as one text.
std::string joined(const std::vector<Segment>& segments);

/// Encodes rendered segments: special tokens only where the text is trusted.
std::vector<TokenId> encodeSegments(const Tokenizer& tokenizer,
                                    const std::vector<Segment>& segments);

} // namespace fettle::text
