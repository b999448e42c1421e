// Characters: the classes of bytes that HTTP's grammar is made of.
#pragma once

#include <array>
#include <string_view>

namespace penstock::http {

namespace internal {
consteval std::array<bool, 256> MakeClass(std::string_view extra) {
  std::array<bool, 256> set{};
  for (unsigned c = '0'; c <= '9'; ++c) set[c] = true;
  for (unsigned c = 'A'; c <= 'Z'; ++c) set[c] = set[c | 0x20u] = true;
  for (const char c : extra) set[static_cast<unsigned char>(c)] = true;
  return set;
}
inline constexpr auto kToken = MakeClass("!#$%&'*+-.^_`|~");
inline constexpr auto kHost = MakeClass("!$&'()*+-._~;=:[]%");
inline constexpr auto kTarget = MakeClass("!$&'()*+,-./:;=?@_~%[]\"\\^`{|}<>");
inline constexpr auto kUnreserved = MakeClass("-._~");
inline constexpr bool In(const std::array<bool, 256>& set, char c) {
  return set[static_cast<unsigned char>(c)];
}
}  // namespace internal

constexpr bool IsToken(char c) { return internal::In(internal::kToken, c); }
// Of a host field: host and port, IPv6 brackets, percent coding.
constexpr bool IsHost(char c) { return internal::In(internal::kHost, c); }
// Of a request target: visible ASCII without '#'. Wider than the grammar of URLs, as real clients
// are.
constexpr bool IsTarget(char c) { return internal::In(internal::kTarget, c); }
// Of a URL: never needs percent coding.
constexpr bool IsUnreserved(char c) { return internal::In(internal::kUnreserved, c); }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
// A byte that may stand in no field value: control characters but for the tab.
constexpr bool IsControl(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
}
// Without a branch for each byte, so that the compiler looks at many at once.
constexpr bool HoldsControl(std::string_view text) {
  unsigned found = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    found |= static_cast<unsigned>(byte < 0x20) & static_cast<unsigned>(byte != '\t');
    found |= static_cast<unsigned>(byte == 0x7f);
  }
  return found != 0;
}
// The value of a hexadecimal digit, -1 if it is none.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}
constexpr char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace penstock::http
