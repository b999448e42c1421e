// Error bodies: one Error in the shape that each API's clients read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock {

enum class Dialect : std::uint8_t {
  kOpenAi,      // {"error":{"message","type","param","code"}}
  kDatabricks,  // {"error_code","message"}: never an `error` object, which its Go client cannot
                // read.
  kAzure,       // {"error":{"code","message"}} and, for a bad request, OpenAI's type and param.
};

// Appends the body. `api_code` replaces the code that Traits(error.code) gives, where the API has a
// word of its own ("context_length_exceeded", "content_filter"); "" keeps it. The status code is
// Traits(error.code).http_status, whatever the dialect.
void AppendErrorBody(std::string& out, Dialect dialect, const Error& error,
                     std::string_view api_code = {});
std::string ErrorBody(Dialect dialect, const Error& error, std::string_view api_code = {});

// Which limit a refused request has reached.
struct LimitDetail {
  std::string_view type;     // "tokens_per_minute", … A literal.
  std::int64_t limit = 0;    // In the unit that the type names.
  std::int64_t current = 0;  // What counts at present.
  std::int64_t retry_after_s = 0;
};

// A 429 as Databricks documents it for its OpenAI-compatible paths: {"error":{"message","type",
// "code":429,"limit_type","limit","current","retry_after"}}.
std::string LimitErrorBody(const Error& error, const LimitDetail& detail);

}  // namespace penstock
