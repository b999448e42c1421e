// Heads of requests and responses: views into the bytes they were parsed from, and the parsers.
//
// Strict: whatever two parsers could read in two ways (the root of request smuggling) is refused,
// not repaired.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "http/limits.h"

namespace penstock::http {

struct Field {
  std::string_view name;   // As sent.
  std::string_view value;  // Without surrounding blanks.
};

// Equality of ASCII text without regard to case, as field names and most tokens compare.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// True when the comma-separated list `value` holds `token` (without regard to case).
bool ListContains(std::string_view value, std::string_view token);

// The fields of one head, in order.
class Fields {
 public:
  // The first field of that name (without regard to case), nullopt if there is none.
  std::optional<std::string_view> Find(std::string_view name) const;
  // As Find, but "" when absent.
  std::string_view Get(std::string_view name) const { return Find(name).value_or(""); }
  std::size_t Count(std::string_view name) const;

  std::size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.end(); }

  void Add(std::string_view name, std::string_view value) {
    if (fields_.empty()) fields_.reserve(kUsual);
    fields_.push_back({name, value});
  }
  void Clear() { fields_.clear(); }
  void Release() { std::vector<Field>().swap(fields_); }

 private:
  static constexpr std::size_t kUsual = 8;  // Most heads need no second allocation.
  std::vector<Field> fields_;
};

// How the end of a message's body is found.
enum class BodyKind : std::uint8_t {
  kNone,        // No body.
  kLength,      // content_length bytes.
  kChunked,     // The chunked coding.
  kUntilClose,  // Responses only: until the peer ends the connection.
};

struct RequestHead {
  std::string_view method;  // Any token; "GET", "POST", ...
  std::string_view target;  // As sent.
  std::string_view path;    // Starts with '/'; still percent-encoded. "*" for OPTIONS *.
  std::string_view query;   // Behind the '?', without it.
  std::string_view host;    // Of an absolute target, else of the host field; "" if none (1.0).
  int minor_version = 1;    // 0 or 1.
  Fields fields;
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;  // For kLength.
  bool keep_alive = true;            // What the client asks for.
  bool expect_continue = false;
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  int minor_version = 1;
  Fields fields;
  BodyKind body = BodyKind::kNone;
  std::uint64_t content_length = 0;  // For kLength.
  bool keep_alive = true;
};

// Parses a whole head, from its first line to its empty line, as HeadScanner found it. The views in
// `head` point into `bytes`. Errors: kHeadTooLarge (bytes, fields, target), kUnsupported (another
// HTTP version, CONNECT), kInvalidArgument (everything else), each naming the field, its value and
// the limit. `head` is undefined after an error.
Status ParseRequestHead(std::string_view bytes, const HeadLimits& limits, RequestHead& head);

// The same for a response to a request of method `method` (a response to HEAD has no body).
// Errors: kUpstream.
Status ParseResponseHead(std::string_view bytes, std::string_view method, const HeadLimits& limits,
                         ResponseHead& head);

}  // namespace penstock::http
