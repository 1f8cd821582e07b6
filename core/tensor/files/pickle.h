#pragma once

#include "base/result.h"
#include "tensor/files/dtype.h"

#include <deque>
#include <span>
#include <variant>

namespace fettle::tensor {

struct PickleNode;
using PickleValue = PickleNode*; // owned by the Pickle

/// A name that a pickle refers to; it is never looked up.
struct PickleGlobal
{
    std::string name; ///< "torch._utils._rebuild_tensor_v2"
};

struct PickleStorage
{
    DType dtype = DType::F32;
    std::string key;
    std::uint64_t elements = 0;
    std::uint64_t viewOffset = 0; ///< of the plain form: elements before this view
};

struct PickleTensor
{
    PickleStorage storage;
    std::uint64_t offset = 0; ///< in elements
    std::vector<std::int64_t> shape, strides;
};

struct PickleList
{
    std::vector<PickleValue> items;
    bool tuple = false;
};

struct PickleDict
{
    std::vector<std::pair<PickleValue, PickleValue>> entries;
};

struct PickleNode
{
    std::variant<std::monostate, bool, std::int64_t, double, std::string, PickleGlobal,
                 PickleStorage, PickleTensor, PickleList, PickleDict>
        data;
};

/// What a pickle describes. All nodes lie in one place, so that no nesting makes their end deep.
struct Pickle
{
    Pickle() = default;
    Pickle(Pickle&&) = default;
    Pickle& operator=(Pickle&&) = default;
    Pickle(const Pickle&) = delete; // nodes point to nodes
    Pickle& operator=(const Pickle&) = delete;

    std::deque<PickleNode> nodes;
    PickleValue root = nullptr;
    std::size_t used = 0; ///< bytes that it took
};

/// Runs the steps of one pickle from the front of `bytes`.
/// Errors: Unsupported naming a step or a name that does not belong to weights; InvalidInput.
Result<Pickle> runPickle(std::span<const std::byte> bytes);

} // namespace fettle::tensor
