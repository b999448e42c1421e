// URLs, percent coding and query values.
#include "http/url.h"

#include <algorithm>
#include <charconv>
#include <iterator>

#include "http/characters.h"
#include "http/head.h"
#include "http/quote.h"

namespace penstock::http {

namespace {

std::unexpected<Error> Refuse(std::string_view text, std::string why) {
  return Fail(Code::kInvalidArgument, "url " + Quote(text) + ": " + std::move(why), "url");
}

Result<Url> ParseUnix(std::string_view text) {
  Url url;
  url.scheme = Url::Scheme::kUnix;
  url.port = 0;
  const std::string_view rest = text.substr(std::string_view("unix:").size());
  const std::size_t colon = rest.find(':');
  url.host = rest.substr(0, colon);
  if (!url.host.starts_with('/')) return Refuse(text, "the socket's path must start with '/'");
  if (colon == std::string_view::npos) return url;
  const std::string_view target = rest.substr(colon + 1);
  if (!target.starts_with('/')) return Refuse(text, "the path must start with '/'");
  const std::size_t mark = target.find('?');
  url.path = target.substr(0, mark);
  if (mark != std::string_view::npos) url.query = target.substr(mark + 1);
  return url;
}

// "host", "host:port", "[v6]:port".
Status ParseAuthority(std::string_view text, std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) {
    return Refuse(text, "user information is not supported");
  }
  std::size_t host_end = authority.find(':');
  std::string_view host = authority.substr(0, host_end);
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return Refuse(text, "']' is missing");
    host = authority.substr(1, bracket - 1);
    host_end = bracket + 1 == authority.size() ? std::string_view::npos : bracket + 1;
    if (host_end != std::string_view::npos && authority[host_end] != ':') {
      return Refuse(text, "only a port may follow ']'");
    }
  }
  if (host.empty() || !std::ranges::all_of(host, IsHost)) return Refuse(text, "no host");
  std::ranges::transform(host, std::back_inserter(url.host), ToLower);
  if (host_end == std::string_view::npos) return {};
  const std::string_view port = authority.substr(host_end + 1);
  unsigned number = 0;
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || number == 0 ||
      number > 65535) {
    return Refuse(text, "port " + Quote(port) + " is not a number from 1 to 65535");
  }
  url.port = static_cast<std::uint16_t>(number);
  return {};
}

constexpr std::uint16_t DefaultPort(Url::Scheme scheme) {
  return scheme == Url::Scheme::kHttps ? 443 : scheme == Url::Scheme::kHttp ? 80 : 0;
}

}  // namespace

Result<Url> Url::Parse(std::string_view text) {
  const bool sendable = std::ranges::all_of(text, [](char c) { return IsTarget(c) || c == '#'; });
  if (!sendable) return Refuse(text, "holds a character that must be encoded");
  if (text.find('#') != std::string_view::npos) return Refuse(text, "has a fragment");
  if (text.starts_with("unix:")) return ParseUnix(text);
  const std::size_t scheme_end = text.find("://");
  const std::string_view scheme =
      scheme_end == std::string_view::npos ? std::string_view() : text.substr(0, scheme_end);
  Url url;
  if (EqualsIgnoreCase(scheme, "https")) {
    url.scheme = Scheme::kHttps;
  } else if (!EqualsIgnoreCase(scheme, "http")) {
    return Refuse(text, "must start with http://, https:// or unix:/");
  }
  url.port = DefaultPort(url.scheme);
  const std::string_view rest = text.substr(scheme_end + 3);
  const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
  if (auto status = ParseAuthority(text, rest.substr(0, path), url); !status) {
    return std::unexpected(std::move(status).error());
  }
  const std::string_view target = rest.substr(path);
  const std::size_t mark = std::min(target.find('?'), target.size());
  if (mark > 0) url.path = target.substr(0, mark);
  if (mark < target.size()) url.query = target.substr(mark + 1);
  return url;
}

std::string Url::Target() const { return query.empty() ? path : path + "?" + query; }

std::string Url::HostField() const {
  if (scheme == Scheme::kUnix) return "localhost";
  std::string field = host.find(':') == std::string::npos ? host : "[" + host + "]";
  if (port != DefaultPort(scheme)) field += ":" + std::to_string(port);
  return field;
}

std::string Url::ToString() const {
  switch (scheme) {
    case Scheme::kUnix:
      return "unix:" + host + ":" + Target();
    case Scheme::kHttps:
      return "https://" + HostField() + Target();
    case Scheme::kHttp:
      break;
  }
  return "http://" + HostField() + Target();
}

Result<std::string> PercentDecode(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    const int high = at + 2 < text.size() ? HexValue(text[at + 1]) : -1;
    const int low = high >= 0 ? HexValue(text[at + 2]) : -1;
    if (low < 0 || high * 16 + low == 0) {
      return Fail(Code::kInvalidArgument,
                  "url: " + Quote(text.substr(at, 3)) + " is not an escape of a character", "url");
    }
    decoded += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return decoded;
}

std::string PercentEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    if (IsUnreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kDigits[byte >> 4];
    encoded += kDigits[byte & 15];
  }
  return encoded;
}

std::optional<std::string> QueryValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    if (auto decoded = PercentDecode(pair.substr(0, equals)); !decoded || *decoded != name) {
      continue;
    }
    std::string value(pair.substr(std::min(equals + 1, pair.size())));
    std::ranges::replace(value, '+', ' ');
    auto decoded = PercentDecode(value);
    return decoded ? std::optional(*std::move(decoded)) : std::nullopt;
  }
  return std::nullopt;
}

}  // namespace penstock::http
