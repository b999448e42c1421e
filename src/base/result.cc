#include "base/result.h"

#include "base/check.h"

namespace penstock {

const CodeTraits& Traits(Code code) {
  // Exit codes: 1 ran but failed, 2 usage or start error. Client errors of a command are usage
  // errors.
  static constexpr CodeTraits kInvalidArgument{400, "invalid_request_error",
                                               "invalid_parameter_value", 2, false};
  static constexpr CodeTraits kUnauthenticated{401, "authentication_error", "invalid_api_key", 2,
                                               false};
  static constexpr CodeTraits kForbidden{403, "permission_error", "permission_denied", 2, false};
  static constexpr CodeTraits kNotFound{404, "not_found_error", "resource_does_not_exist", 2,
                                        false};
  static constexpr CodeTraits kMethodNotAllowed{405, "invalid_request_error", "method_not_allowed",
                                                2, false};
  static constexpr CodeTraits kConflict{409, "conflict_error", "resource_conflict", 2, false};
  static constexpr CodeTraits kAlreadyExists{409, "conflict_error", "resource_already_exists", 2,
                                             false};
  static constexpr CodeTraits kRequestTimeout{408, "timeout_error", "request_timeout", 1, true};
  static constexpr CodeTraits kTooLarge{413, "invalid_request_error", "request_too_large", 2,
                                        false};
  static constexpr CodeTraits kHeadTooLarge{431, "invalid_request_error", "request_head_too_large",
                                            2, false};
  static constexpr CodeTraits kRateLimited{429, "rate_limit_error", "request_limit_exceeded", 1,
                                           true};
  static constexpr CodeTraits kCancelled{499, "cancelled", "cancelled", 3, false};
  static constexpr CodeTraits kClosed{502, "server_error", "connection_closed", 1, true};
  static constexpr CodeTraits kDeadline{504, "timeout_error", "deadline_exceeded", 1, true};
  static constexpr CodeTraits kUpstream{502, "server_error", "bad_gateway", 1, true};
  static constexpr CodeTraits kUnavailable{503, "server_error", "temporarily_unavailable", 1, true};
  static constexpr CodeTraits kExhausted{503, "server_error", "resource_exhausted", 1, true};
  static constexpr CodeTraits kCorrupt{422, "invalid_request_error", "malformed_file", 2, false};
  static constexpr CodeTraits kUnsupported{501, "invalid_request_error", "not_supported", 2, false};
  static constexpr CodeTraits kInternal{500, "server_error", "internal_error", 1, false};
  switch (code) {
    case Code::kInvalidArgument:
      return kInvalidArgument;
    case Code::kUnauthenticated:
      return kUnauthenticated;
    case Code::kForbidden:
      return kForbidden;
    case Code::kNotFound:
      return kNotFound;
    case Code::kMethodNotAllowed:
      return kMethodNotAllowed;
    case Code::kConflict:
      return kConflict;
    case Code::kAlreadyExists:
      return kAlreadyExists;
    case Code::kRequestTimeout:
      return kRequestTimeout;
    case Code::kTooLarge:
      return kTooLarge;
    case Code::kHeadTooLarge:
      return kHeadTooLarge;
    case Code::kRateLimited:
      return kRateLimited;
    case Code::kCancelled:
      return kCancelled;
    case Code::kClosed:
      return kClosed;
    case Code::kDeadline:
      return kDeadline;
    case Code::kUpstream:
      return kUpstream;
    case Code::kUnavailable:
      return kUnavailable;
    case Code::kExhausted:
      return kExhausted;
    case Code::kCorrupt:
      return kCorrupt;
    case Code::kUnsupported:
      return kUnsupported;
    case Code::kInternal:
      return kInternal;
  }
  CHECK(false, "a Code outside its enum");
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
