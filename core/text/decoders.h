#pragma once

#include "base/json.h"

#include <memory>
#include <vector>

namespace fettle::text {

/// One step from token strings back to text. Immutable after loading.
class Decoder
{
public:
    virtual ~Decoder() = default;
    virtual void apply(std::vector<std::string>& tokens) const = 0;
    /// Bytes that one byte of the tokens can become at most.
    virtual double growth() const { return 1; }
};

struct Decoders
{
    std::vector<std::unique_ptr<const Decoder>> steps;
    bool present = false; ///< without a decoder tokens are joined by spaces
};

/// From "decoder"; sequences are laid flat. Errors name the part.
Result<Decoders> readDecoders(const Json& json);

} // namespace fettle::text
