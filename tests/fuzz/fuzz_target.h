#pragma once

#include "base/error.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Readers of foreign files as plain functions of bytes. libFuzzer drives them (preset "fuzz"), and
/// test_fuzz_inputs drives them over their seeds, over every input that once broke one, and over
/// changed copies of both, with any compiler.
namespace fettle::fuzz {

/// Reads `input` as a hostile file would be read. Returns when it was accepted or refused with a
/// sentence; everything else (a crash, an exception, a broken promise of the reader) ends the
/// process.
using Run = void (*)(std::string_view input);

/// A changed copy of `input` whose lengths and offsets still fit, so that changes reach the parts
/// behind the first check. `change` alters a part as it likes; `random` chooses among the parts.
using Change = std::string (*)(std::string part, std::size_t maxSize);
using Mutate = std::string (*)(const std::string& input, std::size_t maxSize, std::uint32_t random,
                               Change change);

struct Target
{
    std::string_view name;
    Run run;
    Mutate mutate;       ///< nullptr: any change of bytes does
    std::size_t maxSize; ///< of inputs, in bytes
};
std::span<const Target> targets();
const Target* findTarget(std::string_view name);

/// Good inputs of a target, from the fixtures of other tests, and small ones made by hand.
std::vector<std::string> seedsOf(std::string_view target);

/// Ends the process with a line on stderr unless `kept`.
void promise(bool kept, const char* what);
/// A refusal that a person can use: a sentence in UTF-8, neither empty nor endless, and not the
/// admission of an error in the program.
void checkRefusal(const Error& error);

/// The bytes as a file without a place on any disk, for readers that open files.
class MemoryFile
{
public:
    explicit MemoryFile(std::string_view bytes);
    ~MemoryFile();
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;
    const std::string& path() const { return m_path; }

private:
    int m_descriptor;
    std::string m_path;
};

/// Inputs of readers of several files: the parts between lines of "=====".
std::vector<std::string> partsOf(std::string_view input);
std::string joinedParts(const std::vector<std::string>& parts);

void runSafetensors(std::string_view input);
void runGguf(std::string_view input);
void runTorch(std::string_view input);
void runTokenizer(std::string_view input);
void runTemplate(std::string_view input);
void runConfig(std::string_view input);
void runAdapter(std::string_view input);
void runVocabulary(std::string_view input);
void runSentencePiece(std::string_view input);

std::string mutateSafetensors(const std::string& input, std::size_t maxSize, std::uint32_t random,
                              Change change);
std::string mutateGguf(const std::string& input, std::size_t maxSize, std::uint32_t random,
                       Change change);
std::string mutateZip(const std::string& input, std::size_t maxSize, std::uint32_t random,
                      Change change);

} // namespace fettle::fuzz
