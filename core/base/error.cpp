#include "base/error.h"

#include "base/text.h"

namespace fettle {

namespace {

std::string withFullStop(std::string text)
{
    if (!text.empty() && text.back() != '.' && text.back() != '?' && text.back() != '!')
        text += '.';
    return text;
}

} // namespace

std::string Error::sentence() const
{
    // A file's own name may hold what steers a terminal; names inside it are quoted by the readers.
    constexpr std::size_t kLongestPlace = 4096;
    std::string text = where.empty()
                           ? withFullStop(what)
                           : quotable(where, kLongestPlace) + ": " + withFullStop(what);
    if (!remedy.empty())
        text += " " + withFullStop(remedy);
    return text;
}

int exitCode(ErrorCode code)
{
    switch (code) {
    case ErrorCode::InvalidInput:
    case ErrorCode::Unsupported:
        return 2;
    case ErrorCode::NotFound:
        return 3;
    case ErrorCode::Cancelled:
        return 130;
    default:
        return 4;
    }
}

std::string toString(ErrorCode code)
{
    switch (code) {
    case ErrorCode::InvalidInput:
        return "invalid_input";
    case ErrorCode::NotFound:
        return "not_found";
    case ErrorCode::Io:
        return "io";
    case ErrorCode::DiskFull:
        return "disk_full";
    case ErrorCode::OutOfMemory:
        return "out_of_memory";
    case ErrorCode::Diverged:
        return "diverged";
    case ErrorCode::Busy:
        return "busy";
    case ErrorCode::Unsupported:
        return "unsupported";
    case ErrorCode::Cancelled:
        return "cancelled";
    case ErrorCode::Internal:
        break;
    }
    return "internal";
}

Error at(Error error, const std::string& place)
{
    error.where = error.where.empty() ? place : place + ", " + error.where;
    return error;
}

} // namespace fettle
