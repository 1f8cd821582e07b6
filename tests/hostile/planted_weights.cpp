#include "hostile/planted.h"
#include "model/import_helpers.h"
#include "tensor/file_helpers.h"
#include "tensor/files/gguf.h"
#include "tensor/files/torch_file.h"
#include "tensor/files/weight_files.h"

#include <sys/stat.h>

namespace fettle::hostile {

using namespace fettle::tensor;
using testing::GgufBuilder;
using testing::raw;
using testing::safetensorsFile;
using testing::writeText;

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kAll = ~0ull;

Planted safetensors(std::string fault, std::string file, std::string words)
{
    return {"safetensors file", std::move(fault), std::move(words),
            [file = std::move(file)](const fs::path&) {
                return errorOf(SafetensorsFile::parse(testing::bytesOf(file), "model.safetensors"));
            }};
}

std::string entry(const std::string& name, const std::string& type, const std::string& shape,
                  const std::string& offsets)
{
    return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape +
           ",\"data_offsets\":" + offsets + "}";
}

std::vector<Planted> safetensorsCases()
{
    const std::string sixteen(16, '\0');
    const auto one = [](const std::string& text) { return safetensorsFile("{" + text + "}"); };
    return {
        safetensors("seven bytes", std::string(7, '\0'), "at least 8"),
        safetensors("a header of 100,000,001 bytes", raw<std::uint64_t>(100'000'001) + "{}",
                    "at most"),
        safetensors("a header of 2^64 - 4 bytes", raw(kAll - 3) + "{}", "at most"),
        safetensors("a header past the end", raw<std::uint64_t>(60) + "{}", "behind them"),
        safetensors("a header cut off", safetensorsFile("{"), "not valid JSON"),
        safetensors("a byte order mark", safetensorsFile("\xef\xbb\xbf{}"), "begin with"),
        safetensors("a zero byte in the header", safetensorsFile(std::string("{}\0 ", 4)),
                    "zero byte"),
        safetensors("100,000 nested lists", one("\"a\":" + std::string(100'000, '[')), "a list"),
        safetensors("a dimension of 2^64 - 2",
                    one(entry("t", "I32", "[2,18446744073709551614]", "[0,16]")), "dimension of"),
        safetensors("dimensions whose product wraps to 16 bytes",
                    one(entry("t", "I32", "[4611686018427387905,4]", "[0,16]")),
                    "impossible shape"),
        safetensors("a dimension of 2^42 + 1", one(entry("t", "F32", "[4398046511105]", "[0,16]")),
                    "needs 17592186044420 bytes"),
        safetensors("a shape larger than the data",
                    safetensorsFile("{" + entry("t", "I32", "[2,2]", "[0,4]") + "}", "abcd"),
                    "needs 16 bytes"),
        safetensors("two tensors over the same bytes",
                    safetensorsFile("{" + entry("a", "U8", "[16]", "[0,16]") + "," +
                                        entry("b", "U8", "[16]", "[0,16]") + "}",
                                    sixteen),
                    "gap or overlap"),
        safetensors("a gap between tensors",
                    safetensorsFile("{" + entry("a", "U8", "[2]", "[2,4]") + "}", "abcd"),
                    "gap or overlap"),
        safetensors("bytes behind the last tensor",
                    safetensorsFile("{" + entry("a", "U8", "[2]", "[0,2]") + "}", "abPK"),
                    "the last tensor ends"),
        safetensors("data cut off",
                    safetensorsFile("{" + entry("a", "U8", "[4]", "[0,4]") + "}", "ab"),
                    "ends at byte"),
        safetensors("a name twice",
                    one(entry("a", "U8", "[0]", "[0,0]") + "," + entry("a", "U8", "[0]", "[0,0]")),
                    "appears twice"),
        safetensors("a key twice", one(R"("a":{"dtype":"U8","dtype":"F32"})"), "twice"),
        safetensors("metadata that is no text", one(R"("__metadata__":{"a":{}})"),
                    "instead of a text"),
        safetensors("nine dimensions", one(entry("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]")),
                    "more than 8"),
        safetensors("a negative dimension", one(entry("a", "U8", "[-1]", "[0,0]")), "negative"),
        safetensors("a name that steers the terminal",
                    one(entry("\\u001b[2Ja", "X", "[0]", "[0,0]")), "unknown element type"),
        safetensors("an element type without numbers",
                    safetensorsFile("{" + entry("a", "F4", "[2]", "[0,1]") + "}", "x"), "F4"),
    };
}

Planted index(std::string fault, std::string json, std::string words)
{
    return {"index of weight files", std::move(fault), std::move(words),
            [json = std::move(json)](const fs::path& folder) {
                writeText(folder / "part.safetensors",
                          safetensorsFile("{" + entry("a", "U8", "[1]", "[0,1]") + "}", "x"));
                writeText(folder / "model.safetensors.index.json", json);
                return errorOf(WeightFiles::open(folder));
            }};
}

std::vector<Planted> indexCases()
{
    const std::string outside = "points outside the folder";
    return {
        index("a shard in the folder above", R"({"weight_map":{"a":"../part.safetensors"}})",
              outside),
        index("an absolute name", R"({"weight_map":{"a":"/etc/passwd"}})", outside),
        index("a drive", R"({"weight_map":{"a":"C:part.safetensors"}})", outside),
        index("a network name", R"({"weight_map":{"a":"\\\\host\\share\\x"}})", outside),
        index("a reserved name", R"({"weight_map":{"a":"NUL.safetensors"}})", outside),
        index("a zero byte", R"({"weight_map":{"a":"part.safetensors\u0000.txt"}})", outside),
        index("a shard that is not there", R"({"weight_map":{"a":"other.safetensors"}})",
              "is missing"),
        index("a tensor that is not in its shard", R"({"weight_map":{"b":"part.safetensors"}})",
              "it is not there"),
        index("no map", "{}", "no 'weight_map'"),
        index("a number for a name", R"({"weight_map":{"a":1}})", "is not a text"),
        index("129 nested lists", std::string(129, '[') + std::string(129, ']'), "nested deeper"),
        {"index of weight files", "a named pipe in the place of the weights", "not a regular file",
         [](const fs::path& folder) {
             ::mkfifo((folder / "model.safetensors").c_str(), 0600);
             return errorOf(WeightFiles::open(folder));
         }},
    };
}

Planted gguf(std::string fault, std::string file, std::string words)
{
    return {"GGUF file", std::move(fault), std::move(words),
            [file = std::move(file)](const fs::path&) {
                return errorOf(GgufFile::parse(testing::bytesOf(file), "model.gguf"));
            }};
}

std::string keyed(const std::string& name, std::uint32_t type, const std::string& value)
{
    return GgufBuilder().key(name, type, value).file();
}
std::string shaped(std::vector<std::uint64_t> dims, std::uint32_t type)
{
    return GgufBuilder().tensor("x", dims, type, 0).file() + std::string(64, '\0');
}
std::string counted(std::uint64_t tensors, std::uint64_t keys)
{
    return "GGUF" + raw<std::uint32_t>(3) + raw(tensors) + raw(keys) + std::string(64, '\0');
}
std::string list(std::uint32_t element, std::uint64_t count, const std::string& bytes)
{
    return raw(element) + raw(count) + bytes;
}

std::vector<Planted> ggufCases()
{
    const std::uint64_t two42 = (1ull << 42) + 1;
    return {
        gguf("another format", "PK\x03\x04 and more", "letters GGUF"),
        gguf("version 4", "GGUF" + raw<std::uint32_t>(4) + std::string(40, '\0'), "version 4"),
        gguf("a file for big-endian machines",
             "GGUF" + raw<std::uint32_t>(0x03000000) + std::string(40, '\0'), "big-endian"),
        gguf("2^64 - 1 tensors", counted(kAll, 0), "do not fit"),
        gguf("2^61 keys, whose table wraps to 0 bytes", counted(0, 1ull << 61), "do not fit"),
        gguf("a key's name of 2^64 - 1 bytes",
             "GGUF" + raw<std::uint32_t>(3) + raw<std::uint64_t>(0) + raw<std::uint64_t>(1) +
                 raw(kAll) + std::string(40, 'x'),
             "longer than"),
        gguf("a key twice", GgufBuilder().key("a", 0, "x").key("a", 0, "y").file(),
             "appears twice"),
        gguf("an empty name", keyed("", 10, "xxxxxxxx"), "empty"),
        gguf("an unknown kind of value", keyed("a", 13, "xxxxxxxx"), "unknown type"),
        gguf("a text of 2^64 - 4 bytes", keyed("a", 8, raw(kAll - 3) + "x"), "longer than"),
        gguf("a list of 2^62 numbers of 4 bytes", keyed("a", 9, list(4, 1ull << 62, "xxxx")),
             "do not fit"),
        gguf("a list of lists", keyed("a", 9, list(9, 1, list(0, 1, "x"))), "not allowed"),
        gguf("a list of texts, the last one too long",
             keyed("a", 9, list(8, 2, raw<std::uint64_t>(0) + raw(kAll))), "element 1"),
        gguf("an alignment of 0", keyed("general.alignment", 4, raw<std::uint32_t>(0)),
             "power of two"),
        gguf("an alignment of 2^31", keyed("general.alignment", 4, raw<std::uint32_t>(1u << 31)),
             "power of two"),
        gguf("an alignment of another kind", keyed("general.alignment", 10, raw<std::uint64_t>(32)),
             "power of two"),
        gguf("five dimensions", shaped({1, 1, 1, 1, 1}, 0), "5 dimensions"),
        gguf("a dimension of 2^42 + 1 times 2^22", shaped({two42, 1ull << 22}, 0), "impossible"),
        gguf("a size that wraps to 0 bytes", shaped({1ull << 62}, 0), "impossible"),
        gguf("a size that rounding to the alignment wraps to 0",
             GgufBuilder().tensor("a", {(1ull << 62) - 1}, 0, 0).tensor("b", {8}, 0, 0).file() +
                 std::string(64, '\0'),
             "do not fit"),
        gguf("a withdrawn element type", shaped({32}, 4), "withdrawn"),
        gguf("rows that fill no block", shaped({33}, 8), "multiple of 32"),
        gguf("more data than the file has", shaped({1000}, 0), "needs 4000 bytes"),
        gguf("tensors over the same bytes",
             GgufBuilder().tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0).file() +
                 std::string(64, '\0'),
             "expected is 32"),
        gguf("a gap before a tensor",
             GgufBuilder().tensor("a", {8}, 0, 64).file() + std::string(128, '\0'),
             "expected is 0"),
        gguf("a tensor twice", GgufBuilder().tensor("a", {0}, 0, 0).tensor("a", {0}, 0, 0).file(),
             "appears twice"),
        gguf("a name that turns the direction of writing",
             GgufBuilder()
                 .key("a\xE2\x80\xAE"
                      "b",
                      13, "xxxxxxxx")
                 .file(),
             "unknown type"),
    };
}

std::vector<Planted> torchCases()
{
    std::vector<Planted> cases;
    const Json all =
        readJsonFile(std::string(FETTLE_SOURCE_DIR) + "/tests/golden/torch_files.json").value();
    for (const auto& planted : all["hostile"])
        cases.push_back({"PyTorch file", planted["name"], planted["words"],
                         [bytes = testing::fromHex(planted["file"])](const fs::path&) {
                             return errorOf(
                                 TorchFile::parse(testing::bytesOf(bytes), "weights.bin"));
                         }});
    const auto own = [&](const char* fault, std::string bytes, const char* words) {
        cases.push_back({"PyTorch file", fault, words, [bytes](const fs::path&) {
                             return errorOf(
                                 TorchFile::parse(testing::bytesOf(bytes), "weights.bin"));
                         }});
    };
    std::string good;
    for (const auto& honest : all["honest"]) {
        if (honest["name"] == "views of one storage, zip")
            good = testing::fromHex(honest["file"]);
    }
    std::string named = good;
    named.replace(named.find("/data.pkl"), 9, "/dada.pkl"); // in the entry itself, not in the table
    own("an entry with another name in the table", named, "two names");
    own("a long key on each of a thousand storages",
        "\x80\x02" +
            ("(X\x07" + std::string(3, '\0') + "storagectorch\nFloatStorage\nX" +
             raw<std::uint32_t>(1 << 20) + std::string(1 << 20, 'k') + "X\x03") +
            std::string(3, '\0') + "cpuK\x01tQ.",
        "cannot be read");
    return cases;
}

} // namespace

std::vector<Planted> weightCases()
{
    std::vector<Planted> all;
    for (auto* more : {safetensorsCases, indexCases, ggufCases, torchCases}) {
        auto cases = more();
        std::ranges::move(cases, std::back_inserter(all));
    }
    return all;
}

} // namespace fettle::hostile
