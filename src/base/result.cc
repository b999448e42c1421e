#include "base/result.h"

#include <array>
#include <cstddef>

#include "base/check.h"

namespace penstock {

namespace {

struct Row {
  Code code;
  CodeTraits traits;
};

// In the enum's order. Exit codes: 1 ran but failed, 2 usage or start error. Client errors of a
// command are usage errors.
constexpr std::array kRows = std::to_array<Row>({
    {Code::kInvalidArgument, {400, "invalid_request_error", "invalid_parameter_value", 2, false}},
    {Code::kUnauthenticated, {401, "authentication_error", "invalid_api_key", 2, false}},
    {Code::kForbidden, {403, "permission_error", "permission_denied", 2, false}},
    {Code::kNotFound, {404, "not_found_error", "resource_does_not_exist", 2, false}},
    {Code::kMethodNotAllowed, {405, "invalid_request_error", "method_not_allowed", 2, false}},
    {Code::kConflict, {409, "conflict_error", "resource_conflict", 2, false}},
    {Code::kAlreadyExists, {409, "conflict_error", "resource_already_exists", 2, false}},
    {Code::kRequestTimeout, {408, "timeout_error", "request_timeout", 1, true}},
    {Code::kTooLarge, {413, "invalid_request_error", "request_too_large", 2, false}},
    {Code::kHeadTooLarge, {431, "invalid_request_error", "request_head_too_large", 2, false}},
    {Code::kRateLimited, {429, "rate_limit_error", "request_limit_exceeded", 1, true}},
    {Code::kCancelled, {499, "cancelled", "cancelled", 3, false}},
    {Code::kClosed, {502, "server_error", "connection_closed", 1, true}},
    {Code::kDeadline, {504, "timeout_error", "deadline_exceeded", 1, true}},
    {Code::kUpstream, {502, "server_error", "bad_gateway", 1, true}},
    {Code::kUnavailable, {503, "server_error", "temporarily_unavailable", 1, true}},
    {Code::kExhausted, {503, "server_error", "resource_exhausted", 1, true}},
    {Code::kCorrupt, {422, "invalid_request_error", "malformed_file", 2, false}},
    {Code::kUnsupported, {501, "invalid_request_error", "not_supported", 2, false}},
    {Code::kInternal, {500, "server_error", "internal_error", 1, false}},
});

constexpr bool IsInOrder() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].code != static_cast<Code>(i)) return false;
  }
  return kRows.back().code == Code::kInternal;
}
static_assert(IsInOrder(), "every Code has its row, in the enum's order");

}  // namespace

const CodeTraits& Traits(Code code) {
  const auto index = static_cast<std::size_t>(code);
  CHECK(index < kRows.size(), "a Code outside its enum");
  return kRows[index].traits;
}

Code CodeOfHttpStatus(int status) {
  switch (status) {
    case 401:
      return Code::kUnauthenticated;
    case 403:
      return Code::kForbidden;
    case 404:
      return Code::kNotFound;
    case 405:
      return Code::kMethodNotAllowed;
    case 408:
      return Code::kRequestTimeout;
    case 409:
      return Code::kConflict;
    case 413:
      return Code::kTooLarge;
    case 429:
      return Code::kRateLimited;
    case 431:
      return Code::kHeadTooLarge;
    case 501:
      return Code::kUnsupported;
    case 502:
      return Code::kUpstream;
    case 503:
      return Code::kUnavailable;
    case 504:
      return Code::kDeadline;
    default:
      return status >= 500 ? Code::kInternal : Code::kInvalidArgument;
  }
}

}  // namespace penstock
