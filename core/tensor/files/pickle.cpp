#include "tensor/files/pickle.h"

#include "base/text.h"

#include <bit>
#include <cstring>
#include <fmt/format.h>
#include <unordered_map>

namespace fettle::tensor {

namespace {

// A file may not take much more memory than it has bytes: a part of the list is some hundred bytes.
constexpr std::size_t kMaxStack = 1'000'000, kMaxNodes = 2'000'000, kMaxMemo = 1'000'000,
                      kMaxText = 1 << 20, kMaxKey = 255;

Error damaged(std::string what)
{
    return {ErrorCode::InvalidInput, std::move(what), "", "Fetch the file again from its source"};
}
Error foreign(std::string what)
{
    return {ErrorCode::Unsupported, std::move(what), "",
            "Choose a version of the model in safetensors form"};
}

std::optional<DType> storageType(const std::string& name)
{
    static const std::unordered_map<std::string, DType> kTypes{
        {"torch.FloatStorage", DType::F32},     {"torch.HalfStorage", DType::F16},
        {"torch.BFloat16Storage", DType::BF16}, {"torch.DoubleStorage", DType::F64},
        {"torch.LongStorage", DType::I64},      {"torch.IntStorage", DType::I32},
        {"torch.ShortStorage", DType::I16},     {"torch.CharStorage", DType::I8},
        {"torch.ByteStorage", DType::U8},       {"torch.BoolStorage", DType::Bool}};
    const auto found = kTypes.find(name);
    return found == kTypes.end() ? std::nullopt : std::optional(found->second);
}

bool isKnownName(const std::string& name)
{
    return storageType(name) || name == "collections.OrderedDict" ||
           name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_parameter" ||
           name == "torch.Size";
}

template<class T> const T* as(const PickleNode* value)
{
    return value ? std::get_if<T>(&value->data) : nullptr;
}

/// The machine. A null value on the stack is a mark.
class Machine
{
public:
    explicit Machine(std::span<const std::byte> bytes)
        : m_bytes(bytes)
    {
    }

    Result<Pickle> run();

private:
    PickleValue node(decltype(PickleNode::data) data)
    {
        if (m_out.nodes.size() >= kMaxNodes)
            fail(damaged("the list of weights has too many parts"));
        return &m_out.nodes.emplace_back(PickleNode{std::move(data)});
    }
    bool fail(Error error)
    {
        if (!m_error)
            m_error = std::move(error);
        return false;
    }
    const std::byte* take(std::size_t count)
    {
        if (count > m_bytes.size() - m_at) {
            fail(damaged("the list of weights ends in the middle"));
            return nullptr;
        }
        const auto* at = m_bytes.data() + m_at;
        m_at += count;
        return at;
    }
    template<class T> T number()
    {
        T value{};
        if (const auto* at = take(sizeof(T)))
            std::memcpy(&value, at, sizeof(T));
        return value;
    }
    std::string text(std::size_t length)
    {
        if (length > kMaxText) {
            fail(damaged("a name in the file is longer than a megabyte"));
            return {};
        }
        const auto* at = take(length);
        return at ? std::string(reinterpret_cast<const char*>(at), length) : std::string();
    }
    std::string line()
    {
        std::string out;
        while (!m_error) {
            const auto c = static_cast<char>(number<std::uint8_t>());
            if (c == '\n')
                return out;
            out += c;
            if (out.size() > kMaxText)
                fail(damaged("a name in the file is longer than a megabyte"));
        }
        return {};
    }
    void push(PickleValue value)
    {
        if (m_stack.size() >= kMaxStack)
            fail(damaged("the list of weights is nested too deeply"));
        else
            m_stack.push_back(std::move(value));
    }
    PickleValue pop()
    {
        if (m_stack.empty() || !m_stack.back()) {
            fail(damaged("the list of weights takes more than it holds"));
            return node({});
        }
        auto* value = m_stack.back();
        m_stack.pop_back();
        return value;
    }
    std::vector<PickleValue> popToMark()
    {
        std::vector<PickleValue> items;
        while (!m_stack.empty() && m_stack.back()) {
            items.push_back(m_stack.back());
            m_stack.pop_back();
        }
        if (m_stack.empty())
            fail(damaged("the list of weights has no beginning"));
        else
            m_stack.pop_back();
        return {items.rbegin(), items.rend()};
    }
    void pushTuple(std::size_t count)
    {
        PickleList tuple{{}, true};
        tuple.items.resize(count);
        for (std::size_t i = count; i-- > 0;)
            tuple.items[i] = pop();
        push(node(std::move(tuple)));
    }
    void remember(std::uint64_t slot)
    {
        if (m_stack.empty() || m_memo.size() >= kMaxMemo)
            fail(damaged("the list of weights remembers too much"));
        else
            m_memo[slot] = m_stack.back();
    }
    void recall(std::uint64_t slot)
    {
        const auto found = m_memo.find(slot);
        if (found == m_memo.end())
            fail(damaged("the list of weights refers to what is not there"));
        else
            push(found->second);
    }
    void append(std::vector<PickleValue> items)
    {
        auto* target = pop();
        auto* list = target ? std::get_if<PickleList>(&target->data) : nullptr;
        if (!list || list->tuple)
            fail(damaged("something is appended to what is no list"));
        else
            list->items.insert(list->items.end(), items.begin(), items.end());
        push(target);
    }
    void setItems(const std::vector<PickleValue>& items)
    {
        auto* target = pop();
        auto* dict = target ? std::get_if<PickleDict>(&target->data) : nullptr;
        if (!dict || items.size() % 2 != 0) {
            fail(damaged("an entry is put into what is no table"));
        } else {
            for (std::size_t i = 0; i < items.size(); i += 2)
                dict->entries.emplace_back(items[i], items[i + 1]);
        }
        push(target);
    }
    void global(const std::string& module, const std::string& name)
    {
        const std::string whole = module + "." + name;
        if (!isKnownName(whole)) {
            fail(foreign(fmt::format("the file asks for \"{}\", which is not part of weights",
                                     quotable(whole, 100))));
            return;
        }
        push(node(PickleGlobal{whole}));
    }
    void persistent();
    void reduce();
    std::optional<std::vector<std::int64_t>> numbers(const PickleNode* value) const;
    bool tensor(const PickleList& arguments);
    bool step(std::uint8_t code);

    std::span<const std::byte> m_bytes;
    std::size_t m_at = 0;
    Pickle m_out;
    std::vector<PickleValue> m_stack;
    std::unordered_map<std::uint64_t, PickleValue> m_memo;
    std::optional<Error> m_error;
};

/// ("storage", type, key, location, elements [, view]) becomes a storage.
void Machine::persistent()
{
    const auto* value = pop();
    const auto* tuple = as<PickleList>(value);
    if (!tuple || tuple->items.size() < 5) {
        fail(damaged("a reference to stored numbers is incomplete"));
        return;
    }
    const auto* kind = as<std::string>(tuple->items[0]);
    const auto* type = as<PickleGlobal>(tuple->items[1]);
    const auto* key = as<std::string>(tuple->items[2]);
    const auto* elements = as<std::int64_t>(tuple->items[4]);
    const auto dtype = type ? storageType(type->name) : std::nullopt;
    // Each tensor holds a copy of its key, so a long one would be a bomb.
    if (!kind || *kind != "storage" || !key || key->size() > kMaxKey || !elements ||
        *elements < 0 || !dtype) {
        fail(damaged("a reference to stored numbers cannot be read"));
        return;
    }
    PickleStorage storage{*dtype, *key, static_cast<std::uint64_t>(*elements), 0};
    if (tuple->items.size() > 5) {
        if (const auto* view = as<PickleList>(tuple->items[5])) {
            const auto* offset =
                view->items.size() == 3 ? as<std::int64_t>(view->items[1]) : nullptr;
            if (!offset || *offset < 0) {
                fail(damaged("a view of stored numbers cannot be read"));
                return;
            }
            storage.viewOffset = static_cast<std::uint64_t>(*offset);
        }
    }
    push(node(std::move(storage)));
}

std::optional<std::vector<std::int64_t>> Machine::numbers(const PickleNode* value) const
{
    const auto* list = as<PickleList>(value);
    if (!list || list->items.size() > 8)
        return std::nullopt;
    std::vector<std::int64_t> out;
    for (const auto& item : list->items) {
        const auto* number = as<std::int64_t>(item);
        if (!number || *number < 0)
            return std::nullopt;
        out.push_back(*number);
    }
    return out;
}

/// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks ..).
bool Machine::tensor(const PickleList& arguments)
{
    if (arguments.items.size() < 5)
        return false;
    const auto* storage = as<PickleStorage>(arguments.items[0]);
    const auto* offset = as<std::int64_t>(arguments.items[1]);
    const auto shape = numbers(arguments.items[2]), strides = numbers(arguments.items[3]);
    if (!storage || !offset || *offset < 0 || !shape || !strides ||
        shape->size() != strides->size())
        return false;
    push(node(PickleTensor{*storage, static_cast<std::uint64_t>(*offset), *shape, *strides}));
    return true;
}

void Machine::reduce()
{
    const auto *arguments = pop(), *function = pop();
    const auto* name = as<PickleGlobal>(function);
    const auto* tuple = as<PickleList>(arguments);
    if (!name || !tuple) {
        fail(foreign("the file calls what is not part of weights"));
        return;
    }
    bool fine = false;
    if (name->name == "collections.OrderedDict") {
        fine = tuple->items.empty();
        push(node(PickleDict{}));
    } else if (name->name == "torch._utils._rebuild_tensor_v2") {
        fine = tensor(*tuple);
    } else if (name->name == "torch._utils._rebuild_parameter") {
        fine = !tuple->items.empty() && as<PickleTensor>(tuple->items[0]);
        if (fine)
            push(tuple->items[0]);
    } else if (name->name == "torch.Size") {
        fine = tuple->items.size() == 1 && numbers(tuple->items[0]);
        if (fine)
            push(tuple->items[0]);
    }
    if (!fine)
        fail(damaged(fmt::format("the part \"{}\" cannot be read", name->name)));
}

/// One step of the machine; false for one that is not known.
bool Machine::step(std::uint8_t code)
{
    switch (code) {
    case 0x80: // PROTO
        if (const auto version = number<std::uint8_t>(); version > 4)
            return fail(foreign("the file is a pickle of a version that is not known here"));
        return true;
    case 0x95: // FRAME
        return number<std::uint64_t>(), true;
    case '(': // MARK
        return push(nullptr), true;
    case 'N':
        return push(node({})), true;
    case 0x88:
    case 0x89:
        return push(node(code == 0x88)), true;
    case 'J':
        return push(node(std::int64_t{number<std::int32_t>()})), true;
    case 'K':
        return push(node(std::int64_t{number<std::uint8_t>()})), true;
    case 'M':
        return push(node(std::int64_t{number<std::uint16_t>()})), true;
    case 0x8a: { // LONG1
        const auto length = number<std::uint8_t>();
        const auto* at = take(length);
        if (!at || length > 16)
            return fail(damaged("a number in the file is too large"));
        std::int64_t value = 0;
        if (length > 0 && length <= 8) {
            std::memcpy(&value, at, length);
            const int unused = 64 - 8 * length;
            value =
                static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << unused) >> unused;
        } // longer ones are the magic numbers of the plain form, which nothing asks for
        return push(node(value)), true;
    }
    case 'G': { // BINFLOAT, big-endian
        const auto bits = __builtin_bswap64(number<std::uint64_t>());
        return push(node(std::bit_cast<double>(bits))), true;
    }
    case 'X':
        return push(node(text(number<std::uint32_t>()))), true;
    case 'U':
    case 0x8c:
        return push(node(text(number<std::uint8_t>()))), true;
    case '}':
        return push(node(PickleDict{})), true;
    case ']':
        return push(node(PickleList{})), true;
    case ')':
        return push(node(PickleList{{}, true})), true;
    case 't':
        return push(node(PickleList{popToMark(), true})), true;
    case 0x85:
    case 0x86:
    case 0x87:
        return pushTuple(code - 0x84u), true;
    case 'a': {
        auto* item = pop();
        return append({item}), true;
    }
    case 'e':
        return append(popToMark()), true;
    case 's': {
        auto *value = pop(), *key = pop();
        return setItems({key, value}), true;
    }
    case 'u':
        return setItems(popToMark()), true;
    case 'q':
        return remember(number<std::uint8_t>()), true;
    case 'r':
        return remember(number<std::uint32_t>()), true;
    case 0x94: // MEMOIZE
        return remember(m_memo.size()), true;
    case 'h':
        return recall(number<std::uint8_t>()), true;
    case 'j':
        return recall(number<std::uint32_t>()), true;
    case 'c': {
        const auto module = line(), name = line();
        return global(module, name), true;
    }
    case 0x93: { // STACK_GLOBAL
        const auto *name = pop(), *module = pop();
        const auto *n = as<std::string>(name), *m = as<std::string>(module);
        if (!n || !m)
            return fail(damaged("a name in the file is no text"));
        return global(*m, *n), true;
    }
    case 'R':
        return reduce(), true;
    case 'b': { // BUILD: attributes of a table, such as its versions, carry no weights
        pop();
        if (m_stack.empty() || !as<PickleDict>(m_stack.back()))
            return fail(foreign("the file builds an object that is not part of weights"));
        return true;
    }
    case 'Q':
        return persistent(), true;
    default:
        return fail(foreign(fmt::format("the file has a step (0x{:02x}) that weights do not need",
                                        static_cast<unsigned>(code))));
    }
}

Result<Pickle> Machine::run()
{
    while (!m_error) {
        const auto code = number<std::uint8_t>();
        if (!m_error && code == '.') { // STOP
            m_out.root = pop();
            m_out.used = m_at;
            break;
        }
        if (!m_error)
            step(code);
    }
    if (m_error)
        return *m_error;
    return std::move(m_out);
}

} // namespace

Result<Pickle> runPickle(std::span<const std::byte> bytes) { return Machine(bytes).run(); }

} // namespace fettle::tensor
