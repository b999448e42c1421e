// Properties: how a head's bytes are cut never changes what the scanner finds; whatever is accepted
// lies in the bytes, holds no control character, and means the same when it is written out again.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "http/head.h"
#include "http/head_scanner.h"

namespace penstock::http {
namespace {

// Small, so that the limits are reached.
constexpr HeadLimits kLimits{.bytes_max = 1024, .fields_max = 16, .target_bytes_max = 256};

void CheckInside(std::string_view whole, std::string_view part) {
  CHECK(part.empty() || (part.data() >= whole.data() &&
                         part.data() + part.size() <= whole.data() + whole.size()),
        "a view outside the head");
  CHECK(part.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos,
        "a view that holds the end of a line");
}

void CheckRequest(std::string_view bytes) {
  RequestHead head;
  if (!ParseRequestHead(bytes, kLimits, head)) return;
  std::string again(head.method);
  again.append(" ")
      .append(head.target)
      .append(head.minor_version == 1 ? " HTTP/1.1\r\n" : " HTTP/1.0\r\n");
  for (const Field& field : head.fields) {
    CheckInside(bytes, field.name);
    CheckInside(bytes, field.value);
    again.append(field.name).append(":").append(field.value).append("\r\n");
  }
  again += "\r\n";
  CheckInside(bytes, head.method);
  CheckInside(bytes, head.target);
  CHECK(head.target.size() <= kLimits.target_bytes_max, "the target's limit");
  CHECK(head.fields.size() <= kLimits.fields_max, "the fields' limit");
  RequestHead second;
  CHECK(ParseRequestHead(again, kLimits, second), "what was accepted is accepted again");
  CHECK(second.path == head.path && second.query == head.query && second.host == head.host &&
            second.body == head.body && second.content_length == head.content_length &&
            second.keep_alive == head.keep_alive,
        "and means the same");
}

void CheckResponse(std::string_view bytes) {
  ResponseHead head;
  if (!ParseResponseHead(bytes, "GET", kLimits, head)) return;
  CheckInside(bytes, head.reason);
  for (const Field& field : head.fields) CheckInside(bytes, field.value);
  CHECK(head.status >= 0 && head.status <= 999, "a status has three digits");
}

void CheckScanner(std::string_view bytes, std::size_t cut) {
  HeadScanner whole;
  HeadScanner scanner;
  const auto expected = whole.Scan(bytes, kLimits);
  auto found = scanner.Scan(bytes.substr(0, cut), kLimits);
  if (found && *found == 0) found = scanner.Scan(bytes, kLimits);
  CHECK(found.has_value() == expected.has_value(), "a cut changed the verdict");
  if (found) {
    CHECK(*found == *expected && *found <= kLimits.bytes_max, "a cut changed the head's end");
    if (*found > 0) CheckRequest(bytes.substr(0, *found));
    if (*found > 0) CheckResponse(bytes.substr(0, *found));
  } else {
    CHECK(found.error().message == expected.error().message, "a cut changed the reason");
  }
}

}  // namespace
}  // namespace penstock::http

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  // Its own copy, so that the sanitizer sees every read past the end.
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  penstock::http::CheckRequest(bytes);
  penstock::http::CheckResponse(bytes);
  penstock::http::CheckScanner(bytes, bytes.empty() ? 0 : data[0] % (bytes.size() + 1));
  return 0;
}
