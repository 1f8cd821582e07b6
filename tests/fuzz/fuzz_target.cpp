#include "fuzz/fuzz_target.h"

#include "base/text.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace fettle::fuzz {

namespace {

constexpr std::array<Target, 9> kTargets{{
    {"gguf", runGguf, mutateGguf, 8 << 10},
    {"torch", runTorch, mutateZip, 16 << 10},
    {"tokenizer", runTokenizer, nullptr, 24 << 10},
    {"template", runTemplate, nullptr, 4 << 10},
    {"safetensors", runSafetensors, mutateSafetensors, 8 << 10},
    {"config", runConfig, nullptr, 4 << 10},
    {"adapter", runAdapter, nullptr, 4 << 10},
    {"vocabulary", runVocabulary, nullptr, 8 << 10},
    {"sentencepiece", runSentencePiece, nullptr, 12 << 10},
}};

constexpr std::string_view kBorder = "\n=====\n";

} // namespace

std::span<const Target> targets() { return kTargets; }

const Target* findTarget(std::string_view name)
{
    for (const auto& target : kTargets) {
        if (target.name == name)
            return &target;
    }
    return nullptr;
}

void promise(bool kept, const char* what)
{
    if (kept)
        return;
    std::fprintf(stderr, "broken promise: %s\n", what);
    std::abort();
}

void checkRefusal(const Error& error)
{
    promise(!error.what.empty(), "a refusal says what is wrong");
    promise(error.sentence().size() < 4096, "a refusal is short");
    promise(isValidUtf8(error.sentence()), "a refusal is readable text");
    promise(error.code != ErrorCode::Internal, "a bad file is not an error of the program");
}

MemoryFile::MemoryFile(std::string_view bytes)
    : m_descriptor(::memfd_create("input", MFD_CLOEXEC))
    , m_path("/proc/self/fd/" + std::to_string(m_descriptor))
{
    const auto written = ::write(m_descriptor, bytes.data(), bytes.size());
    promise(written == static_cast<ssize_t>(bytes.size()), "the input fits into memory");
}

MemoryFile::~MemoryFile() { ::close(m_descriptor); }

std::vector<std::string> partsOf(std::string_view input)
{
    std::vector<std::string> parts;
    for (;;) {
        const auto border = input.find(kBorder);
        parts.emplace_back(input.substr(0, border));
        if (border == std::string_view::npos)
            return parts;
        input.remove_prefix(border + kBorder.size());
    }
}

std::string joinedParts(const std::vector<std::string>& parts)
{
    std::string out;
    for (const auto& part : parts)
        out += (&part == &parts.front() ? "" : std::string(kBorder)) + part;
    return out;
}

} // namespace fettle::fuzz
