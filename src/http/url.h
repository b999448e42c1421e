// Url: where a request goes: http://host:port/path, https://..., unix:/run/x.sock:/path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::http {

struct Url {
  enum class Scheme { kHttp, kHttps, kUnix };
  Scheme scheme = Scheme::kHttp;
  std::string host;         // Lower case, IPv6 without brackets; the socket's path for kUnix.
  std::uint16_t port = 80;  // 0 for kUnix.
  std::string path = "/";   // Starts with '/'; still percent-encoded.
  std::string query;        // Behind the '?', without it.

  // User information and fragments are refused. A missing scheme is refused too. For Unix sockets
  // the path follows a second colon: "unix:/run/x.sock:/v1/models"; none means "/". Errors:
  // kInvalidArgument.
  static Result<Url> Parse(std::string_view text);

  // What a request line carries: path, and query if any.
  std::string Target() const;
  // What a host field carries: host, and port unless it is the scheme's own; "localhost" for kUnix.
  std::string HostField() const;
  // The inverse of Parse.
  std::string ToString() const;

  bool operator==(const Url&) const = default;
};

// Decodes %XX. Errors: kInvalidArgument (a cut or wrong escape; a decoded NUL).
Result<std::string> PercentDecode(std::string_view text);
// Encodes all but unreserved characters.
std::string PercentEncode(std::string_view text);
// The decoded value of the first `name` in "a=1&b=2"; nullopt if absent or undecodable. '+' is a
// blank.
std::optional<std::string> QueryValue(std::string_view query, std::string_view name);

}  // namespace penstock::http
