#pragma once

#include "base/json.h"
#include "data/text_source.h"

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace fettle::data {

/// One row of a file before anybody knows what its columns mean.
struct Record
{
    std::int64_t row = 0; ///< 1-based row, line or element
    OrderedJson fields;   ///< object: column -> value
};

/// Where a reader puts what it finds, in file order.
class RecordSink
{
public:
    virtual ~RecordSink() = default;
    /// False: enough, stop reading.
    virtual bool record(Record&& record) = 0;
    /// A row that cannot be used; `reason` never holds text of the row.
    virtual void badRow(std::int64_t row, const std::string& reason) = 0;
    /// A row was changed in a way that must be counted.
    virtual void repaired(const std::string& what) = 0;
};

struct ReadOptions
{
    std::optional<char> delimiter;
    std::optional<bool> headerRow;
};

/// What a reader found out about the file.
struct ReadFacts
{
    std::optional<char> delimiter;
    std::vector<std::string> columns; ///< of tables; readers of JSON leave it empty
    bool headerSure = true;
};

struct ImporterSpec
{
    std::string id;                      ///< "csv"
    std::string title;                   ///< "CSV"
    std::vector<std::string> extensions; ///< lower case, without the dot
};

/// Reads one kind of file. One file in this folder and one line in list.inc make a new one.
class Importer
{
public:
    virtual ~Importer() = default;
    virtual ImporterSpec spec() const = 0;
    /// How well the first megabyte of the text looks like this kind, 0 .. 100. Decides between
    /// readers that open the same file name ending.
    virtual int sniff(std::string_view head) const = 0;
    /// Errors: what makes the whole file unusable. Rows that are bad go to the sink.
    virtual Result<ReadFacts> read(TextSource& source, const ReadOptions& options, RecordSink& sink,
                                   std::stop_token stop) const = 0;
};

/// All readers, in the order of list.inc.
const std::vector<std::unique_ptr<const Importer>>& importers();

/// Longest row, cell or element that is read; more is a mistake in the file.
inline constexpr std::size_t kMaxRowBytes = 16u << 20;

} // namespace fettle::data
