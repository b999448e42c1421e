#include "http/quote.h"

#include <cstddef>

namespace penstock::http {

namespace {
constexpr std::size_t kQuotedMax = 64;
constexpr std::string_view kDigits = "0123456789abcdef";

bool Printable(char c) { return c >= 0x20 && c < 0x7f; }
}  // namespace

std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kQuotedMax)) {
    if (Printable(c)) {
      quoted += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    quoted += "\\x";
    quoted += kDigits[byte >> 4];
    quoted += kDigits[byte & 15];
  }
  quoted += text.size() > kQuotedMax ? "\"..." : "\"";
  return quoted;
}

void AppendJsonEscaped(std::string_view text, std::string& to) {
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (c == '\n') {
      to += "\\n";
    } else {
      to += Printable(c) ? c : '?';
    }
  }
}

}  // namespace penstock::http
