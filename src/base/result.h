// Result<T>: a value, or an Error with a code from one small closed set.
//
// Expected failures travel as values: `if (!r) return std::unexpected(r.error());`. Exceptions come
// only from libraries. The table that maps a Code to an HTTP status, an API error type, an exit
// code and retry advice is in result.cc, and nowhere else.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace penstock {

enum class Code {
  kInvalidArgument,  // The caller's value is wrong; the message names field, value and limit.
  kUnauthenticated,  // No key, or an unknown one.
  kForbidden,        // A good key without the right.
  kNotFound,         // No such endpoint, model, path.
  kMethodNotAllowed,
  kConflict,        // In use, or an update is in progress.
  kAlreadyExists,   // The name is taken.
  kRequestTimeout,  // The client was too slow to send its request.
  kTooLarge,        // A body over its limit.
  kHeadTooLarge,    // A request head over its limit.
  kRateLimited,     // Over a quota; try again after the time given.
  kCancelled,       // The task was asked to end, or the client has gone.
  kClosed,          // The peer closed or reset the connection.
  kDeadline,        // A deadline passed.
  kUpstream,        // A replica or peer answered nonsense, or died.
  kUnavailable,     // Nobody can serve this now: starting, draining, no replica.
  kExhausted,       // Out of a local resource: descriptors, memory, disk, queue places.
  kCorrupt,         // A file or record that cannot be what it claims to be.
  kUnsupported,     // Well-formed, but not something that this build can do.
  kInternal,        // A bug or an operating-system failure nobody planned for.
};

// What the outside sees of a Code.
struct CodeTraits {
  int http_status;
  std::string_view api_type;  // OpenAI's `error.type`.
  std::string_view api_code;  // OpenAI's `error.code`; Databricks' `error_code` in upper case.
  int exit_code;              // Of a command-line run that ends with this error.
  bool retryable;             // Sending the same request again may help.
};
const CodeTraits& Traits(Code code);

// The other way, for what a peer answered: the Code whose status it is, else the nearest of its
// class.
Code CodeOfHttpStatus(int status);

struct Error {
  Code code = Code::kInternal;
  std::string message;  // For people: names the field, the value and the limit.
  std::string field;    // The JSON path or flag at fault, "" if none.
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// Shorthand for a failed Result: `return Fail(Code::kNotFound, "...")`.
inline std::unexpected<Error> Fail(Code code, std::string message, std::string field = {}) {
  return std::unexpected(Error{code, std::move(message), std::move(field)});
}
inline std::unexpected<Error> Fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace penstock
