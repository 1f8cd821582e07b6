#pragma once

#include <string>

namespace fettle {

/// Kinds of failure that a caller or a table of messages tells apart.
enum class ErrorCode {
    InvalidInput,  ///< a file, value or setting is not what it must be; exit code 2
    NotFound,      ///< a named thing does not exist; exit code 3
    Io,            ///< reading or writing failed; exit code 4
    DiskFull,      ///< no room for what must be written; exit code 4
    OutOfMemory,   ///< the model or the batch does not fit; exit code 4
    Diverged,      ///< loss or gradient stopped being a number; exit code 4
    Busy,          ///< somebody else holds the workspace or the device; exit code 4
    Unsupported,   ///< a known thing that this program does not do; exit code 2
    Internal,      ///< a rule inside the code was broken; exit code 4
    Cancelled      ///< a person stopped it; exit code 130
};

/// What went wrong, where a person can find it, and what to do. No text of a user's data in any field.
struct Error
{
    ErrorCode code = ErrorCode::Internal;
    std::string what;    ///< one sentence without full stop: "the header names 12 bytes, the file has 4"
    std::string where;   ///< file and row, setting, run: "letters.csv, row 17"; may be empty
    std::string remedy;  ///< one sentence without full stop: "Save the file again as UTF-8"; may be empty

    /// "where: what. remedy." as one line for a terminal or a message bar.
    std::string sentence() const;
};

/// Exit code of the command line for this kind of error.
int exitCode(ErrorCode code);

/// Name of the code for machine-readable output: "invalid_input".
std::string toString(ErrorCode code);

/// The same error, found at a wider place: `place` is put in front of `where`.
Error at(Error error, const std::string& place);

} // namespace fettle
