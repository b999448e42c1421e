// Heads, read by the grammar of RFC 9112 and nothing beyond it.
//
// Our own, since a request passes two heads, and a general parser costs more on them than all else
// that a relay does for a request. What it accepts is held to three other readers by tests: one
// written from the book, Boost.Beast's and llhttp.
#include <algorithm>
#include <cstring>
#include <string>

#include "http/characters.h"
#include "http/head.h"
#include "http/head_rules.h"
#include "http/quote.h"

namespace penstock::http {

namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return text;
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return http::IsToken(c); });
}

// nullptr, or what is wrong.
using Fault = const char*;

constexpr Fault kBadVersion = "not HTTP/1.0 or HTTP/1.1";

Fault ReadVersion(std::string_view text, int& minor_version) {
  if (text.size() != 8 || !text.starts_with("HTTP/1.") || (text[7] != '0' && text[7] != '1')) {
    return kBadVersion;
  }
  minor_version = text[7] - '0';
  return nullptr;
}

Fault ReadStart(std::string_view line, RequestHead& head) {
  const std::size_t first = line.find(' ');
  if (first == std::string_view::npos) return "not a method, a target and a version";
  head.method = line.substr(0, first);
  if (!IsToken(head.method)) return "the method is not a token";
  line.remove_prefix(first + 1);
  const std::size_t second = line.find(' ');
  if (second == std::string_view::npos) return "not a method, a target and a version";
  head.target = line.substr(0, second);
  if (head.target.empty()) return "the target is empty";
  return ReadVersion(line.substr(second + 1), head.minor_version);
}

Fault ReadStart(std::string_view line, ResponseHead& head) {
  if (const Fault fault = ReadVersion(line.substr(0, 8), head.minor_version)) return fault;
  line.remove_prefix(8);
  const bool status = line.size() >= 5 && line[0] == ' ' && IsDigit(line[1]) && IsDigit(line[2]) &&
                      IsDigit(line[3]) && line[4] == ' ';
  if (!status) return "not a status of three digits";
  head.status = (line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0');
  head.reason = line.substr(5);
  return HoldsControl(head.reason) ? "a control character in the reason" : nullptr;
}

Fault ReadField(std::string_view line, Fields& fields) {
  // What folds a line is a smuggler's tool.
  if (IsBlank(line.front())) return "a folded line is refused";
  std::size_t colon = 0;  // Which ends the name, being no part of a token.
  while (colon < line.size() && http::IsToken(line[colon])) ++colon;
  if (colon == line.size() || line[colon] != ':' || colon == 0) {
    return line.contains(':') ? "the field's name is not a token" : "a field without a colon";
  }
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trim(line.substr(colon + 1));
  if (HoldsControl(value)) return "a control character in the field's value";
  fields.Add(name, value);
  return nullptr;
}

// Whether a request line ends in a well-formed version that is not ours.
bool NamesVersion(std::string_view line) {
  const std::size_t at = line.rfind(" HTTP/");
  if (at == std::string_view::npos) return false;
  const std::string_view version = line.substr(at + 6);
  return version.size() == 3 && IsDigit(version[0]) && version[1] == '.' && IsDigit(version[2]) &&
         version != "1.0" && version != "1.1";
}

std::unexpected<Error> Malformed(std::string_view line, std::size_t number, Fault why, Code code) {
  if (why == kBadVersion && code == Code::kInvalidArgument && NamesVersion(line)) {
    code = Code::kUnsupported;
  }
  return Fail(code, "head: line " + std::to_string(number) + " " + Quote(line) + ": " + why,
              "head");
}

template <typename Head>
Status Read(std::string_view bytes, const HeadLimits& limits, Code malformed, Code too_large,
            Head& head) {
  head.fields.Clear();
  if (bytes.size() > limits.bytes_max) {
    return Fail(too_large, "head: longer than " + std::to_string(limits.bytes_max) + " bytes",
                "head");
  }
  std::size_t at = 0;
  for (std::size_t number = 1;; ++number) {
    const std::size_t lf = bytes.find('\n', at);
    if (lf == std::string_view::npos) break;
    std::string_view line = bytes.substr(at, lf - at);
    at = lf + 1;
    if (!line.ends_with('\r')) return Malformed(line, number, "it ends without CR", malformed);
    line.remove_suffix(1);
    if (line.empty() && number > 1) {
      if (at != bytes.size()) break;
      return {};
    }
    Fault fault = nullptr;
    if (number == 1) {
      fault = ReadStart(line, head);
    } else if (head.fields.size() == limits.fields_max) {
      return Fail(too_large, "head: more than " + std::to_string(limits.fields_max) + " fields",
                  "head");
    } else {
      fault = ReadField(line, head.fields);
    }
    if (fault != nullptr) return Malformed(line, number, fault, malformed);
  }
  return Fail(malformed, "head: not one whole head", "head");
}

}  // namespace

Status ParseRequestHead(std::string_view bytes, const HeadLimits& limits, RequestHead& head) {
  const auto read = Read(bytes, limits, Code::kInvalidArgument, Code::kHeadTooLarge, head);
  return read ? ApplyRequestRules(limits, head) : read;
}

Status ParseResponseHead(std::string_view bytes, std::string_view method, const HeadLimits& limits,
                         ResponseHead& head) {
  const auto read = Read(bytes, limits, Code::kUpstream, Code::kUpstream, head);
  return read ? ApplyResponseRules(method, head) : read;
}

}  // namespace penstock::http
